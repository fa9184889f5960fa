"""Sending mails to a real SMTP server on loopback."""

from __future__ import annotations

import shutil
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from jobs import mail
from jobs.engine.author.retry import Retry
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import Fatal, InvalidParameters
from jobs.mail import MailNotTaken, MailRefused, send_email, send_welcome_email
from tests.loopback import free_port
from tests.mail_server import MailServer

pytestmark = pytest.mark.usefixtures("data_dir")


class Mailbox:
    """The mails that the server has received, and its replies."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.to_recipients = "250 OK"
        self.to_data = "250 OK"

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipients.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipients

    async def handle_DATA(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.to_data.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients.append(envelope.rcpt_tos)
        return self.to_data


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox, configure: Callable[..., None]) -> Iterator[MailServer]:
    server = MailServer(mailbox)
    server.start()
    configure(SMTP_URL=f"smtp://127.0.0.1:{server.port}", MAIL_FROM="Workhorse <jobs@example.org>")
    yield server
    server.stop()


def send(subject: str = "Hello", body: str = "A body.\n") -> mail.SentMail:
    return send_email("ann@example.com", subject, body)


# --- sending --------------------------------------------------------------------


def test_a_mail_reaches_the_server_unchanged(server: MailServer, mailbox: Mailbox, in_job: Callable[..., Any]) -> None:
    with in_job("job-7"):
        sent = send("Grüße, Zoë", "Erste Zeile\n\n.\nletzte Zeile €\n")
    (message,) = mailbox.mails
    assert message["Subject"] == "Grüße, Zoë"
    assert message["To"] == "ann@example.com"
    assert message["From"] == "Workhorse <jobs@example.org>"
    assert message.get_content().splitlines() == ["Erste Zeile", "", ".", "letzte Zeile €"]
    assert mailbox.recipients == [["ann@example.com"]]
    assert sent == mail.SentMail("ann@example.com", "<job-7@example.org>", "smtp")
    assert message["Message-ID"] == sent.message_id


def test_a_mail_that_a_job_sends_twice_has_the_same_message_id(
    server: MailServer, mailbox: Mailbox, in_job: Callable[..., Any]
) -> None:
    for _ in range(2):
        with in_job("job-7"):
            send()
    assert len(mailbox.mails) == 2
    assert len({message["Message-ID"] for message in mailbox.mails}) == 1


def test_a_second_attempt_does_not_send_the_mail_again(
    server: MailServer, mailbox: Mailbox, in_job: Callable[..., Any]
) -> None:
    with in_job("job-7") as attempt:
        first = send()
    with in_job("job-7", checkpoint=attempt.checkpoint):
        assert send() == first
    assert len(mailbox.mails) == 1


def test_every_call_outside_a_job_sends_a_mail(server: MailServer, mailbox: Mailbox) -> None:
    send()
    send()
    assert len({message["Message-ID"] for message in mailbox.mails}) == 2


def test_a_new_user_is_welcomed_by_name(server: MailServer, mailbox: Mailbox) -> None:
    send_welcome_email("zoë", "zoe@example.com")
    (message,) = mailbox.mails
    assert message["Subject"] == "Welcome, zoë"
    assert "Hello zoë," in message.get_content()


def test_without_a_mail_server_a_mail_is_written_to_a_file_once(data_dir: Path, in_job: Callable[..., Any]) -> None:
    for _ in range(2):
        with in_job("job-7"):
            assert send("A subject").sent_by == "file"
    (file,) = (data_dir / "mail").iterdir()
    assert file.name == "job-7.eml"
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert (message["Subject"], message["To"]) == ("A subject", "ann@example.com")


def test_a_mail_server_that_stops_closes_its_newest_connections(mailbox: Mailbox) -> None:
    server = MailServer(mailbox)
    server.start()
    clients = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(20)]
    server.stop()
    for client in clients:
        with client, suppress(ConnectionResetError):
            while client.recv(1024):
                pass


# --- parameters that are refused at submit ----------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "Hello\r\nBcc: everybody@example.com"},
        {"subject": "Hello\nBcc: everybody@example.com"},
        {"subject": "Hello\rthere"},
        {"subject": "Hello\u2028there"},
        {"subject": "Hello\x85there"},
        {"subject": "Hello\n"},
        {"subject": ""},
        {"to": "ann@example.com\nBcc: everybody@example.com"},
        {"to": "ann@example.com\r\n"},
        {"to": "ann@example.com, bob@example.com"},
        {"to": "ann"},
        {"to": "ann@"},
        {"body": "a\0b"},
    ],
)
def test_line_breaks_in_headers_and_invalid_addresses_are_refused_at_submit(change: dict[str, str]) -> None:
    parameters = JobType.of(send_email).parameters
    valid = {"to": "ann@example.com", "subject": "Hello", "body": "Line\nby\r\nline"}
    parameters.validate(valid)
    with pytest.raises(InvalidParameters):
        parameters.validate(valid | change)


def test_a_username_with_a_line_break_is_refused_at_submit() -> None:
    with pytest.raises(InvalidParameters):
        JobType.of(send_welcome_email).parameters.validate({"username": "a\nBcc: b", "email": "a@example.com"})


# --- failures -------------------------------------------------------------------


def is_tried_again(error: BaseException) -> bool:
    policy = JobType.of(send_email).retry
    assert isinstance(policy, Retry)
    return policy.applies_to(error)


@pytest.mark.parametrize("at", ["to_recipients", "to_data"])
def test_a_busy_server_is_retried(server: MailServer, mailbox: Mailbox, at: str) -> None:
    setattr(mailbox, at, "451 4.3.0 come back later")
    with pytest.raises(MailNotTaken, match=r"451 4\.3\.0 come back later") as failed:
        send()
    assert is_tried_again(failed.value)


@pytest.mark.parametrize("at", ["to_recipients", "to_data"])
def test_a_permanent_refusal_is_not_retried(server: MailServer, mailbox: Mailbox, at: str) -> None:
    setattr(mailbox, at, "550 5.1.1 no such user")
    with pytest.raises(MailRefused, match=r"550 5\.1\.1 no such user") as failed:
        send()
    assert not is_tried_again(failed.value)


def test_an_unreachable_server_is_retried(configure: Callable[..., None]) -> None:
    configure(SMTP_URL=f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(MailNotTaken, match="can't be reached") as failed:
        send()
    assert is_tried_again(failed.value)


def test_a_silent_server_times_out(configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(SMTP_URL=f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(MailNotTaken):
            send()


def test_an_error_after_the_mail_was_accepted_does_not_send_it_again(
    server: MailServer, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang_up(connection: smtplib.SMTP) -> None:
        connection.close()
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(smtplib.SMTP, "quit", hang_up)
    send()
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("url", ["http://user:hunter2@mail.example.com", "smtp://user:hunter2@", "smtp://h:hunter2"])
def test_an_invalid_setting_fails_at_once_without_showing_the_password(
    configure: Callable[..., None], url: str
) -> None:
    configure(SMTP_URL=url)
    with pytest.raises(Fatal, match="SMTP_URL can't be used") as failed:
        send()
    assert "hunter2" not in failed.value.message


# --- TLS and passwords ------------------------------------------------------------


def check_password(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    # Not handled, so the server replies 535.
    return AuthResult(success=(data.login, data.password) == (b"ann@corp", b"p@ss/word"), handled=False)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with the openssl program")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return context


@pytest.fixture
def guarded(tls: ssl.SSLContext, mailbox: Mailbox) -> Iterator[MailServer]:
    """Start a server that requires STARTTLS and a password."""
    server = MailServer(
        mailbox, tls_context=tls, require_starttls=True, auth_required=True, authenticator=check_password
    )
    server.start()
    yield server
    server.stop()


def test_starttls_and_a_password_from_the_url_are_used(
    guarded: MailServer, mailbox: Mailbox, configure: Callable[..., None]
) -> None:
    configure(SMTP_URL=f"smtp+starttls://ann%40corp:p%40ss%2Fword@127.0.0.1:{guarded.port}")
    send()
    assert len(mailbox.mails) == 1


def test_a_wrong_password_is_not_retried_and_not_shown(guarded: MailServer, configure: Callable[..., None]) -> None:
    configure(SMTP_URL=f"smtp+starttls://ann%40corp:hunter2@127.0.0.1:{guarded.port}")
    with pytest.raises(MailRefused, match="535") as failed:
        send()
    assert "hunter2" not in failed.value.message


def test_a_self_signed_certificate_is_not_trusted(
    guarded: MailServer, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    configure(SMTP_URL=f"smtp+starttls://ann%40corp:p%40ss%2Fword@127.0.0.1:{guarded.port}")
    with pytest.raises(MailRefused, match="certificate"):
        send()
    assert mailbox.mails == []
