"""The list of conversations beside the one that is read."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PHONE
from tests.browser.samples import Sample


def row(page: Page, number: int):
    return page.locator(f"#conversation-{number}")


def reading(page: Page, number: int) -> None:
    expect(page.locator(f'#reader[data-conversation="{number}"]')).to_be_visible()
    expect(page).to_have_url(re.compile(rf"/conversations/{number}/"))
    expect(row(page, number).locator("a")).to_have_attribute("aria-current", "true")


def test_a_click_opens_beside_the_list_and_back_goes_back(page: Page, sample: Sample) -> None:
    page.goto(sample.list_path)
    page.evaluate("window.stayed = true")
    row(page, sample.numbers["case"]).click()
    reading(page, sample.numbers["case"])
    expect(page).to_have_title(re.compile(r"^I need a hotel in Split"))
    row(page, sample.numbers["question"]).click()
    reading(page, sample.numbers["question"])
    page.go_back()
    reading(page, sample.numbers["case"])
    assert page.evaluate("window.stayed"), "the page was loaded again"


def test_keys_move_open_and_search(page: Page, sample: Sample) -> None:
    page.goto(sample.list_path)
    expect(page.locator(".row-item")).to_have_count(4)
    page.keyboard.press("j")
    reading(page, sample.numbers["question"])
    page.keyboard.press("j")
    reading(page, sample.numbers["files"])
    page.keyboard.press("k")
    reading(page, sample.numbers["question"])
    page.keyboard.press("/")
    page.keyboard.type("hotel in split")
    page.keyboard.press("Enter")
    expect(page.locator(".row-item")).to_have_count(1)
    expect(page.locator(".chip")).to_contain_text("hotel in split")


def test_pressing_faster_than_the_server_answers_opens_the_last(page: Page, sample: Sample) -> None:
    page.goto(sample.list_path)
    page.evaluate("window.stayed = true")
    for _ in range(4):
        page.keyboard.press("j")
    reading(page, sample.numbers["before"])
    assert page.evaluate("window.stayed")


def test_new_conversations_arrive_where_they_belong(page: Page, sample: Sample) -> None:
    page.goto(sample.list_path)
    newest = sample.say("new-1", "Hello, is anybody there?")
    expect(page.locator(".row-item").first).to_have_id(f"conversation-{newest}", timeout=10_000)
    # Begun before the newest but sent after it: it stands second, not first and not nowhere.
    late = sample.say("late-1", "I took my time", ago=30)
    expect(page.locator(".row-item").nth(1)).to_have_id(f"conversation-{late}", timeout=10_000)
    expect(page.locator("#new-rows")).to_be_hidden()


def test_what_is_read_does_not_move_when_news_arrive(page: Page, sample: Sample) -> None:
    for each in range(14):
        sample.say(f"fill-{each}", f"Question {each}", ago=200 + each)
    page.goto(sample.list_path)
    expect(page.locator(".row-item")).to_have_count(18)
    page.locator("#list-scroll").evaluate("pane => { pane.scrollTop = 400 }")
    looked_at = row(page, sample.numbers["case"])
    looked_at.scroll_into_view_if_needed()
    before = looked_at.bounding_box()
    sample.say("new-2", "First")
    sample.say("new-3", "Second")
    pill = page.locator("#new-rows")
    expect(pill).to_have_text("2 new", timeout=10_000)
    after = looked_at.bounding_box()
    assert before
    assert after
    assert abs(before["y"] - after["y"]) < 2
    pill.click()
    expect(page.locator(".row-item").first).to_contain_text("Second")
    expect(page.locator(".row-item").first).to_be_in_viewport()
    expect(pill).to_be_hidden()


def test_an_open_conversation_goes_on_by_itself(page: Page, sample: Sample) -> None:
    number = sample.say("going-on", "Are you there?")
    page.goto(f"{sample.list_path}{number}/")
    expect(page.locator(".bubble")).to_have_count(1)
    sample.say("going-on", "Yes, **always**.", sender="agent")
    expect(page.locator(".turn-agent .bubble strong")).to_have_text("always", timeout=10_000)


def test_older_conversations_follow_and_none_comes_twice(page: Page, sample: Sample) -> None:
    for each in range(60):
        sample.say(f"old-{each}", f"Old question {each}", ago=100_000 + each * 60)
    page.goto(sample.list_path)
    expect(page.locator(".row-item")).to_have_count(50)
    # One more arrives between the pages: the second page is not shifted by it.
    newest = sample.say("between", "In between")
    expect(row(page, newest)).to_be_visible(timeout=10_000)
    page.locator("#list-scroll").evaluate("pane => { pane.scrollTop = pane.scrollHeight }")
    expect(page.locator(".row-item")).to_have_count(65)
    numbers = page.locator(".row-item").evaluate_all("rows => rows.map(row => row.id)")
    assert len(set(numbers)) == 65


def test_a_conversation_far_down_stands_in_the_list_that_its_address_opens(
    page: Page, sample: Sample
) -> None:
    for each in range(55):
        sample.say(f"above-{each}", f"Newer question {each}")
    page.goto(sample.path("before"))
    reading(page, sample.numbers["before"])
    page.get_by_role("link", name="Newest conversations").click()
    expect(page.locator(".row-item")).to_have_count(50)


def test_filters_are_addresses_and_chips(page: Page, sample: Sample) -> None:
    page.goto(sample.list_path)
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Channel").select_option("whatsapp")
    page.get_by_label("Metadata").fill("booking.id:88123")
    page.get_by_role("button", name="Show conversations").click()
    expect(page).to_have_url(re.compile(r"\?source=whatsapp&metadata=booking\.id%3A88123$"))
    expect(page.locator(".row-item")).to_have_count(1)
    row(page, sample.numbers["case"]).click()
    expect(page).to_have_url(re.compile(rf"/{sample.numbers['case']}/\?source=whatsapp"))
    page.get_by_role("link", name="Remove the filter WhatsApp").click()
    expect(page).to_have_url(re.compile(r"/conversations/\?metadata="))


def test_a_filter_that_makes_no_sense_is_named(page: Page, sample: Sample) -> None:
    page.goto(sample.list_path + "?device=toaster&from=yesterday")
    expect(page.get_by_role("alert").first).to_contain_text("device takes desktop, mobile or tablet")
    expect(page.get_by_role("alert").nth(1)).to_contain_text("from takes a day")
    expect(page.locator(".row-item")).to_have_count(4)
    page.goto(sample.list_path + "?search=nobody+said+this")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()


def test_marking_shows_in_the_list(page: Page, sample: Sample) -> None:
    page.goto(sample.path("case"))
    page.get_by_role("button", name="Marked").click()
    expect(page.get_by_role("button", name="Marked")).to_have_attribute("aria-pressed", "true")
    expect(row(page, sample.numbers["case"]).locator(".marked")).to_be_visible(timeout=10_000)
    page.goto(sample.list_path + "?is_marked=true")
    expect(page.locator(".row-item")).to_have_count(1)


def test_on_a_phone_list_and_transcript_are_pages(
    open_context: Callable[..., BrowserContext], sample: Sample
) -> None:
    page = open_context(viewport=PHONE, has_touch=True).new_page()
    page.goto(sample.list_path)
    expect(page.locator("#reader")).to_be_hidden()
    row(page, sample.numbers["case"]).tap()
    expect(page.locator("#reader h1")).to_be_visible()
    expect(page.locator("#rows")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    page.get_by_role("button", name="Details").first.tap()
    expect(page.locator("#details-panel")).to_contain_text("Zagreb, Croatia")
    page.get_by_role("button", name="Close").tap()
    expect(page.locator("#details-panel")).to_be_hidden()
    page.get_by_role("link", name="Back to the list").tap()
    expect(page.locator("#rows")).to_be_visible()
    page.get_by_role("button", name="Menu").tap()
    expect(page.get_by_role("link", name="Overview")).to_be_visible()


def test_everything_works_without_scripts(
    open_context: Callable[..., BrowserContext], sample: Sample
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    for each in range(50):
        sample.say(f"plain-{each}", f"Question {each}", ago=300 + each)
    page.goto(sample.list_path)
    page.get_by_role("link", name="Older conversations").click()
    expect(page.locator(".row-item")).to_have_count(4)
    row(page, sample.numbers["case"]).click()
    expect(page.locator("#reader h1")).to_have_text("I need a hotel in Split. 😊")
    page.get_by_role("button", name="Marked").click()
    expect(page.get_by_role("button", name="Marked")).to_have_attribute("aria-pressed", "true")
    page.locator(".tool-name", has_text="search_hotels").click()
    expect(page.locator(".tool-body").first).to_contain_text("Hotel Park")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Channel").select_option("web")
    page.get_by_role("button", name="Show conversations").click()
    expect(page.locator(".row-item")).to_have_count(1)
    page.locator(".menu-up summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
