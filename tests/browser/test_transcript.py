"""What a transcript shows."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import sign_in
from tests.browser.samples import Sample, message, send


def test_a_support_case_reads_from_top_to_bottom(page: Page, sample: Sample) -> None:
    page.goto(sample.path("case"))
    transcript = page.locator("#transcript")

    expect(transcript.locator(".turn-day")).to_have_count(1)
    expect(transcript.locator(".turn-pause")).to_contain_text("15 min later")
    expect(transcript.locator(".turn-system")).to_contain_text("Ivana joined.")
    expect(transcript.locator(".turn-opinion")).to_contain_text("Ivana was wonderful.")

    answer = transcript.locator(".turn-agent .bubble").first
    expect(answer.locator("td").first).to_have_text("Hotel Park")
    expect(answer.get_by_role("link")).to_have_attribute("rel", re.compile("nofollow"))
    answer.hover()
    expect(transcript.get_by_text("2,044 tokens")).to_be_visible()

    fine, failed, handed_over = (transcript.locator(".tool").nth(each) for each in range(3))
    expect(fine).to_contain_text("search_hotels")
    expect(fine).to_contain_text("1.2 s")
    expect(fine.locator(".tool-body")).to_be_hidden()
    fine.locator("summary").click()
    expect(fine.locator(".tool-body")).to_contain_text('"city": "Split"')
    expect(failed).to_contain_text("TimeoutError: no answer")
    expect(failed.locator(".tool-body")).to_be_visible()
    expect(handed_over).to_contain_text("handed to a human")

    # What was clicked, among what was offered with it; others clicked "Copy it", elsewhere.
    expect(transcript.locator(".choice")).to_have_text(["Clicked: Yes", "No", "Later"])
    expect(transcript.locator(".choice.is-clicked")).to_contain_text("Yes")

    details = page.locator("#details-panel")
    for fact in ("ana", "Zagreb, Croatia", "WhatsApp", "Mobile", "Croatian", "gold", "Ivana was wonderful."):
        expect(details).to_contain_text(fact)
    expect(details.get_by_role("link", name="I need help")).to_be_visible()


def test_a_link_to_a_message_leads_to_it(open_context: Callable[..., BrowserContext], sample: Sample) -> None:
    context = open_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(sample.path("case"))
    last = page.locator(".turn-agent").last
    last.hover()
    last.locator("[data-copy-link]").click()
    expect(page.get_by_role("status")).to_have_text("Link to this message copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"/conversations/\d+/#item-\d+$", link)
    other = context.new_page()
    other.goto(link)
    expect(other.locator("li:target")).to_be_in_viewport()


def test_files_show_what_is_in_them(page: Page, sample: Sample) -> None:
    page.goto(sample.path("files"))
    image = page.locator(".file img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 240
    expect(page.locator(".file-text")).to_contain_text("door 12 opened")
    expect(page.locator(".file audio")).to_be_visible()
    expect(page.get_by_role("link", name="offer.pdf", exact=True)).to_have_attribute("target", "_blank")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download log.txt").click()
    assert download.value.suggested_filename == "log.txt"


def test_what_people_type_is_shown_and_never_run(page: Page, sample: Sample) -> None:
    began = time.time()
    hostile = "<script>document.title='x'</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) ![i](https://example.com/p.png)"
    items = [message(hostile, sender, began) for sender in ("end_user", "agent", "system")]
    number = send(sample.agent, uuid.uuid4().hex, items, began, name=hostile, customer_id=hostile[:200])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{sample.list_path}{number}/")
    expect(page.locator(".bubble")).to_have_count(2)
    assert page.locator("#transcript script, #transcript img, #transcript [onerror]").count() == 0
    assert page.locator('a[href^="javascript"]').count() == 0
    assert not [url for url in asked if "example.com" in url]


def test_text_of_every_kind_fits(page: Page, sample: Sample) -> None:
    page.goto(sample.path("files"))
    arabic = page.locator(".rich-text", has_text="مرحبا")
    assert arabic.locator("p").evaluate("line => getComputedStyle(line).direction") in {"ltr", "rtl"}
    expect(arabic).to_have_attribute("dir", "auto")
    for bubble in page.locator(".bubble").all():
        assert bubble.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
    expect(page.locator(".bubble", has_text="not bold")).to_contain_text("<b>not bold</b>")


def test_two_thousand_messages_scroll_without_lag(page: Page, sample: Sample) -> None:
    began = time.time() - 80_000
    senders = ("end_user", "agent")
    items = [
        message(f"Line {each} of **many**", senders[each % 2], began + each * 2) for each in range(2_000)
    ]
    number = send(sample.agent, uuid.uuid4().hex, items, began, name="Long")
    page.goto(f"{sample.list_path}{number}/")
    expect(page.locator(".bubble")).to_have_count(500)
    # Frames while somebody drags through a page; half of them under a tenth of a second, on any machine.
    frames = page.evaluate(
        """async () => {
          const pane = document.getElementById("transcript"), times = [];
          for (let step = 0; step < 60; step++) {
            const began = performance.now();
            pane.scrollTop += 1000;
            await new Promise(requestAnimationFrame);
            times.push(performance.now() - began);
          }
          return times.sort((a, b) => a - b);
        }"""
    )
    assert frames[30] < 100, frames
    pages = page.locator(".turn-pages").first
    pages.get_by_role("link", name="End").click()
    expect(page.get_by_text("Line 1999 of")).to_be_in_viewport()
    expect(page.locator(".bubble")).to_have_count(500)
    pages.get_by_role("link", name="Earlier").click()
    expect(page.get_by_text("Line 1499 of")).to_be_in_viewport()
    pages.get_by_label("Page").fill("2")
    pages.get_by_label("Page").press("Enter")
    expect(page.get_by_text("Line 500 of")).to_be_in_viewport()
    # A link to a message leads to its page, with and without a script.
    link = page.locator(".turn").nth(250).locator("[data-copy-link]").get_attribute("href")
    page.goto(f"{sample.list_path}{number}/{link}" if (link or "").startswith("#") else str(link))
    expect(page.locator("li:target")).to_be_in_viewport()
    expect(page.locator("li:target")).to_contain_text("Line 750 of")


@pytest.mark.parametrize("script", [True, False])
def test_a_long_message_opens_where_it_stands(
    open_context: Callable[..., BrowserContext], sample: Sample, script: bool
) -> None:
    context = open_context(as_owner=script, java_script_enabled=script)
    page = context.new_page()
    if not script:
        sign_in(page)
    text = "\n\n".join(f"Paragraph {each} of a letter. " + "So it goes on. " * 20 for each in range(120))
    number = sample.say(uuid.uuid4().hex, text)
    page.goto(f"{sample.list_path}{number}/")
    bubble = page.locator(".bubble").last
    # Cut to its upper part, it does not scroll by itself, and says that there is more.
    height = bubble.locator(".rich-text").evaluate(
        "each => [each.clientHeight, getComputedStyle(each).overflowY]"
    )
    assert height == [400, "hidden"]
    bubble.get_by_text("Show all").last.click()
    expect(bubble.get_by_text("Paragraph 30 of")).to_be_visible()
    bubble.locator(".show-rest").click()
    # In its place, or on a page of its own.
    expect(page.get_by_text("Paragraph 119 of")).to_be_visible()
    assert page.locator(".bubble").count() == (1 if script else 0)


def test_a_long_message_is_whole_on_paper(page: Page, sample: Sample) -> None:
    text = "\n\n".join(f"Paragraph {each} of a letter. " + "So it goes on. " * 20 for each in range(100))
    wide = (
        "| "
        + " | ".join(f"column{each}" for each in range(14))
        + " |\n"
        + "|--" * 14
        + "|\n"
        + "| cell " * 14
        + "|"
    )
    began = time.time()
    items = [
        message(text, "end_user", began),
        message(f"```\n{'x = 1  # a line ' * 30}\n```\n\n{wide}", "agent", began + 1),
    ]
    number = send(sample.agent, uuid.uuid4().hex, items, began)
    page.goto(f"{sample.list_path}{number}/print/")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1_000})
    expect(page.get_by_text("Paragraph 99 of")).to_be_visible()
    clipped = page.evaluate(
        """() => [...document.querySelectorAll(".sheet *:not(.visually-hidden)")].filter(each =>
          each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX !== "visible"
          || each.scrollHeight > each.clientHeight + 1 && getComputedStyle(each).overflowY === "hidden"
        ).map(each => each.className || each.tagName)"""
    )
    assert clipped == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_printable_page_holds_the_whole_conversation(page: Page, sample: Sample) -> None:
    page.goto(sample.path("case") + "print/")
    expect(page.get_by_role("heading", name="I need a hotel in Split")).to_be_visible()
    expect(page.locator(".bubble")).to_have_count(4)
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    assert page.pdf()[:5] == b"%PDF-"


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_times_are_the_viewers(
    open_context: Callable[..., BrowserContext], sample: Sample, zone: str
) -> None:
    page = open_context(timezone_id=zone).new_page()
    page.goto(sample.path("case"))
    shown = page.locator(".turn-user .turn-meta time").first
    wanted = shown.evaluate(
        "time => new Date(time.dateTime).toLocaleTimeString('en-GB', {hour: '2-digit', minute: '2-digit'})"
    )
    expect(shown).to_have_text(wanted)
