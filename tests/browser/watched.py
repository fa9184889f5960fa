"""A browser that records forbidden requests, violations of the policy and errors in the console."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page

AXE = Path(__file__).parent / "axe-core" / "axe.min.js"
#: The impacts of axe-core that fail a test.
SERIOUS = ("serious", "critical")

_LISTEN = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


class Watched:
    def __init__(self, context: BrowserContext, page: Page, address: str) -> None:
        self.context = context
        self.page = page
        self.complaints: list[str] = []
        #: Parts of complaints that a test causes itself.
        self.expected: list[str] = []
        self._address = address
        context.add_init_script(_LISTEN)
        context.on("request", self._requested)
        context.on("console", lambda message: self._log(message.type, message.text))
        context.on("weberror", lambda error: self._log("error", str(error.error)))

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self._address, "blob:", "data:")):
            self.complaints.append(f"request to another host: {request.url}")

    def _log(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(each in text for each in self.expected):
            self.complaints.append(f"{kind}: {text}")

    def second_tab(self) -> Page:
        return self.context.new_page()

    def serious_findings(self, *rules: str) -> list[str]:
        """Return the serious problems that axe-core finds on the page. It bypasses the policy, as an extension does."""
        self.page.evaluate(AXE.read_text() + "; null")
        # Without preload: it would copy imported styles into the page, which the policy forbids.
        options = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": list(rules)} if rules else {})
        found = self.page.evaluate("options => axe.run(document, options)", options)
        return [
            f"{self.page.url} {each['impact']} {each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
        ]
