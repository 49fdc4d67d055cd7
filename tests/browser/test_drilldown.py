"""The count on the chart is the count of the list that it opens: every link of the page, over real dialogues."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from agentsight_server.dashboard import filtering
from agentsight_server.domain import zones
from agentsight_server.store import agents, conversations
from tests.browser.conftest import EMAIL, PASSWORD, WIDE, sign_in
from tests.serving import ServerProcess

DIALOGUES = Path(__file__).parents[1] / "data" / "sgd_conversations.jsonl.gz"

pytestmark = pytest.mark.skipif(not DIALOGUES.exists(), reason="the dialogues are not at hand")

# Every link to a list, with the number that stands in it, or beside it, and what is counted.
COLLECT = r"""() => {
  const whole = (text) => {
    const found = (text ?? "").match(/[\d,]+/);
    return found ? Number(found[0].replaceAll(",", "")) : null;
  };
  const rules = [
    [".bars .bar-link", (a) => whole(a.querySelector(".bar-count").textContent)],
    [".bar-detail a", (a) => whole(a.textContent.match(/[\d,]+$/)[0])],
    [".funnel-step", (a) => whole(a.querySelector(".funnel-count").textContent)],
    [".tools-table th a", (a) => whole(a.closest("tr").querySelector("[data-label=Runs]").textContent)],
    [".tools-table td a", (a) => whole(a.textContent)],
    [".models-table a", (a) => whole(a.closest("tr").querySelector("td").title)],
    [".button-group h3 a", (a) => whole(a.parentElement.querySelector("small").textContent)],
    [".parts-key a", (a) => whole(a.querySelector("b").textContent)],
    [".rated a", (a) => whole(a.textContent)],
    [".fact-value a", (a) => whole(a.closest(".fact-cell").querySelector(
      a.textContent.includes("%") ? ".fact-note" : ".fact-value").textContent)],
    [".hours-table a", (a) => whole(a.textContent)],
    ["#now", (a) => whole(a.textContent)],
    ["#chart-table td:nth-child(2) a, #chart-table td:nth-child(3) a", (a) => whole(a.textContent)],
    ["#chart-table td:nth-child(4) a", (a) => `people: ${whole(a.textContent)}`],
    // A mean, or a share: the numbers behind it are added up.
    ["#chart-table td:nth-child(5) a", () => "response_time"],
    ["#chart-table td:nth-child(6) a", () => "escalation_rate"],
    ["#chart-table td:nth-child(7) a", () => "feedback"],
  ];
  const found = [...document.querySelectorAll("main a[href*='/conversations/?']")].map((a) => {
    const rule = rules.find(([selector]) => a.matches(selector));
    return [a.getAttribute("href"), rule ? rule[1](a) : "unknown: " + a.outerHTML.slice(0, 200)];
  });
  for (const land of JSON.parse(document.getElementById("map-data").textContent))
    found.push([land.href, whole(land.text.match(/, ([\d,]+) conv/)[1])]);
  const weeks = JSON.parse(document.getElementById("hours-data").textContent);
  for (const week of Object.values(weeks))
    for (const hour of week.days.flat()) if (hour.count) found.push([hour.href, hour.count]);
  return found;
}"""


@dataclass
class Travel:
    """The dialogues on a server, read as the list of conversations reads them."""

    server: ServerProcess
    agent: int

    @property
    def path(self) -> str:
        return f"/agents/{self.agent}/"

    def listed(self, address: str, zone: str) -> tuple[int, int | None, int]:
        """How many conversations an address lists, how many of the things that it was opened for, and people."""
        query = dict(parse_qsl(urlsplit(address).query))
        with self.server.database.read() as connection:
            handing_over = agents.escalations(connection, [self.agent])[self.agent]
            applied = filtering.read_filters(query.items(), zones.find(zone), handing_over)
            assert not applied.problems, (address, applied.problems)
            assert applied.values.keys() == query.keys(), address
            filters, mine = applied.filters, {self.agent}
            count = conversations.count(connection, mine, filters)
            things = (
                None if filters["event"] is None else conversations.count_events(connection, mine, filters)
            )
            return count, things, conversations.people(connection, mine, filters)


@pytest.fixture(scope="module")
def travel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Travel]:
    folder = tmp_path_factory.mktemp("drilldown")
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
        yield Travel(server, int(number))


@pytest.fixture(scope="module")
def open_page(browser: Browser, travel: Travel) -> Iterator[Callable[[str], Page]]:
    """The page of somebody who is signed in, by time zone."""
    pages: dict[str, Page] = {}

    def at(zone: str) -> Page:
        if zone not in pages:
            context = browser.new_context(base_url=travel.server.address, viewport=WIDE, timezone_id=zone)
            pages[zone] = context.new_page()
            sign_in(pages[zone])
        return pages[zone]

    yield at
    for page in pages.values():
        page.context.close()


AUGUST = "from=2026-08-03&to=2026-08-16"


@pytest.mark.parametrize(
    ("zone", "query"),
    [
        # By week.
        ("Europe/Zagreb", "from=2026-07-01&to=2026-10-31"),
        # By the hour; one of them comes twice.
        ("Europe/Zagreb", "from=2026-10-24&to=2026-10-25"),
        ("Asia/Kolkata", "from=2026-09-07&to=2026-09-13"),
        ("Australia/Lord_Howe", "from=2026-10-03&to=2026-10-04"),
        ("Asia/Kolkata", f"{AUGUST}&environment=development"),
        *(
            ("Europe/Zagreb", f"{AUGUST}&{filters}")
            for filters in (
                "source=whatsapp",
                "device__isnull=true",
                "language=en-us&device=mobile",
                "country=US&customer_id__isnull=false",
                "action_name=SearchHotel",
                "feedback_sentiment=negative",
                "metadata=tier:pro&source__isnull=false",
            )
        ),
        ("Asia/Kolkata", "from=2026-07-01&to=2026-10-31&action_name=FindMovies&feedback_sentiment=positive"),
    ],
)
def test_every_link_lists_what_the_chart_counts(
    open_page: Callable[[str], Page], travel: Travel, zone: str, query: str
) -> None:
    """Of the hours of the week, with a filter on, one in five."""
    page = open_page(zone)
    page.goto(f"{travel.path}?{query}")
    sample = 5 if "&" in query.replace("&to", "") else 1
    found: list[tuple[str, Any]] = page.evaluate(COLLECT)
    assert len(found) > 40
    summed = dict.fromkeys(("response_time", "escalation_rate", "feedback"), 0)
    wrong = []
    known: dict[str, tuple[int, int | None, int]] = {}
    for place, (address, shown) in enumerate(found):
        if "&hour=" in address and place % sample:
            continue
        if address not in known:
            known[address] = travel.listed(address, zone)
        count, things, people = known[address]
        if shown in summed:
            summed[shown] += count if things is None else things
        elif shown not in (count if things is None else things, f"people: {people}"):
            wrong.append((address, shown, count, things, people))
    assert not wrong
    metrics = page.request.get(f"{travel.path}figures/page.json?{query}").json()["metrics"]
    assert summed["response_time"] == metrics["response_time"]["count"]
    assert summed["escalation_rate"] == metrics["escalation_rate"]["numerator"]
    # An hour or day with nothing but neutral ratings has no satisfaction, and no link.
    rated = metrics["feedback"]
    judged = rated["positive"] + rated["negative"]
    assert judged <= summed["feedback"] <= judged + rated["neutral"]


def test_the_list_says_both_numbers(open_page: Callable[[str], Page], travel: Travel) -> None:
    page = open_page("Europe/Zagreb")
    page.goto(f"{travel.path}?{AUGUST}&source=whatsapp")
    tool = page.locator(".tools-table tbody tr").first
    name = tool.locator(".bar-name").text_content()
    runs = tool.locator("td").first.text_content()
    href = tool.locator("th a").get_attribute("href") or ""
    tool.locator("th a").click()
    page.wait_for_url("**/conversations/**")
    count, things, _ = travel.listed(href, "Europe/Zagreb")
    assert str(things) == runs
    assert things != count
    expect(page.locator("#list-counts")).to_have_text(f"{count} conversations · {things} runs of {name}")
    # The chip takes the event off, and what was said of it; the page's own filter stays.
    page.get_by_role("link", name=f"Remove the filter Runs of {name}").click()
    expect(page.locator("#list-counts")).to_have_text(re.compile(r"^\d+$"))
    assert "event" not in page.url
    assert "source=whatsapp" in page.url

    page.goto(f"{travel.path}?{AUGUST}&feedback_sentiment=positive")
    page.locator(".button-group .bar-link").first.click()
    expect(page.locator("#list-counts")).to_have_text(
        re.compile(r"^\d+ conversations? · \d+ clicks? on “.+” in .+")
    )


def test_a_point_of_any_chart_leads_to_what_it_counts(
    open_page: Callable[[str], Page], travel: Travel
) -> None:
    page = open_page("Europe/Zagreb")
    page.goto(f"{travel.path}?from=2026-08-03&to=2026-08-09&chart=messages")
    chart = page.locator("#chart")
    expect(chart.locator("svg")).to_be_visible()
    box = chart.bounding_box()
    assert box
    spot = {"x": 46 + (box["width"] - 60) * 3 / 6, "y": box["height"] / 2}
    chart.hover(position=spot)
    expect(chart.locator(".tip b")).to_contain_text("messages")
    said = chart.locator(".tip b").text_content()
    chart.click(position=spot)
    page.wait_for_url("**/conversations/**")
    expect(page.locator("#list-counts")).to_have_text(re.compile(rf"^\d+ conversations · {said}$"))
