"""axe finds nothing serious on any page, in both themes, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import PHONE, WIDE
from tests.browser.samples import Sample

AXE = Path(__file__).parents[2] / "server" / "web" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_page(
    open_context: Callable[..., BrowserContext], sample: Sample, viewport: dict[str, int], theme: str
) -> None:
    options = {"viewport": viewport, "color_scheme": theme, "bypass_csp": True, "expect_errors": True}
    inside = open_context(**options).new_page()
    outside = open_context(as_owner=False, **options).new_page()
    pages = [
        (outside, "/sign-in"),
        (outside, "/welcome/used-up"),
        (outside, "/nothing-here"),
        (inside, "/"),
        (inside, sample.list_path),
        (inside, sample.list_path + "?source=whatsapp&device=toaster"),
        (inside, sample.list_path + "?search=nobody+said+this"),
        (inside, sample.path("case")),
        (inside, sample.path("files")),
        (inside, sample.path("case") + "print/"),
        (inside, f"/agents/{sample.agent.id}/connect/"),
        (inside, "/agents/99999/"),
        (inside, "/api/docs/"),
    ]
    axe = AXE.read_text("utf-8")
    found = []
    for page, path in pages:
        page.goto(path)
        for menu in page.locator("details.menu > summary").all():
            if menu.is_visible():
                menu.click()
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            (path, each["id"], each["nodes"][0]["target"], each["nodes"][0]["failureSummary"])
            for each in result["violations"]
            if each["impact"] in {"serious", "critical"}
        ]
    assert not found
