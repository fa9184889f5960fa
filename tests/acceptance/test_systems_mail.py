"""Mails over a real SMTP server, and webhooks to other servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import pytest
from standardwebhooks import Webhook

from tests.acceptance.instance import PASSWORD, Answer, Api, Instance, PostOffice, Site
from tests.waiting import eventually

ORDER = {
    "order_id": "A-17",
    "customer_name": "Zoë",
    "customer_email": "zoe@example.com",
    "items": [{"name": "Lamp", "quantity": 3, "unit_price": "19.90"}, {"name": "Shade", "unit_price": "1200"}],
}


def test_a_mail_is_sent_after_the_response(alice: Api, post_office: PostOffice) -> None:
    mail = {"to": f"{alice.user_id}@friends.example", "subject": "Grüße", "body": "Bis morgen.\n"}
    job = alice.submit("send-email", mail)
    result = alice.ended(job)["result"]
    assert result["sent_by"] == "smtp"
    [sent] = post_office.to(mail["to"])
    assert (sent["Subject"], sent["From"], sent["Message-ID"]) == (
        "Grüße", "Workhorse <jobs@example.org>", result["message_id"],
    )  # fmt: skip
    assert sent.get_content().replace("\r", "") == "Bis morgen.\n"
    assert job["job_id"] in result["message_id"]


def test_a_new_user_is_welcomed_by_mail(
    instance_with_model: Instance, instance: Instance, post_office: PostOffice
) -> None:
    newcomer = instance.newcomer("wendy")
    [welcome] = eventually(lambda: post_office.to("wendy@example.com"), "the welcome mail")
    assert welcome["Subject"] == "Welcome, wendy"
    assert "Hello wendy" in welcome.get_content()
    result = newcomer.run("send-welcome-email", username="wendy", email="wendy@home.example")
    assert post_office.to("wendy@home.example")[0]["Message-ID"] == result["message_id"]
    # Without a mail server, the mail is a file for the operator. Registration is open in this instance.
    stranger = Api(instance_with_model, "", "")
    stranger.post("/users", {"username": "walt", "email": "walt@example.com", "password": PASSWORD}, status=201)
    folder = instance_with_model.data_dir / "mail"
    eventually(lambda: any(b"Welcome, walt" in each.read_bytes() for each in folder.glob("*.eml")), "a mail as a file")


def test_an_order_is_confirmed_with_its_total(alice: Api, post_office: PostOffice) -> None:
    alice.run("send-order-confirmation", order=ORDER)
    [mail] = post_office.to("zoe@example.com")
    text = mail.get_content()
    assert mail["Subject"] == "Your order A-17"
    for words in ("Hello Zoë", "3 x Lamp: 59.70 EUR", "1 x Shade: 1,200.00 EUR", "Total: 1,259.70 EUR"):
        assert words in text, words


def test_a_report_is_mailed_when_it_is_complete(alice: Api, post_office: PostOffice) -> None:
    to = f"boss-of-{alice.user_id}@example.com"
    result = alice.run("generate-report", title="Sales", file=alice.sample("sales.csv"), email=to)
    [mail] = post_office.to(to)
    assert (result["mailed_to"], mail["Subject"]) == (to, "Report: Sales")
    assert f"/api/v1/files/{result['file_id']}/content" in mail.get_content()


def test_a_mail_waits_while_the_mail_server_is_down_and_is_sent_once(alice: Api, post_office: PostOffice) -> None:
    to = f"{alice.user_id}@patient.example"
    post_office.close()
    try:
        given_up = alice.submit("send-email", {"to": to, "subject": "Given up", "body": ""})
        job = alice.submit("send-email", {"to": to, "subject": "Patience", "body": ""})
        job = alice.until(job, lambda now: now["pending_reason"] == "retrying")
        given_up = alice.until(given_up, lambda now: now["pending_reason"] == "retrying")
        events = alice.get(f"/jobs/{job['job_id']}/events")["events"]
        [again] = [event for event in events if event["type"] == "job_retrying"]
        assert "The mail server can't be reached." in json.dumps(again)
        assert alice.delete(f"/jobs/{given_up['job_id']}")["status"] == "cancelled"
    finally:
        post_office.open()
    job = alice.ended(job)
    assert (job["status"], job["attempt"], job["max_attempts"]) == ("completed", 2, 6)
    assert [mail["Subject"] for mail in post_office.to(to)] == ["Patience"]


@pytest.mark.parametrize(
    ("job_type", "params"),
    [
        ("send-email", {"to": "nobody@example.com", "subject": "Hi", "body": ""}),
        ("send-welcome-email", {"username": "nobody", "email": "nobody@example.com"}),
        ("send-order-confirmation", {"order": ORDER | {"customer_email": "nobody@example.com"}}),
    ],
)
def test_a_mail_that_is_refused_permanently_is_not_sent_again(
    alice: Api, job_type: str, params: dict[str, str]
) -> None:
    job = alice.ended(alice.submit(job_type, params))
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert job["error"] == "The mail server answered 550 No such mailbox"


# --- messages to other servers -------------------------------------------------------------


def test_every_subscriber_gets_a_signed_message(alice: Api, site: Site) -> None:
    for path in ("/first", "/second"):
        site.pages[path] = (204, {}, b"")
        new = alice.post("/webhooks", {"url": site.address + path, "events": ["job_completed"]}, status=201)
    job_id = alice.submit("echo", {"text": "hello"})["job_id"].encode()

    def posted_to(path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for headers, body in site.posts_to(path) if job_id in body]

    for path in ("/first", "/second"):
        [(headers, body), *_] = eventually(partial(posted_to, path), "the subscriber gets the message")
        Webhook(new["secret"]).verify(body, headers)
        assert json.loads(body)["type"] == "job_completed"


def test_delivery_is_retried_until_the_receiver_accepts_it(alice: Api, site: Site) -> None:
    answers: Iterator[Answer] = iter([(500, {}, b"")])
    site.pages["/busy"] = lambda _body: next(answers, (200, {}, b""))
    result = alice.run("deliver-webhook", url=f"{site.address}/busy", payload={"hello": "world"})
    first, second = site.posts_to("/busy")
    assert (result["status"], json.loads(second[1])) == (200, {"hello": "world"})
    assert first[0]["webhook-id"] == second[0]["webhook-id"] == result["message_id"]
