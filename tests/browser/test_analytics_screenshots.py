"""Pictures of the analytics page and the overview for docs/, from real dialogues. Made only when asked for:

AGENTSIGHT_SCREENSHOTS=1 python -m pytest tests/browser/test_analytics_screenshots.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import EMAIL, PASSWORD, PHONE, WIDE, sign_in
from tests.serving import ServerProcess

ROOT = Path(__file__).parents[2]
DIALOGUES = ROOT / "tests" / "data" / "sgd_conversations.jsonl.gz"
PICTURES = ROOT / "docs" / "screenshots"
# The dialogues lie in these months.
DAYS = "?from=2026-09-01&to=2026-09-30"

pytestmark = [
    pytest.mark.skipif(not os.environ.get("AGENTSIGHT_SCREENSHOTS"), reason="made only when asked for"),
    pytest.mark.skipif(not DIALOGUES.exists(), reason="the dialogues are not at hand"),
]


@pytest.fixture(scope="module")
def travel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, int]]:
    """A server with the dialogues, and the agent's number."""
    folder = tmp_path_factory.mktemp("pictures")
    with ServerProcess(folder) as server:
        server.person(EMAIL, PASSWORD)
        command = [sys.executable, "-m", "agentsight_server", "import", str(DIALOGUES)]
        subprocess.run(
            [*command, "--agent", "Travel concierge", "--data-dir", str(folder)],
            check=True,
            timeout=120,
            capture_output=True,
        )
        with server.database.read() as connection:
            number = connection.exec_driver_sql("SELECT id FROM agents").scalar_one()
        yield server, int(number)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["1440", "390"])
def test_pictures(
    browser: Browser, travel: tuple[ServerProcess, int], viewport: dict[str, int], theme: str
) -> None:
    server, agent = travel
    narrow = viewport is PHONE
    context = browser.new_context(
        base_url=server.address,
        viewport=viewport,
        color_scheme=theme,
        device_scale_factor=2 if narrow else 1,
        has_touch=narrow,
        timezone_id="Europe/Zagreb",
        reduced_motion="reduce",
    )
    page = context.new_page()
    sign_in(page)
    page.goto(f"/agents/{agent}/{DAYS}")
    for name in ("trend", "hours", "map"):
        expect(page.locator(f'[data-plot="{name}"] svg')).to_be_visible()
    _take(page, "analytics", viewport, theme)
    context.close()


def _take(page: Page, name: str, viewport: dict[str, int], theme: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.evaluate("document.fonts.ready.then(() => true)")
    picture = PICTURES / f"{name}-{viewport['width']}-{theme}.png"
    # A phone shows the first screens, a desk the whole page.
    if viewport is PHONE:
        page.set_viewport_size({"width": viewport["width"], "height": 2_400})
        page.screenshot(path=picture, animations="disabled")
    else:
        page.screenshot(path=picture, animations="disabled", full_page=True)
    assert picture.stat().st_size > 20_000
