"""What goes wrong around a page: the server is away, the session has ended, the window is narrow, it goes to paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import EMAIL, PASSWORD, WIDE, sign_in
from tests.browser.samples import Sample, fill
from tests.serving import ServerProcess


def end_session(site: ServerProcess) -> None:
    """As thirty days do."""
    with site.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM sessions")


def sign_in_here(page: Page) -> None:
    """Through the form that one was sent to."""
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_after_a_session_ends_under_an_open_page_one_comes_back_to_it(
    open_context: Callable[..., BrowserContext], site: ServerProcess, sample: Sample
) -> None:
    page = open_context().new_page()
    address = f"/agents/{sample.agent.id}/?period=7d"
    page.goto(address)
    expect(page.locator(".headline").first).to_be_visible()
    end_session(site)
    # What asks by itself every few seconds finds out; its own address is no page.
    page.evaluate("document.querySelector('[data-poll]').dispatchEvent(new Event('poll'))")
    page.wait_for_url("**/sign-in?next=*")
    sign_in_here(page)
    page.wait_for_url(f"**{address}")
    expect(page.locator(".headline").first).to_be_visible()


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(
    open_context: Callable[..., BrowserContext], site: ServerProcess, sample: Sample
) -> None:
    page = open_context(expect_errors=True).new_page()
    page.goto(f"/agents/{sample.agent.id}/settings/")
    end_session(site)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/sign-in?next=*")
    sign_in_here(page)
    page.wait_for_url(f"**/agents/{sample.agent.id}/settings/")


def test_while_the_server_is_away_pages_stay_ours_and_come_back(browser: Browser, tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.person(EMAIL, PASSWORD)
        agent = fill(server).agent.id
        port = server.address.rpartition(":")[2]
        context = browser.new_context(viewport=WIDE, base_url=server.address)
        page = context.new_page()
        sign_in(page)
        page.goto(f"/agents/{agent}/")
        expect(page.locator(".headline").first).to_be_visible()
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.reload()  # from now on what this page asks for passes the script
        shown = page.locator(".headline-value").first.inner_text()
        server.stop()
        page.evaluate("document.querySelector('[data-poll]').dispatchEvent(new Event('poll'))")
        expect(page.locator(".away-line")).to_contain_text("has not answered since")
        expect(page.locator(".headline-value").first).to_have_text(shown)
        page.get_by_role("link", name="Conversations", exact=True).first.click()
        expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
        assert page.url.endswith(f"/agents/{agent}/conversations/")
        server.command[server.command.index("--port") + 1] = port
        server.start()
        expect(page.locator("a.row-link").first).to_be_visible(timeout=30_000)
        context.close()


@pytest.mark.parametrize("width", [640, 700, 800, 900, 1000, 1099, 1100, 1440])
def test_every_figure_of_the_overview_stands_under_its_heading(
    open_context: Callable[..., BrowserContext], sample: Sample, width: int
) -> None:
    page = open_context(viewport={"width": width, "height": 800}).new_page()
    page.goto("/")
    shown = page.evaluate(
        """() => {
          const across = (cell) => { const box = cell.getBoundingClientRect(); return [box.left, box.right]; };
          const there = (row) => [...row.children].filter((cell) => cell.getClientRects().length).map(across);
          const heads = there(document.querySelector(".agents thead tr"));
          const rows = [...document.querySelectorAll(".agents tbody tr")].map(there);
          return { heads, rows, wide: document.documentElement.scrollWidth - innerWidth };
        }"""
    )
    assert shown["wide"] <= 0
    for row in shown["rows"]:
        assert len(row) == len(shown["heads"])
        for (left, right), (head_left, head_right) in zip(row, shown["heads"], strict=True):
            assert abs(left - head_left) < 1
            assert abs(right - head_right) < 1


@pytest.mark.parametrize("width", [1280, 1440])
def test_no_curve_leaves_its_card(
    open_context: Callable[..., BrowserContext], sample: Sample, width: int
) -> None:
    page = open_context(viewport={"width": width, "height": 900}).new_page()
    page.goto(f"/agents/{sample.agent.id}/")
    outside = page.evaluate(
        """() => [...document.querySelectorAll(".headline")].filter((card) => {
          const box = card.getBoundingClientRect(), curve = card.querySelector(".spark")?.getBoundingClientRect();
          return curve && (curve.right > box.right + 1 || curve.left < box.left - 1);
        }).length"""
    )
    assert outside == 0


def test_the_scale_of_a_chart_is_never_cut(
    open_context: Callable[..., BrowserContext], sample: Sample
) -> None:
    page = open_context().new_page()
    for chart in ("conversations", "response_time", "escalation_rate", "feedback"):
        page.goto(f"/agents/{sample.agent.id}/?chart={chart}")
        drawing = page.locator("#chart svg")
        expect(drawing).to_be_visible()
        cut = page.evaluate(
            """() => {
              const box = document.querySelector("#chart svg").getBoundingClientRect();
              return [...document.querySelectorAll("#chart svg text")]
                .filter((text) => text.getBoundingClientRect().left < box.left - 0.5)
                .map((text) => text.textContent);
            }"""
        )
        assert cut == []


def test_on_paper_charts_are_whole_and_what_is_for_the_screen_is_gone(
    open_context: Callable[..., BrowserContext], sample: Sample
) -> None:
    page = open_context().new_page()
    page.goto(f"/agents/{sample.agent.id}/")
    expect(page.locator("#chart svg")).to_be_visible()
    page.set_viewport_size({"width": 700, "height": 1000})  # as wide as A4
    page.goto(page.url)
    expect(page.locator("#chart svg")).to_be_visible()
    page.set_viewport_size(WIDE)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})
    assert not page.locator(".skip-link").is_visible()
    assert not page.locator(".sidebar").is_visible()
    assert not page.locator(".figures-end").is_visible()
    wide = page.evaluate(
        """() => [...document.querySelectorAll(".plot svg")].map((drawing) => {
          const box = drawing.getBoundingClientRect(), place = drawing.closest(".plot").getBoundingClientRect();
          return box.width > 100 && box.height > 50 && box.right <= place.right + 1;
        })"""
    )
    assert wide
    assert all(wide)
    keys = page.evaluate(
        """() => [...document.querySelectorAll(".ramp-key *")]
          .every((each) => getComputedStyle(each).printColorAdjust === "exact")"""
    )
    assert keys
