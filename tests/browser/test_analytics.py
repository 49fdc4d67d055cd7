"""The page of figures: what it says, what its links lead to, and what one can do with it."""

from __future__ import annotations

import gzip
import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import BrowserContext, Page, Response, expect

from tests.browser.conftest import PHONE, WIDE
from tests.browser.samples import iso, message, send
from tests.browser.test_accessibility import AXE
from tests.serving import Agent, ServerProcess

DAY = 86_400.0
CONVERSATIONS = 40


@dataclass
class Shop:
    """An agent with forty conversations of the last twelve days."""

    agent: Agent

    @property
    def path(self) -> str:
        return f"/agents/{self.agent.id}/"


@pytest.fixture(scope="module")
def shop(site: ServerProcess) -> Shop:
    agent = site.agent("Corner shop")
    now = time.time()
    devices = ["mobile", "desktop", "mobile", None]
    sources = ["whatsapp", "web", None, "web", "voice_call"]
    languages = ["en", "en-US", "hr", None, "de-AT", "en-GB", "de"]
    places = ["161.53.72.1", "8.8.8.8", None]  # Croatia, the United States, nowhere
    for number in range(CONVERSATIONS):
        began = now - (number % 12) * DAY - number * 3_571 - 60
        items: list[dict[str, Any]] = [
            message(f"Question {number}?", "end_user", began),
            message("Let me see.", "agent", began + 1.2 + number % 3),
        ]

        def add(kind: str, at: float, items: list[dict[str, Any]] = items, **more: Any) -> None:
            items.append({"id": str(uuid.uuid4()), "type": kind, "timestamp": iso(at), **more})

        if number % 2:
            failed = {"error_msg": "TimeoutError"} if number % 8 == 1 else {}
            add("action", began + 2, action_name="check_stock", duration_ms=100 + number, **failed)
        if number % 3 == 0:
            label = ("Yes", "No")[number % 2]
            add("button", began + 4, button_event="after_chat", label=label, value=label)
        if number % 10 == 4:
            add("action", began + 5, action_name="contact_human", duration_ms=20)
        if number % 5 == 0:
            sentiment = ("positive", "positive", "negative")[number % 3]
            add("feedback", began + 6, sentiment=sentiment, comment=f"Comment {number}")
        if number % 7 == 0:
            items.append(message("Are you still there?", "end_user", began + 9))
        tokens = {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960}
        add("token_usage", began + 3, model=("gpt-4o-mini", "homemade-7b")[number % 2], **tokens)
        fields = {
            "customer_id": f"customer-{number % 17}" if number % 9 else None,
            "device": devices[number % 4],
            "source": sources[number % 5],
            "language": languages[number % 7],
            "customer_ip_address": places[number % 3],
            "environment": "production",
            "metadata": {"tier": ("free", "pro")[number % 2]},
        }
        given = {name: value for name, value in fields.items() if value is not None}
        send(agent, f"shop-{number}-{uuid.uuid4().hex[:6]}", items, began, **given)
    send(
        agent,
        f"dev-{uuid.uuid4().hex[:6]}",
        [message("Test", "end_user", now)],
        now,
        environment="development",
    )
    return Shop(agent)


def counted(page: Page, address: str) -> int:
    """How many conversations the list at an address has."""
    answer = page.request.get(urljoin(page.url, address))
    assert answer.ok, address
    text = answer.text()
    assert "This filter is left out" not in text, address
    found = re.search(r'id="list-count">([\d,]+)<', text)
    assert found, address
    return int(found[1].replace(",", ""))


def number_in(text: str) -> int:
    found = re.search(r"[\d,]+", text)
    assert found, text
    return int(found[0].replace(",", ""))


def links(page: Page, selector: str, count: str) -> list[tuple[str, int]]:
    """The addresses of links, and the counts that stand in them."""
    found = []
    for link in page.locator(selector).all():
        text = link.locator(count).first.text_content() if count else link.text_content()
        found.append((link.get_attribute("href") or "", number_in(text or "")))
    assert found, selector
    return found


def test_the_sentence_and_the_cards(page: Page, shop: Shop) -> None:
    page.goto("/")
    page.get_by_role("link", name="Corner shop").first.click()
    expect(page.get_by_role("heading", name="Corner shop")).to_be_visible()
    expect(page.locator(".summary")).to_have_text(
        re.compile(
            r"In the last 30 days the assistant held 40 conversations with 17 people and handed 10 % of them "
            r"to a human; people got an answer in 2\.\d s\."
        )
    )
    expect(page.locator('[data-card="conversations"] .headline-value')).to_have_text("40")
    expect(page.locator('[data-card="messages"] .headline-value')).to_have_text("86")
    expect(page.locator('[data-card="escalation_rate"]')).to_contain_text("4 of 40")
    # Nothing came before: nothing is said of a change.
    expect(page.locator(".headline .change")).to_have_count(0)


def test_every_count_is_the_count_of_the_list_behind_it(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    exact = [
        *links(page, ".breakdown .bars .bar-link", ".bar-count"),
        *links(page, ".places-list .bar-link", ".bar-count"),
        *links(page, ".bar-detail a", ""),
        *links(page, ".funnel-step", ".funnel-count"),
        *links(page, ".fact-value a", ""),
        *links(page, "[aria-labelledby=handed] .rated a", ""),
        *links(page, "[aria-labelledby=feedback] .rated a", ""),
        *links(page, '.hours-table[data-week="conversations"] a', ""),
    ]
    exact += links(page, "#chart-table tbody td:nth-child(2) a", "")
    assert len(exact) > 50
    wrong = [(href, count, there) for href, count in exact if (there := counted(page, href)) != count]
    assert not wrong
    unknown = [href for href, _ in exact if "__isnull=true" in href]
    assert {re.search(r"(\w+)__isnull", href)[1] for href in unknown} == {  # type: ignore[index]
        "source", "device", "language", "country",
    }  # fmt: skip


def test_items_open_all_conversations_that_have_them(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    tools = page.locator(".tools-table .bar-link").all()
    runs = page.locator(".tools-table tbody td:nth-child(2)").all_text_contents()
    # In this shop a conversation has a thing once or not at all: the counts are equal.
    assert [counted(page, tool.get_attribute("href") or "") for tool in tools] == [20, 4]
    assert [number_in(text) for text in runs] == [20, 4]
    for href, clicks in links(page, ".buttons-list .bar-link", ".bar-count"):
        assert counted(page, href) == clicks
    for href, given in links(page, ".parts-key a", "b"):
        assert counted(page, href) == given
    hours = page.locator('.hours-table[data-week="messages"] a')
    for cell in hours.all()[:12]:
        assert 0 < counted(page, cell.get_attribute("href") or "") <= number_in(cell.text_content() or "")


def test_a_filter_narrows_every_figure_and_stays_in_the_address(page: Page, shop: Shop) -> None:
    page.goto(shop.path + "?period=90d")
    page.locator(".filter-menu > summary", has_text="Filter").click()
    page.get_by_label("Device", exact=True).select_option("mobile")
    page.get_by_label("Metadata", exact=True).fill("tier:free")
    page.get_by_role("button", name="Show figures").click()
    page.wait_for_url(re.compile(r"period=90d.*device=mobile.*metadata=tier"))
    assert "customer_id" not in page.url
    expect(page.locator('[data-card="conversations"] .headline-value')).to_have_text("20")
    for href, count in links(page, ".breakdown .bars .bar-link", ".bar-count"):
        assert counted(page, href) == count
    page.get_by_role("link", name="Remove the filter Mobile").click()
    page.wait_for_url(re.compile(r"metadata=tier"))
    assert "device" not in page.url
    page.goto(shop.path + "?device__isnull=true")
    expect(page.locator(".chip")).to_contain_text("Device unknown")
    expect(page.locator('[data-card="conversations"] .headline-value')).to_have_text("10")


def test_what_is_not_understood_is_said_and_left_out(page: Page, shop: Shop) -> None:
    page.goto(shop.path + "?device=toaster&period=always&from=2026-13-01")
    notices = page.locator(".notice-bad")
    expect(notices).to_have_count(3)
    expect(notices.filter(has_text="toaster")).to_be_visible()
    expect(page.locator('[data-card="conversations"] .headline-value')).to_have_text("40")
    answer = page.request.get(shop.path + "?from=1200-01-01&to=2400-01-01")
    assert answer.ok


def test_a_card_becomes_the_big_chart_without_a_reload(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    expect(page.locator("#chart svg")).to_be_visible()
    page.evaluate("window.stayed = true")
    page.locator('[data-card="response_time"]').click()
    expect(page.locator("#chart-title")).to_have_text("Answer time")
    expect(page.locator("#chart")).to_contain_text(" s")
    expect(page).to_have_url(re.compile("chart=response_time"))
    assert page.evaluate("window.stayed")
    page.reload()
    expect(page.locator("#chart-title")).to_have_text("Answer time")
    # By keyboard, too.
    page.get_by_role("link", name="Satisfaction").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#chart-title")).to_have_text("Satisfaction")


def test_keys_choose_the_period(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    page.keyboard.press("w")
    page.wait_for_url("**period=7d")
    expect(page.locator(".summary")).to_contain_text("In the last 7 days")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile("from=.*to="))
    page.keyboard.press("x")
    page.wait_for_url(re.compile("compare=year"))
    expect(page.locator(".compare-menu > summary")).to_contain_text("a year before")
    page.keyboard.press("c")
    expect(page.get_by_label("From", exact=True)).to_be_focused()
    # In a field a letter is a letter.
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.wait_for_url(re.compile("period=today"))
    expect(page.locator(".summary")).to_contain_text("Today")


def test_own_days(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    page.locator(".period-menu > summary").click()
    first, last = (time.strftime("%Y-%m-%d", time.gmtime(time.time() - days * DAY)) for days in (9, 5))
    page.get_by_label("From", exact=True).fill(first)
    page.get_by_label("To", exact=True).fill(last)
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url(re.compile(f"from={first}.*to={last}"))
    shown = number_in(page.locator('[data-card="conversations"] .headline-value').text_content() or "")
    assert 0 < shown < CONVERSATIONS
    assert counted(page, f"{shop.path}conversations/?from={first}&to={last}&environment=production") == shown


def test_a_cell_and_a_country_lead_to_their_conversations(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    expect(page.locator('[data-plot="hours"] svg')).to_be_visible()
    week = json.loads(page.locator("#hours-data").text_content() or "")["conversations"]["days"]
    day, hour = next((d, h) for d in range(7) for h in range(24) if week[d][h]["count"])
    box = page.locator('[data-plot="hours"]').bounding_box()
    assert box
    # The place of a cell: the axis takes 36 on the left and 22 below.
    x = 36 + (box["width"] - 36) * (hour + 0.5) / 24
    y = 2 + (box["height"] - 24) * (day + 0.5) / 7
    page.locator('[data-plot="hours"]').hover(position={"x": x, "y": y})
    expect(page.locator(".tip").first).to_have_text(week[day][hour]["text"])
    page.locator('[data-plot="hours"]').click(position={"x": x, "y": y})
    page.wait_for_url("**/conversations/**")
    expect(page.locator("#list-count")).to_have_text(str(week[day][hour]["count"]))
    expect(page.locator(".row-item")).to_have_count(week[day][hour]["count"])

    page.go_back()
    expect(page.locator('[data-plot="map"] svg')).to_be_visible()
    lands = json.loads(page.locator("#map-data").text_content() or "")
    assert {land["code"] for land in lands} == {"HR", "US"}
    box = page.locator('[data-plot="map"]').bounding_box()
    assert box
    # Kansas.
    spot = {"x": box["width"] * 0.23, "y": box["height"] * 0.345}
    page.locator('[data-plot="map"]').hover(position=spot)
    expect(page.locator(".tip").last).to_contain_text("United States, 13 conversations")
    page.locator('[data-plot="map"]').click(position=spot)
    page.wait_for_url(re.compile("country=US"))
    expect(page.locator("#list-count")).to_have_text("13")


def test_a_point_of_the_chart_leads_to_its_day(page: Page, shop: Shop) -> None:
    page.goto(shop.path + "?period=7d")
    chart = page.locator("#chart")
    expect(chart.locator("svg")).to_be_visible()
    box = chart.bounding_box()
    assert box
    spot = {"x": 46 + (box["width"] - 60) * 3 / 6, "y": box["height"] / 2}
    chart.hover(position=spot)
    tip = chart.locator(".tip b")
    expect(tip).to_contain_text("conversation")
    count = number_in(tip.text_content() or "")
    chart.click(position=spot)
    page.wait_for_url("**/conversations/**")
    expect(page.locator("#list-count")).to_have_text(str(count))


def test_development_is_apart(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    page.get_by_role("link", name="Show development").click()
    expect(page.locator(".summary")).to_contain_text("1 conversation")
    expect(page.locator(".chip")).to_contain_text("Development")
    page.get_by_role("link", name="Back to production").click()
    expect(page.locator('[data-card="conversations"] .headline-value')).to_have_text("40")


def test_nothing_yet_says_what_to_do(page: Page, site: ServerProcess) -> None:
    agent = site.agent()
    path = f"/agents/{agent.id}/"
    page.goto(path)
    expect(page.get_by_role("heading", name="The figures begin with the first conversation")).to_be_visible()
    expect(page.get_by_role("link", name="Connect your agent")).to_be_visible()
    now = time.time()
    send(agent, "a", [message("Hi", "end_user", now)], now, environment="development")
    page.reload()
    page.get_by_role("link", name="Show development", exact=True).first.click()
    expect(page.locator(".summary")).to_contain_text("1 conversation")
    then = now - 100 * DAY
    send(agent, "b", [message("Hi", "end_user", then)], then, environment="production")
    page.goto(path)
    expect(page.get_by_role("heading", name="Nothing in these days")).to_be_visible()
    page.get_by_role("link", name="Show the 30 days up to it").click()
    expect(page.locator('[data-card="conversations"] .headline-value')).to_have_text("1")
    page.goto(page.url + "&device=tablet")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()


def test_the_present_shows_by_itself(page: Page, site: ServerProcess) -> None:
    agent = site.agent()
    now = time.time()
    send(agent, "old", [message("Hi", "end_user", now - DAY)], now - DAY, environment="production")
    page.goto(f"/agents/{agent.id}/")
    expect(page.locator("#now")).to_contain_text("0 now")
    now = time.time()
    send(agent, "new", [message("Hello?", "end_user", now)], now, environment="production")
    expect(page.locator("#now")).to_contain_text("1 now", timeout=20_000)


def test_the_time_zone_can_be_another_one(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    expect(page.locator(".figures-foot")).to_contain_text("Times in Europe/Zagreb")
    page.locator(".figures-foot").get_by_role("link", name="Change").click()
    page.get_by_label("Time zone").fill("Asia/Kolkata")
    page.get_by_role("button", name="Use it").click()
    expect(page.locator(".figures-foot")).to_contain_text("Times in Asia/Kolkata")
    for href, count in links(page, '.hours-table[data-week="conversations"] a', "")[:10]:
        assert counted(page, href) == count
    page.goto(f"/time-zones/?next={shop.path}")
    page.get_by_label("Time zone").fill("")
    page.get_by_role("button", name="Use it").click()
    expect(page.locator(".figures-foot")).to_contain_text("Times in Europe/Zagreb")


def test_tables_and_files_hold_the_same_numbers(page: Page, shop: Shop) -> None:
    page.goto(shop.path)
    page.get_by_role("button", name="Conversations as a table").click()
    expect(page.locator("#chart-table")).to_be_visible()
    expect(page.locator("#chart")).to_be_hidden()
    cells = page.locator("#chart-table tbody td:nth-child(2)").all_text_contents()
    assert sum(map(int, cells)) == CONVERSATIONS
    for link in page.locator("a[download]").all():
        answer = page.request.get(link.get_attribute("href") or "")
        assert answer.ok, (link.get_attribute("href"), answer.text()[:200])
        assert "attachment" in answer.headers["content-disposition"]
    whole = page.request.get(f"{shop.path}figures/page.json").json()
    assert whole["metrics"]["conversations"]["value"] == CONVERSATIONS
    assert sum(row["conversations"] for row in whole["metrics"]["over_time"]["rows"]) == CONVERSATIONS
    lines = page.request.get(f"{shop.path}figures/over_time.csv").text().strip().splitlines()
    assert len(lines) == 31
    assert lines[0].lstrip("\ufeff").startswith("start,conversations,messages,people")
    assert page.request.get(f"{shop.path}figures/nothing.csv").status == 404


def test_without_scripts_the_numbers_are_tables(
    open_context: Callable[..., BrowserContext], shop: Shop
) -> None:
    state = open_context().storage_state()
    context = open_context(as_owner=False, java_script_enabled=False, storage_state=state)
    page = context.new_page()
    page.goto(shop.path)
    expect(page.locator("#chart-table")).to_be_visible()
    expect(page.locator('.hours-table[data-week="conversations"]')).to_be_visible()
    expect(page.locator("#chart")).to_be_hidden()
    page.locator('[data-chart-of="users"]').click()
    expect(page.locator("#chart-title")).to_have_text("People")


def test_another_persons_agent_is_not_there(
    open_context: Callable[..., BrowserContext], site: ServerProcess, shop: Shop
) -> None:
    page = open_context(expect_errors=True).new_page()
    for path in ("/agents/99999/", "/agents/99999/now/", "/agents/99999/figures/page.json"):
        answer = page.goto(path)
        assert answer
        assert answer.status == 404


def test_the_overview_has_the_same_figures(page: Page, shop: Shop) -> None:
    page.goto("/")
    row = page.get_by_role("row").filter(has_text="Corner shop")
    expect(row).to_contain_text("40")
    expect(row).to_contain_text("10 %")
    expect(row.locator("polyline")).to_have_count(1)
    row.get_by_role("link").click()
    page.wait_for_url(f"**{shop.path}")


def test_the_weight_of_the_page(page: Page, shop: Shop) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(shop.path)
    expect(page.locator('[data-plot="map"] svg')).to_be_visible()
    for kind, most in {"script": 350, "stylesheet": 100}.items():
        addresses = {each.url for each in answers if each.request.resource_type == kind}
        packed = [len(gzip.compress(page.request.get(address).body(), 9)) for address in addresses]
        assert 0 < sum(packed) <= most * 1024, (kind, packed)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_serious(
    open_context: Callable[..., BrowserContext], shop: Shop, viewport: dict[str, int], theme: str
) -> None:
    options = {"viewport": viewport, "color_scheme": theme, "bypass_csp": True}
    page = open_context(**options).new_page()
    axe = AXE.read_text("utf-8")
    found = []
    for path in (
        shop.path,
        shop.path + "?device=mobile&chart=feedback",
        shop.path + "?device=tablet",
        shop.path + "settings/",
        shop.path + "conversations/?event=tool&event_name=check_stock",
        "/",
        "/time-zones/",
    ):
        page.goto(path)
        if page.locator("[data-plot]").count():
            expect(page.locator('[data-plot="map"] svg')).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        for table in page.locator("[data-table]").all():
            table.click()
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            (path, each["id"], each["nodes"][0]["target"], each["nodes"][0]["failureSummary"])
            for each in result["violations"]
            if each["impact"] in {"serious", "critical"}
        ]
    assert not found
