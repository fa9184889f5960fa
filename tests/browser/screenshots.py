"""Take pictures of the main pages, narrow and wide, light and dark, into docs/pictures/.

make screenshots
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page, sync_playwright

from jobs.engine.operate.trends import KEY, STEP_SECONDS, Sample
from tests.browser.site import SAMPLES, Site, launch, site
from tests.waiting import eventually

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WIDTHS = {"wide": (1440, 900), "narrow": (390, 844)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> int:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        site(Path(data), "jobs", "tests.jobs_for_browser", workers=2) as shown,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        places = _prepared(shown)
        for name, (width, height) in WIDTHS.items():
            for scheme in SCHEMES:
                viewport: Any = {"width": width, "height": height}
                context, page = shown.signed_in(browser, viewport=viewport, color_scheme=scheme)
                _take_all(page, places, f"{name}-{scheme}")
                context.close()
        browser.close()
    print(f"The pictures are in {PICTURES}.")
    return 0


def _take_all(page: Page, places: dict[str, str], suffix: str) -> None:
    for name, place in places.items():
        page.goto(place)
        if name == "form-with-errors":
            page.fill("[name='/customer_email'], [name='/order/customer_email']", "not an address")
            page.click("#submit")
        if name == "overview":
            page.wait_for_selector(".chart canvas")
        page.evaluate("document.fonts.ready")
        page.screenshot(path=PICTURES / f"{name}-{suffix}.png", full_page=True)


def _prepared(shown: Site) -> dict[str, str]:
    """Create jobs in every state, and return the paths of the pages to take."""
    photo = _uploaded(shown, "photo.jpg", "image/jpeg")
    pictured = shown.submit("process-image", "?tag=photos", file=photo, sizes=[480, 240, 120])
    texts = ["I love this", "It broke on the second day", "Fine, I suppose", "Would buy again at once"]
    table = shown.submit("batch-predict", "?tag=nightly", texts=texts)
    failed = shown.submit("ask-the-shop", answer="The shop answered 503 <script>alert(1)</script>; is it closed?")
    shown.submit("count-sheep", "?tag=nightly&delay=3600", steps=1)
    order = {"order_id": "A-1017", "customer_name": "Ada", "customer_email": "ada@example.com"}
    items = [{"name": "Horseshoe", "quantity": 4, "unit_price": "12.50"}]
    shown.submit("send-order-confirmation", order=order | {"items": items})
    for job_id in (pictured, table, failed):
        _ended(shown, job_id)
    steps = [
        {"job_type": "batch-predict", "params": {"texts": texts}},
        {"job_type": "count-sheep", "params": {"steps": 2000, "seconds": 0.1}},
        {"job_type": "send-email", "params": {"to": "ada@example.com", "subject": "Done", "body": "All of it."}},
    ]
    pipeline = shown.call("POST", "/api/v1/pipelines", {"steps": steps})[2]["pipeline_id"]
    running = shown.submit("count-sheep", "?tag=nightly", steps=500, seconds=0.2)
    nightly: dict[str, Any] = {
        "job_type": "batch-predict",
        "params": {"texts": texts},
        "cron": "0 6 * * 1-5",
        "timezone": "Europe/Berlin",
    }
    shown.call("POST", "/api/v1/schedules", nightly)
    shown.call("POST", "/api/v1/api-keys", {"name": "nightly import"})
    _store_made_up_trends(shown)
    eventually(lambda: (shown.call("GET", f"/api/v1/jobs/{running}")[2]["progress"] or 0) > 2, "the job makes progress")
    return {
        "catalogue": "/",
        "form": "/submit/process-image",
        "form-with-errors": "/submit/send-order-confirmation",
        "jobs": "/jobs",
        "job-running": f"/jobs/{running}",
        "job-pictures": f"/jobs/{pictured}",
        "job-table": f"/jobs/{table}",
        "job-failed": f"/jobs/{failed}",
        "pipeline": f"/pipelines/{pipeline}",
        "schedules": "/schedules",
        "keys": "/keys",
        "overview": "/overview",
        "audit": "/audit",
        "empty": "/jobs?tag=nobody",
    }


def _uploaded(shown: Site, name: str, content_type: str) -> str:
    content = (SAMPLES / name).read_bytes()
    return shown.harness.client.files.save("admin", name, content_type, [content]).file_id


def _ended(shown: Site, job_id: str) -> None:
    ends = ("completed", "failed", "cancelled")
    eventually(lambda: shown.call("GET", f"/api/v1/jobs/{job_id}")[2]["status"] in ends, f"job {job_id} ends", 60)


def _store_made_up_trends(shown: Site) -> None:
    """Store made-up trends of eight hours: a wave with a bad half-hour."""
    end = int(time.time()) // STEP_SECONDS * STEP_SECONDS
    sums = dict.fromkeys(("completed", "failed", "cancelled", "started"), 0)
    waited = 0.0
    shown.harness.connection.delete(KEY)
    for minute in range(480, -1, -1):
        wave = 40 + abs(minute % 160 - 80) // 2
        bad = 9 if 200 < minute < 230 else minute % 7 == 0
        sums["completed"] += wave
        sums["failed"] += int(bad)
        sums["cancelled"] += minute % 45 == 0
        sums["started"] += wave
        waited += wave * (0.05 + (2.4 if 200 < minute < 230 else 0.002 * (minute % 20)))
        sample = Sample(**sums, waited_seconds=waited, depth=wave // 4)
        at = end - minute * STEP_SECONDS
        shown.harness.connection.zadd(KEY, {f"{at} {json.dumps(vars(sample))}": at})


if __name__ == "__main__":
    sys.exit(main())
