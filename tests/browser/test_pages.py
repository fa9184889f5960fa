"""The pages, used in a real browser."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.site import SAMPLES, Site
from tests.browser.watched import Watched

expect.set_options(timeout=30_000)

SCRIPT = "<script>document.title='broken in'</script><img src=x onerror=alert(1)>"


#: Follow a job with EventSource and WebSocket until both have ended.
FOLLOW = """([stream, socket]) => new Promise((done, fail) => {
  const received = {events: [], messages: []};
  let open = 2;
  const ended = () => { open -= 1; if (open === 0) done(received); };
  const source = new EventSource(stream);
  for (const name of ["update", "complete", "error"])
    source.addEventListener(name, (event) => {
      if (event.data === undefined) return fail("the stream was cut");
      received.events.push([name, JSON.parse(event.data)]);
      if (name === "complete") { source.close(); ended(); }
    });
  const web = new WebSocket(socket);
  web.onmessage = (message) => { const {event, job} = JSON.parse(message.data); received.messages.push([event, job]); };
  web.onclose = (event) => { received.code = event.code; ended(); };
})"""


# --- signing in ---------------------------------------------------------------------


def test_the_printed_link_signs_in_once(browser: Browser, shown: Site) -> None:
    link = shown.link()
    first, second = browser.new_context(), browser.new_context()
    page = first.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name="Run a job")).to_be_visible()
    late = second.new_page()
    late.goto(link)
    expect(late.get_by_role("heading", name="Sign in")).to_be_visible()
    first.close()
    second.close()


def test_signing_in_with_a_key_leads_to_the_requested_page(browser: Browser, shown: Site) -> None:
    context = browser.new_context(base_url=shown.address)
    page = context.new_page()
    page.goto("/schedules")
    page.get_by_label("API key").fill(shown.admin_key)
    page.get_by_role("button", name="Sign in with API key").click()
    expect(page).to_have_url(f"{shown.address}/schedules")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


# --- searching, submitting, following ---------------------------------------------------


def test_searching_shows_the_job_types_that_match(page: Page) -> None:
    page.get_by_label("Search job types").fill("sheep")
    expect(page.locator("#job-types li")).to_have_count(1)
    page.get_by_label("Search job types").fill("unicorn")
    expect(page.get_by_text("No job type matches “unicorn”.")).to_be_visible()


def test_a_job_page_updates_to_its_end_without_reloading(page: Page) -> None:
    page.get_by_role("link", name="count-sheep").click()
    page.get_by_label("Steps").fill("6")
    page.get_by_role("button", name="Submit").click()
    page.evaluate("window.same = true")
    expect(page.locator("#progress")).to_contain_text("of 6")
    expect(page.locator("#progress")).to_contain_text("per second")
    expect(page.locator("#state")).to_contain_text("completed")
    expect(page.locator("#log")).to_contain_text("sheep 1 jumps")
    expect(page.locator(".timeline li")).to_have_count(3)
    expect(page.locator("[sse-swap=say]")).to_contain_text("count-sheep is completed")
    assert page.evaluate("window.same") is True


def test_an_uploaded_file_reaches_the_job(page: Page) -> None:
    page.goto("/submit/count-lines")
    page.set_input_files("input[type=file]", SAMPLES / "contacts.csv")
    expect(page.get_by_role("button", name="Remove contacts.csv")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#state")).to_contain_text("completed")
    expect(page.get_by_text("first_line", exact=True)).to_be_visible()


def test_a_file_can_be_dropped(page: Page) -> None:
    page.goto("/submit/count-lines")
    dropped = page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['a\\nb\\n'], 'two.txt')); return data; }"
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
    expect(page.get_by_role("button", name="Remove two.txt")).to_be_visible()


def test_every_kind_of_field_is_submitted_with_the_type_of_its_schema(page: Page) -> None:
    page.goto("/submit/describe-a-horse")
    page.get_by_label("Name").first.fill("Blaze")
    page.get_by_label("Height").fill("161.5")
    page.get_by_label("Colour").select_option("grey")
    page.get_by_label("Town").fill("Ascot")
    page.get_by_role("group", name="Rider").get_by_label("Name").fill("Ada")
    page.get_by_label("Trained").select_option("yes")
    page.get_by_label("Gaits").fill("walk\ntrot\ntölt")
    page.get_by_label("Weights").fill("480\n495")
    page.get_by_label("Feed").fill('{"oats": 2.5}')
    page.get_by_label("Speed").select_option("3")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#state")).to_contain_text("completed")
    result = page.locator("section", has=page.get_by_role("heading", name="Result"))
    for text in ("Blaze", "161.5", "grey", "Ascot", "Ada", "tölt", "495", "oats"):
        expect(result).to_contain_text(text)


def test_an_error_appears_beside_its_field_and_the_input_is_kept(watched: Watched, page: Page) -> None:
    watched.expected.append("422")  # the console reports the status
    page.goto("/submit/describe-a-horse")
    page.get_by_label("Name").first.fill("Blaze")
    page.get_by_label("Height").fill("500")
    page.get_by_label("Weights").fill("480\nheavy")
    page.get_by_label("Feed").fill("{oats}")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was submitted")
    height = page.get_by_label("Height")
    expect(height).to_have_value("500")
    expect(height).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#field-height-error")).to_contain_text("less than or equal to 220")
    expect(page.locator("#field-weights-error")).to_contain_text("Line 2")
    expect(page.locator("#field-feed-error")).to_contain_text("This is not valid JSON")
    expect(page.locator("#field-stable-rider-name-error")).to_contain_text("required")
    expect(page.get_by_label("Name").first).not_to_have_attribute("aria-invalid", "true")


# --- cancelling and retrying ---------------------------------------------------------------


def test_a_running_job_is_cancelled_and_retried(page: Page, shown: Site) -> None:
    sheep = shown.submit("count-sheep", steps=100, seconds=0.2)
    page.goto(f"/jobs/{sheep}")
    expect(page.locator("#state")).to_contain_text("running")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#state .status")).to_have_text("cancelled")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#state .status")).to_have_text("running")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#state .status")).to_have_text("cancelled")


def test_a_button_stays_while_its_surroundings_change(page: Page, shown: Site) -> None:
    """A click is lost if its button is replaced between the press and the release."""
    sheep = shown.submit("count-sheep", "?delay=4", steps=100, seconds=0.2)
    page.goto(f"/jobs/{sheep}")
    expect(page.locator("#state .status")).to_have_text("pending")
    cancel = page.get_by_role("button", name="Cancel").element_handle()
    expect(page.locator("#state .status")).to_have_text("running")
    assert cancel.evaluate("button => button.isConnected")
    cancel.click()

    steps = [{"job_type": "count-sheep", "params": {"steps": 3, "seconds": seconds}} for seconds in (0.3, 0.6)]
    pipeline = shown.call("POST", "/api/v1/pipelines", {"steps": steps})[2]["pipeline_id"]
    page.goto(f"/pipelines/{pipeline}")
    cancel = page.get_by_role("button", name="Cancel unfinished jobs").element_handle()
    expect(page.locator("#group .steps .status.completed")).to_have_count(1)
    assert cancel.evaluate("button => button.isConnected")
    expect(page.locator("#group .steps .status.completed")).to_have_count(2)
    assert not cancel.evaluate("button => button.isConnected")
    expect(page.locator("#group")).not_to_have_attribute("hx-get", re.compile(""))

    page.goto("/overview")
    drain = page.get_by_role("button", name="Drain").first.element_handle()
    page.evaluate("() => new Promise(done => document.addEventListener('htmx:afterSettle', done, {once: true}))")
    assert drain.evaluate("button => button.isConnected")


def test_two_tabs_show_the_same_status(watched: Watched, page: Page, shown: Site) -> None:
    sheep = shown.submit("count-sheep", steps=100, seconds=0.2)
    other = watched.second_tab()
    for tab in (page, other):
        tab.goto(f"/jobs/{sheep}")
        expect(tab.locator("#state .status")).to_have_text("running")
    page.get_by_role("button", name="Cancel").click()
    for tab in (page, other):
        expect(tab.locator("#state .status")).to_have_text("cancelled")


def test_the_list_updates_itself_and_is_filtered(page: Page, shown: Site) -> None:
    page.goto("/jobs?tag=flock")
    expect(page.get_by_text("No jobs match these filters")).to_be_visible()
    sheep = shown.submit("count-sheep", "?tag=flock", steps=1)
    expect(page.locator(f"a[href='/jobs/{sheep}']")).to_be_visible()
    expect(page.locator(".jobs .status")).to_have_text("completed")
    page.get_by_label("Type").select_option("ask-the-shop")
    expect(page).to_have_url(re.compile("job_type=ask-the-shop"))
    expect(page.get_by_text("No jobs match these filters")).to_be_visible()


def test_many_jobs_are_cancelled_and_retried_at_once(page: Page, shown: Site) -> None:
    for _ in range(3):
        shown.submit("count-sheep", "?tag=herd&delay=3600", steps=1)
    page.goto("/jobs?tag=herd")
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Cancel selected").click()
    expect(page.get_by_role("status")).to_contain_text("3 of 3 selected jobs cancelled")
    expect(page.locator(".jobs .status.cancelled")).to_have_count(3)
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Retry selected").click()
    expect(page.get_by_role("status")).to_contain_text("3 of 3 selected jobs queued again")


def test_a_selection_survives_updates_of_the_list(page: Page, shown: Site) -> None:
    first = shown.submit("count-sheep", "?tag=kept&delay=3600", steps=1)
    page.goto("/jobs?tag=kept")
    page.locator(f"#pick-{first}").check()
    second = shown.submit("count-sheep", "?tag=kept&delay=3600", steps=1)
    expect(page.locator(f"#pick-{second}")).to_be_visible()
    expect(page.locator(f"#pick-{first}")).to_be_checked()


# --- schedules, keys, groups, failures -------------------------------------------------------------------------


def test_a_schedule_is_created_from_a_form_controlled_and_deleted(watched: Watched, page: Page) -> None:
    page.goto("/submit/count-sheep")
    page.get_by_text("Options and schedule").click()
    page.get_by_label("Cron line").fill("0 6 * * 1-5")
    page.get_by_role("button", name="Create schedule").click()
    expect(page.get_by_text("0 6 * * 1-5")).to_be_visible()
    page.get_by_role("link", name="count-sheep").click()
    page.get_by_label("Reason").fill(f"{SCRIPT} month end")
    page.get_by_role("button", name="Pause with reason or end").click()
    expect(page.get_by_text("month end").first).to_be_visible()
    assert watched.serious_findings() == []
    page.get_by_role("button", name="Resume the schedule of count-sheep").click()
    page.get_by_label("Cron line").fill("30 7 * * *")
    page.get_by_label("Overlap").select_option("wait for the earlier job")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The schedule was changed.")).to_be_visible()
    page.get_by_role("button", name="Run now: the schedule of count-sheep").click()
    expect(page.get_by_role("heading", name="count-sheep")).to_be_visible()
    page.goto("/schedules")
    expect(page.get_by_text("30 7 * * *")).to_be_visible()
    page.get_by_role("button", name="Delete the schedule of count-sheep").click()
    expect(page.get_by_text("You have no schedules.")).to_be_visible()


def test_a_new_key_is_shown_once_and_revoked(page: Page, shown: Site) -> None:
    page.goto("/keys")
    page.get_by_label("Name").fill("nightly")
    page.get_by_role("button", name="Create key").click()
    key = page.get_by_label("New key").input_value()
    assert shown.accounts.bearers.authenticate(key).user_id == "admin"
    page.goto("/keys")
    assert key not in page.content()
    page.get_by_role("button", name="Revoke nightly").click()
    expect(page.get_by_text("The key was revoked")).to_be_visible()


def test_a_pipeline_shows_its_steps(page: Page, shown: Site) -> None:
    steps = [{"job_type": "count-sheep", "params": {"steps": 1}} for _ in range(2)]
    pipeline = shown.call("POST", "/api/v1/pipelines", {"steps": steps})[2]["pipeline_id"]
    page.goto(f"/pipelines/{pipeline}")
    expect(page.locator(".steps .status.completed")).to_have_count(2)
    page.locator(".steps a").first.click()
    expect(page.get_by_role("link", name="Pipeline")).to_be_visible()


def test_the_overview_shows_queues_and_workers(page: Page) -> None:
    page.goto("/overview")
    expect(page.get_by_role("rowheader", name="high")).to_be_visible()
    expect(page.locator("#overview")).to_contain_text("idle")


def test_scripts_in_parameters_errors_and_logs_are_inert(page: Page, shown: Site) -> None:
    asked = shown.submit("ask-the-shop", answer=SCRIPT)
    page.goto(f"/jobs/{asked}")
    expect(page.locator("#state .message")).to_contain_text(SCRIPT)
    expect(page.locator("#log")).to_contain_text(SCRIPT)
    page.goto("/jobs?job_type=ask-the-shop")
    expect(page.locator(".jobs .why").first).to_contain_text("<script>")
    page.goto(f"/submit/ask-the-shop?like={asked}")
    expect(page.get_by_label("Answer")).to_have_value(SCRIPT)
    assert "broken in" not in page.title()


def test_a_page_continues_after_the_web_process_was_killed(watched: Watched, page: Page, shown: Site) -> None:
    # The browser reports failed requests.
    watched.expected += ["ERR_", "Failed to load", "htmx", "[object Event]"]
    sheep = shown.submit("count-sheep", steps=40, seconds=0.2)
    page.goto(f"/jobs/{sheep}")
    expect(page.locator("#state .status")).to_have_text("running")
    page.evaluate("window.same = true")
    shown.web.restart()
    expect(page.locator("#state .status")).to_have_text("completed", timeout=30_000)
    expect(page.locator("#log .line")).to_have_count(2)
    assert page.evaluate("window.same") is True


def test_a_page_continues_after_the_broker_was_killed(watched: Watched, page: Page, shown: Site) -> None:
    watched.expected += ["503", "ERR_", "Failed to load", "htmx", "[object Event]"]
    sheep = shown.submit("count-sheep", steps=30, seconds=0.2)
    page.goto(f"/jobs/{sheep}")
    expect(page.locator("#state .status")).to_have_text("running")
    page.evaluate("window.same = true")
    os.kill(shown.harness.broker.pid or 0, signal.SIGKILL)
    expect(page.locator("#state .status")).to_have_text("completed", timeout=30_000)
    assert page.evaluate("window.same") is True


# --- the API, from a page's script -----------------------------------------------------


def test_a_browser_s_event_source_and_websocket_follow_a_job_to_its_end(page: Page, shown: Site) -> None:
    sheep = shown.submit("count-sheep", steps=8, seconds=0.2)
    tickets = [shown.call("POST", "/api/v1/tickets", {"job_id": sheep})[2]["ticket"] for _ in range(2)]
    place = f"/api/v1/jobs/{sheep}"
    received = page.evaluate(FOLLOW, [f"{place}/stream?ticket={tickets[0]}", f"{place}/ws?ticket={tickets[1]}"])
    for messages in (received["events"], received["messages"]):
        assert [event for event, _ in messages] == ["update"] * (len(messages) - 1) + ["complete"]
        versions = [job["version"] for _, job in messages]
        assert versions == sorted(set(versions)) and len(versions) >= 4
        assert (messages[-1][1]["status"], messages[-1][1]["result"]) == ("completed", 8)
    assert received["code"] == 1000


def test_reading_and_submitting_need_no_javascript(browser: Browser, shown: Site) -> None:
    context, page = shown.signed_in(browser, java_script_enabled=False)
    page.goto("/submit/count-sheep")
    page.get_by_label("Steps").fill("1")
    page.get_by_label("Seconds").fill("0")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="count-sheep")).to_be_visible()
    page.goto("/jobs?job_type=count-sheep")
    expect(page.locator(".jobs .what").first).to_contain_text("count-sheep")
    context.close()


def test_uploading_needs_no_javascript(browser: Browser, shown: Site, tmp_path: Path) -> None:
    context, page = shown.signed_in(browser, java_script_enabled=False)
    song = tmp_path / "song.txt"
    song.write_text("one\ntwo\n")
    page.goto("/submit/count-lines")
    page.get_by_text("Options and schedule").click()
    page.get_by_label("Tags").fill("spring")
    page.locator('input[type="file"]').set_input_files(song)
    page.get_by_role("button", name="Upload").click()
    # Playwright finds no text within <noscript>.
    assert page.locator("noscript p").inner_text() == "song.txt has been uploaded."
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.get_by_role("heading", name="count-lines")).to_be_visible()
    job = shown.harness.ended(shown.harness.client.find(page.url.rpartition("/")[2]))
    assert (job.result, job.tags) == ({"lines": 2, "first_line": "one"}, ["spring"])
    context.close()


def test_the_api_documentation_sends_requests_with_the_session(page: Page, shown: Site) -> None:
    page.goto("/docs")
    operation = page.locator(".opblock-post", has=page.locator('[data-path="/api/v1/jobs/count-sheep"]'))
    operation.locator(".opblock-summary-control").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("textarea").fill('{"steps": 1, "seconds": 0}')
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table tbody .response-col_status")).to_contain_text("202")


def test_axe_finds_no_serious_problem(watched: Watched, page: Page, shown: Site) -> None:
    watched.expected.append("422")
    failed = shown.submit("ask-the-shop", answer="no")
    running = shown.submit("count-sheep", steps=50, seconds=0.1)
    of_jobs = ["/", "/submit/describe-a-horse", "/submit/count-lines", "/jobs", f"/jobs/{failed}", f"/jobs/{running}"]
    for place in [*of_jobs, "/schedules", "/keys", "/overview", "/audit", "/jobs/bulk?do=delete", "/jobs?tag=nobody"]:
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.goto(place)
        assert watched.serious_findings() == []
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        page.goto(place)
        assert watched.serious_findings("color-contrast") == []
    page.goto("/submit/describe-a-horse")
    page.get_by_role("button", name="Submit").click()
    assert watched.serious_findings() == []
    steps = {"steps": [{"job_type": "count-sheep", "params": {"steps": 1}} for _ in range(2)]}
    page.goto(f"/pipelines/{shown.call('POST', '/api/v1/pipelines', steps)[2]['pipeline_id']}")
    assert watched.serious_findings() == []
    watched.expected.append("401")
    watched.context.clear_cookies()
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert watched.serious_findings() == []
    shown.call("DELETE", f"/api/v1/jobs/{running}")
