"""One site and one Chromium for all tests, and a watched page for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.site import Site, chromium, launch, site
from tests.browser.watched import Watched


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        sentence = "Chromium is not installed: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("data"), "tests.jobs_for_browser", workers=2) as shown:
        yield shown


@pytest.fixture
def watched(browser: Browser, shown: Site) -> Iterator[Watched]:
    """Return the administrator's browser. An unexpected complaint fails the test."""
    context, page = shown.signed_in(browser)
    watched = Watched(context, page, shown.address)
    page.goto("/")
    yield watched
    complaints = watched.complaints
    context.close()
    assert complaints == []


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page
