"""Chromium, and a site of real processes, for browser tests and screenshots."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.local.embedded_broker import EmbeddedBroker
from jobs.engine.settings import Settings
from tests.integration.harness import Harness
from tests.integration.streams_support import Web

SAMPLES = Path(__file__).parents[2] / "demo" / "samples"
NAMES = ("chromium", "chromium-browser")

_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"),
    *("--disable-component-update", "--disable-default-apps", "--disable-sync", "--no-first-run", "--no-pings"),
    "--disable-features=Translate,OptimizationHints,MediaRouter,AutofillServerCommunication",
)


def chromium() -> str | None:
    """Return the path of Chromium on this machine, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium(), args=list(_QUIET))


class Site:
    """Broker, workers and web process, with an administrator's credentials."""

    def __init__(self, web: Web, harness: Harness) -> None:
        self.web = web
        self.harness = harness
        self.accounts = Accounts(harness.connection, harness.settings)
        self.admin_key = self.accounts.ensure_admin()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.web.port}"

    def link(self) -> str:
        """Return a link that signs the administrator in once, as start-up prints it."""
        return f"{self.address}/sign-in?token={self.accounts.sign_in.issue_link('admin')}"

    def submit(self, job_type: str, query: str = "", **params: Any) -> str:
        """Submit a job as the administrator and return its ID."""
        status, _, job = self.call("POST", f"/api/v1/jobs/{job_type}{query}", params)
        assert status == 202, job
        return str(job["job_id"])

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        return self.web.call(method, path, body, Authorization=f"Bearer {self.admin_key}")

    def signed_in(self, browser: Browser, **options: Any) -> tuple[BrowserContext, Page]:
        context = browser.new_context(base_url=self.address, **options)
        page = context.new_page()
        page.goto(self.link())
        return context, page


@contextmanager
def site(data_dir: Path, *packages: str, workers: int = 1) -> Iterator[Site]:
    settings = Settings(data_dir=data_dir, job_packages=packages, workers=workers, shutdown_grace=8)
    with EmbeddedBroker(settings) as broker, ExitStack() as stack:
        harness = Harness(broker, settings, stack)
        web = Web(harness, "carol", SHUTDOWN_GRACE="2")
        harness.launch_workers()
        stack.callback(web.stop)
        web.start()
        yield Site(web, harness)
