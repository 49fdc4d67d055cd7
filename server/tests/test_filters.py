"""Filters in an address: the API refuses what it does not know, pages say so at their top."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from agentsight_server.domain.filters import FILTERS, OF_API, OF_FIGURES, OF_PAGE, RENAMED, Filters
from agentsight_server.store import conversation_filters
from tests.serving import Agent, ServerProcess

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def agent(sqlite_server: ServerProcess) -> Agent:
    """Two conversations: one in Split with two tools, one of which is told twice, and one that is nowhere."""
    agent = sqlite_server.agent()
    with agent.client("write") as client:
        body = {
            "conversations": [
                {
                    "conversation_id": name,
                    "environment": "production",
                    "customer_id": name,
                    "metadata": {"a": "1", "b": name},
                    "items": [
                        {"id": str(uuid.uuid4()), "type": "message", "sender": "end_user", "content": "?"},
                        *({"id": str(uuid.uuid4()), "type": "action", "action_name": tool} for tool in tools),
                    ],
                }
                for name, tools in (("one", ["look up", "ask"]), ("two", []))
            ]
        }
        assert client.post("/api/ingest/batch/", json=body).status_code == 200
    return agent


@pytest.fixture(scope="module")
def api(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client("read") as client:
        yield client


@pytest.fixture(scope="module")
def owner(sqlite_server: ServerProcess) -> Iterator[httpx.Client]:
    email = f"{uuid.uuid4().hex}@example.com"
    sqlite_server.person(email, PASSWORD)
    with httpx.Client(base_url=sqlite_server.address, headers={"Accept": "text/html"}) as client:
        assert client.post("/sign-in", data={"email": email, "password": PASSWORD}).status_code == 303
        yield client


def names(api: httpx.Client, query: str) -> list[str]:
    answer = api.get(f"/api/conversations/?{query}")
    assert answer.status_code == 200, answer.text
    return sorted(each["conversation_id"] for each in answer.json()["results"])


@pytest.mark.parametrize("path", ["/api/conversations/", "/api/export/"])
@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("devise=mobile", "devise", "there are: "),
        ("happened=tool", "happened", "is called event now"),
        ("happened_name__isnull=true", "happened_name__isnull", "is called event_name__isnull now"),
        ("handed_over=true", "handed_over", "there are: "),
        # What is said of an event, without the event
        ("event_name=ask", "event_name", "goes with event=tool, button, feedback or tokens"),
        ("event=message&event_failed=true", "event_failed", "goes with event=tool"),
        ("event_after=2026-01-01&event_label=Yes", "event_label", "goes with event=button"),
        ("device=mobile&device=mobile", "device", "given twice"),
        ("customer=a&customer_id=b", "customer", "goes without customer_id"),
        ("event=click", "event", "takes message, answer, tool, button, feedback or tokens, not “click”"),
        ("action_name__in=,%20,", "action_name__in", "takes names separated by commas"),
        ("city__isnull=perhaps", "city__isnull", "takes true or false"),
    ],
)
def test_the_api_refuses_what_says_nothing(
    api: httpx.Client, path: str, query: str, field: str, says: str
) -> None:
    answer = api.get(f"{path}?{query}")
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert says in answer.json()[field][0]


def test_lists_may_come_several_times(api: httpx.Client) -> None:
    assert names(api, "metadata=a:1&metadata=b:one") == names(api, "metadata=a:1,b:one") == ["one"]
    assert names(api, "action_name__in=nothing&action_name__in=ask") == ["one"]
    assert names(api, "metadata=a:1") == ["one", "two"]


def test_short_names_are_the_same_filter(api: httpx.Client) -> None:
    assert names(api, "customer=two") == names(api, "customer_id=two") == ["two"]
    assert names(api, "action=ask") == ["one"]
    assert names(api, "feedback=positive") == []
    assert names(api, "feedback__isnull=true&customer=one&customer_id=one") == ["one"]


def notices(owner: httpx.Client, address: str) -> list[str]:
    page = owner.get(address, follow_redirects=True)
    assert page.status_code == 200
    return [unescape(each) for each in re.findall(r'role="alert">.*?<span>(.*?)</span>', page.text)]


def known(owner: httpx.Client, address: str) -> list[str]:
    [names] = re.findall(
        r"Known are …</summary><span>(.*?)</span>", owner.get(address, follow_redirects=True).text
    )
    return names.split(", ")


@pytest.mark.parametrize("page", ["conversations/", ""], ids=["list", "figures"])
def test_a_page_names_what_it_does_not_know(owner: httpx.Client, agent: Agent, page: str) -> None:
    here = f"/agents/{agent.id}/{page}"
    assert notices(owner, f"{here}?device=mobile") == []
    assert notices(owner, f"{here}?devise=mobile") == ["“devise” is no filter here. Did you mean “device”?"]
    assert {"device", "customer_id", "from"} <= set(known(owner, f"{here}?devise=mobile"))
    assert "“a<b>”, “zz” are no filters here." in notices(owner, f"{here}?zz=1&a<b>=2")[0]
    [said] = notices(owner, f"{here}?happened=tool")
    assert said == "“happened” is called “event” now, and is left out."
    [said] = notices(owner, f"{here}?device=toaster")
    assert said == "This filter is left out: device takes desktop, mobile or tablet, not “toaster”."
    [said] = notices(owner, f"{here}?device=mobile&device=tablet")
    assert said == "This filter is left out: device is given twice, and takes one value."
    # Left out means left out: neither of the two holds.
    assert 'class="chip"' not in owner.get(f"{here}?device=mobile&device=tablet", follow_redirects=True).text


def test_the_sheet_keeps_what_it_has_no_line_for(owner: httpx.Client, agent: Agent) -> None:
    """Also a value that is too rare to be offered, and a moment, which a day's field cannot hold."""
    query = "event=tool&event_name=ask&is_used=any&source=fax&from=2026-08-01T10:00:00Z&customer=one"
    page = owner.get(f"/agents/{agent.id}/conversations/?{query}").text
    form = page[page.index('class="menu-panel filters"') :]
    form = form[: form.index("</form>")]
    hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form))
    assert hidden == {"event": "tool", "event_name": "ask"}
    assert '<option value="fax" selected>Fax</option>' in form
    assert 'name="from" value="2026-08-01T10:00:00Z"' in form
    assert 'type="date" id="filter-to"' in form
    assert 'name="customer_id" value="one"' in form


def test_clear_takes_every_filter_off_the_figures(owner: httpx.Client, agent: Agent) -> None:
    query = "&".join(
        f"{one.name}={'true' if one.kind == 'flag' else 'a:b'}" for one in OF_FIGURES if not one.choices
    )
    page = owner.get(f"/agents/{agent.id}/?{query}&period=7d&environment=development").text
    [clear] = re.findall(r'href="([^"]*)">Clear</a>', page)
    assert clear == "?period=7d"


def test_a_filter_is_asked_for_somewhere_and_stands_in_the_document() -> None:
    """Nothing of the table is forgotten, and nothing is silently dropped."""
    known = {*conversation_filters.ALONE, *conversation_filters.TOGETHER}
    for one in (each for each in FILTERS if each.places):
        assert one.ask in known or one.places == ("page",), one.name
        assert one.doc or one.places == ("page",), one.name
        assert one.label or one.events or one.places == ("api",), f"{one.name} has no chip"
    assert {one.name for one in OF_FIGURES} <= {one.name for one in OF_PAGE}, "drill-downs take every filter"
    assert not RENAMED.keys() & {one.name for one in OF_API}
    with pytest.raises(TypeError, match="devise"):
        Filters(devise="mobile")
    with pytest.raises(KeyError):
        Filters()["devise"]
