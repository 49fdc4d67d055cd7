"""From a new server to the first transcript, as somebody does it who has just installed the program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.serving import ServerProcess
from tests.waiting import until


def _printed(server: ServerProcess, pattern: str) -> str:
    """What the server printed that fits the pattern; the line may come a moment after the address."""
    until(lambda: bool(re.search(pattern, "".join(server.output))), why=lambda: "".join(server.output))
    return re.findall(pattern, "".join(server.output))[0]


def test_first_account_key_conversation_transcript(browser: Browser, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        link = _printed(server, r"http://\S+/welcome/\S+")
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()

        page.goto(server.address + "/sign-in")
        expect(page.get_by_text("There is no account on this server yet.")).to_be_visible()

        page.goto(link)
        page.get_by_label("Your name").fill("Ana Kovač")
        page.get_by_label("Email").fill("ana@example.com")
        page.get_by_label("Password").fill("short")
        page.get_by_role("button", name="Create account").click()
        expect(page.get_by_text("takes at least 10 characters")).to_be_visible()
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Create account").click()

        expect(page.get_by_role("heading", name="Add your first agent")).to_be_visible()
        page.get_by_text("New agent").click()
        page.get_by_label("What is the agent called?").fill("Hotel desk")
        page.get_by_role("button", name="Create and connect").click()

        expect(page.get_by_role("heading", name="Waiting for the first conversation")).to_be_visible()
        page.get_by_role("button", name="Create key").click()
        key = page.locator("#new-key").inner_text()
        assert re.fullmatch(r"ags_[0-9a-f]{32}_[0-9a-f]{6}", key)

        # The lines on the page run as they stand, and the page notices by itself.
        lines = page.locator(".tab-python code").inner_text()
        assert key in lines
        subprocess.run([sys.executable, "-c", lines], check=True, timeout=60)
        expect(page.get_by_role("heading", name="Connected")).to_be_visible(timeout=10_000)
        page.get_by_role("link", name="Open it").click()

        expect(page.locator("#reader h1")).to_have_text("Do you deliver on Sundays?")
        expect(page.locator(".turn-user .bubble")).to_contain_text("Do you deliver on Sundays?")
        expect(page.locator(".turn-agent .bubble")).to_contain_text("Yes, from 9 to 17.")

        # The link works once; the key is not shown again.
        page.goto(link)
        expect(page.get_by_role("heading", name="This link is used up")).to_be_visible()
        page.goto(server.address + "/agents/1/connect/")
        assert key not in page.content()

        page.goto(server.address + "/")
        page.get_by_text("Ana Kovač").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto(server.address + "/agents/1/conversations/")
        page.wait_for_url("**/sign-in?next=*")
        page.get_by_label("Email").fill("ana@example.com")
        page.get_by_label("Password").fill("wrong horse battery")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("The email or the password is wrong.")).to_be_visible()
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/agents/1/conversations/")
        context.close()
