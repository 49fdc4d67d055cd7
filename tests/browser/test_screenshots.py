"""Pictures of the pages for docs/, from real dialogues. Made only when asked for:

AGENTSIGHT_SCREENSHOTS=1 python -m pytest tests/browser/test_screenshots.py
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
# A dialogue with a failed call, a second try, a click and feedback.
SHOWN = "sgd-9_00051"

pytestmark = [
    pytest.mark.skipif(not os.environ.get("AGENTSIGHT_SCREENSHOTS"), reason="made only when asked for"),
    pytest.mark.skipif(not DIALOGUES.exists(), reason="the dialogues are not at hand"),
]


@pytest.fixture(scope="module")
def travel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, int, int]]:
    """A server with the dialogues: the agent's number and that of the dialogue to show."""
    folder = tmp_path_factory.mktemp("pictures")
    with ServerProcess(folder) as server:
        server.person(EMAIL, PASSWORD)
        for name in ("Hotel desk", "City clinic"):
            server.agent(name)
        command = [sys.executable, "-m", "agentsight_server", "import", str(DIALOGUES)]
        subprocess.run(
            [*command, "--agent", "Travel concierge", "--data-dir", str(folder)],
            check=True,
            timeout=120,
            capture_output=True,
        )
        with server.database.read() as connection:
            row = connection.exec_driver_sql(
                f"SELECT agent_id, id FROM conversations WHERE conversation_id = '{SHOWN}'"
            ).one()
        yield server, row[0], row[1]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["1440", "390"])
def test_pictures(
    browser: Browser, travel: tuple[ServerProcess, int, int], viewport: dict[str, int], theme: str
) -> None:
    server, agent, conversation = travel
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
    page.goto(f"/agents/{agent}/conversations/")
    if not narrow:
        page.locator("a.row-link").nth(2).click()
        expect(page.locator("#reader[data-conversation]")).to_be_visible()
        page.mouse.move(0, 0)
    _take(page, "list", viewport, theme)
    page.goto(f"/agents/{agent}/conversations/{conversation}/")
    expect(page.locator("#reader[data-conversation]")).to_be_visible()
    _take(page, "transcript", viewport, theme)
    context.close()


def _take(page: Page, name: str, viewport: dict[str, int], theme: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.evaluate("document.fonts.ready.then(() => true)")
    picture = PICTURES / f"{name}-{viewport['width']}-{theme}.png"
    page.screenshot(path=picture, animations="disabled")
    assert picture.stat().st_size > 20_000
