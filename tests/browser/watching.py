"""A browser page that notes what went wrong: errors, dialogs, refused content, answers that failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


@dataclass
class Watched:
    """complaints: what no page of the explorer may cause."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda one: one.type in ("error", "warning") and self.complaints.append(one.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("requestfailed", self._failed)

    def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left meanwhile
            self.complaints.append(f"{request.url}: {request.failure}")

    def barriers(self, *rules: str) -> list[str]:
        """Serious violations that axe-core finds on the page as it stands; of these rules only, if any are named."""
        options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
        if self.page.evaluate("typeof axe") == "undefined":
            self.page.evaluate(AXE.read_text() + "; 0")
        found = self.page.evaluate("(options) => axe.run(document, options)", options)
        return [
            f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']][:3]}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
        ]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
