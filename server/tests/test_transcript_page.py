"""From rows to what stands on the page, and text to safe HTML."""

from __future__ import annotations

import re
from datetime import timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsight_server.dashboard import formats
from agentsight_server.dashboard.markdown import markdown, plain, pretty
from agentsight_server.dashboard.texts import Texts
from agentsight_server.dashboard.transcript import Reader, Turn
from agentsight_server.store.schema import ACTION, AGENT, BUTTON, END_USER, MESSAGE, SYSTEM, TOKEN_USAGE
from agentsight_server.store.transcripts import ActionRow, ButtonRow, Entry, Transcript, UsageRow

SECOND = 1_000_000
MINUTE = 60 * SECOND
NOON = 1_785_585_600 * SECOND  # 2026-08-01 12:00 UTC


class Script:
    """Writes a transcript line by line."""

    def __init__(self) -> None:
        self.transcript = Transcript([], [])
        self.at = NOON

    def _add(
        self, kind: int, after: int, sender: int | None = None, content: str | None = None, **more: object
    ) -> Script:
        self.at += after
        number = len(self.transcript.entries) + 1
        self.transcript.entries.append(
            Entry(number, 1, b"", kind, self.at, sender, content, None, **more)  # type: ignore[arg-type]
        )
        return self

    def user(self, text: str = "Hello", after: int = SECOND) -> Script:
        return self._add(MESSAGE, after, END_USER, text)

    def agent(self, text: str = "Hi", after: int = SECOND) -> Script:
        return self._add(MESSAGE, after, AGENT, text)

    def system(self, text: str = "Joined", after: int = SECOND) -> Script:
        return self._add(MESSAGE, after, SYSTEM, text)

    def tool(
        self, name: str = "look_up", after: int = SECOND, error: str | None = None, **more: object
    ) -> Script:
        row = {
            "started_at": None,
            "ended_at": None,
            "duration_ms": None,
            "tools_used": None,
            "response": None,
        } | more
        return self._add(ACTION, after, action=ActionRow(name, error_msg=error, **row))  # type: ignore[arg-type]

    def click(self, label: str, after: int = SECOND, metadata: str | None = None) -> Script:
        self._add(BUTTON, after, button=ButtonRow("after_chat", label, label.lower()))
        self.transcript.entries[-1].metadata = metadata
        return self

    def tokens(self, total: int, after: int = 0, model: str = "gpt-4o") -> Script:
        return self._add(TOKEN_USAGE, after, usage=UsageRow(model, total - 1, 1, total, 0))

    def turns(self, **options: object) -> list[Turn]:
        reader = Reader(**({"tz": timezone.utc} | options))  # type: ignore[arg-type]
        return reader.read(self.transcript.entries, self.transcript.feedbacks).turns


def kinds(turns: list[Turn]) -> list[str]:
    return [turn.kind for turn in turns]


def test_days_begin_where_the_viewer_lives() -> None:
    script = Script().user(after=11 * 60 * MINUTE).agent(after=30 * MINUTE)  # 23:00 and 23:30 UTC
    assert kinds(script.turns()) == ["day", "message", "pause", "message"]
    assert kinds(script.turns(tz=ZoneInfo("Asia/Kolkata"))) == ["day", "message", "pause", "message"]
    # In Zagreb it is 01:00 and 01:30 of the next day; in London midnight lies between the two.
    london = Script().user(after=10 * 60 * MINUTE + 50 * MINUTE).agent(after=20 * MINUTE)
    assert kinds(london.turns(tz=ZoneInfo("Europe/London"))) == ["day", "message", "day", "message"]


def test_a_pause_is_five_minutes_and_more() -> None:
    script = Script().user().agent(after=5 * MINUTE - 1).user(after=5 * MINUTE)
    turns = script.turns()
    assert kinds(turns) == ["day", "message", "message", "pause", "message"]
    assert turns[3].pause_ms == 300_000


def test_an_answers_time_counts_from_what_the_person_said_last() -> None:
    turns = Script().user().user(after=SECOND).tool().agent(after=2 * SECOND).agent().system().turns()
    assert [turn.answered_ms for turn in turns if turn.kind == "message"] == [None, None, 3000, None, None]


def test_tokens_stand_beside_the_answer_that_took_them() -> None:
    script = Script().user().agent().tokens(100).tokens(50).user().tokens(30).agent().tokens(7)
    answers = [turn.usage.total_tokens for turn in script.turns() if turn.usage]
    assert answers == [150, 37]
    # An embedding at the end that no answer follows is not lost.
    last = Script().user().tokens(9).turns()[-1]
    assert last.kind == "usage"
    assert last.usage
    assert last.usage.total_tokens == 9


@pytest.mark.parametrize(
    ("metadata", "choices"),
    [
        (None, ["Yes"]),
        ('{"options": ["No", "Yes", "Copy", "No"]}', ["No", "Yes", "Copy"]),
        ('{"options": [{"label": "No", "value": "n"}, {"value": "x"}, 7, ""]}', ["No", "Yes"]),
        ('{"options": "No"}', ["Yes"]),
        ('{"options": ["No"], "cut": "', ["Yes"]),
    ],
)
def test_a_clicked_button_stands_among_the_choices_that_its_metadata_names(
    metadata: str | None, choices: list[str]
) -> None:
    # Another conversation's clicks on the same event say nothing of what was offered in this one.
    (_, turn) = Script().click("Yes", metadata=metadata).turns()
    assert turn.click
    assert turn.click.choices == choices


def test_a_page_goes_on_where_the_one_before_ended() -> None:
    script = Script().user().tokens(5).agent(after=20 * SECOND).tokens(7).user()
    shown = Reader(tz=timezone.utc).read(script.transcript.entries, lead=1, ends=False)
    assert kinds(shown.turns) == ["day", "message", "message"]
    answer = shown.turns[1]
    assert answer.answered_ms == 20_000
    assert answer.usage
    assert answer.usage.total_tokens == 12


@pytest.mark.parametrize(
    ("metadata", "times", "cut", "model", "details"),
    [
        (
            '{"first_token_ms":412,"duration_ms":2130}',
            "first words after 412 ms, done in 2.1 s",
            False,
            None,
            False,
        ),
        ('{"first_token_ms":412}', "first words after 412 ms", False, None, False),
        (
            '{"first_token_ms":0,"duration_ms":950,"interrupted":true,"model":"gpt-4o"}',
            "first words after 0 ms, over in 950 ms",
            True,
            "gpt-4o",
            False,
        ),
        ('{"interrupted":true,"tier":"pro"}', "", True, None, True),
        # Somebody's own metadata.
        ('{"duration_ms":2130}', None, False, None, True),
        ('{"first_token_ms":-1,"interrupted":"yes"}', None, False, None, True),
        ('{"first_token_ms":true}', None, False, None, True),
        ('["first_token_ms"]', None, False, None, True),
        ('{"first_token_ms":41', None, False, None, True),
    ],
)
def test_a_streamed_answer_tells_when_its_words_came(
    metadata: str, times: str | None, cut: bool, model: str | None, details: bool
) -> None:
    script = Script().user().agent("Dogs are")
    script.transcript.entries[-1].metadata = metadata
    turn = script.turns()[-1]
    told = turn.streamed
    assert (told.times if told else None, bool(told and told.interrupted)) == (times, cut)
    assert (turn.model, turn.metadata is not None) == (model, details)


def test_tools_say_how_long_and_how_it_went() -> None:
    script = (
        Script()
        .tool(duration_ms=150, tools_used='{"city": "Split"}', response='"[1, 2]"')
        .tool(started_at=NOON, ended_at=NOON + 2500 * 1000)
        .tool("open_ticket", error="no queue")
    )
    first, second, third = (turn.tool for turn in script.turns() if turn.tool)
    assert first.duration_ms == 150
    assert not first.failed
    assert "Split" in str(first.arguments)
    # Text that holds JSON is opened up.
    assert re.sub(r"<[^>]+>|\s", "", str(first.response and first.response.html)) == "[1,2]"
    assert second.duration_ms == 2500
    assert second.arguments is None
    assert third.failed
    assert third.handover


def test_runs_of_one_side_hold_together() -> None:
    turns = Script().user().user().agent().click("Yes").user(after=10 * MINUTE).turns()
    shown = [(turn.first, turn.last) for turn in turns if turn.kind in ("message", "click")]
    assert shown == [(True, False), (False, True), (True, True), (True, True), (True, True)]


def test_a_thousand_lines_come_in_pieces_that_together_are_the_whole() -> None:
    script = Script()
    for _ in range(100):
        script.user().agent()
    shown = Reader(tz=timezone.utc).read(script.transcript.entries)
    assert [turn for piece in shown.pieces for turn in piece] == shown.turns
    assert max(map(len, shown.pieces)) <= 40


class TestBounds:
    def test_a_text_shows_its_beginning_and_says_how_far(self) -> None:
        text = "word " * 5_000
        shown = Texts(20_000).said(text, written=True)
        assert 19_700 < shown.upto <= 20_000
        assert shown.folded
        assert shown.html.count("word") == shown.upto // 5
        assert Texts(30_000).said(text, written=True).upto == 0
        assert Texts(20_000).said("short", written=True).folded is False
        assert Texts(20_000).said("line\n" * 100, written=False).folded is True
        details = Texts(100).details('{"key": "' + "v" * 200 + '"}')
        assert details
        assert details.upto == 100

    def test_a_page_has_room_for_so_much_and_then_shows_beginnings(self) -> None:
        texts = Texts(20_000, room=50_000)
        sizes = [len(texts.said("wörter " * 2_000, written=True).html) for _ in range(20)]
        assert max(sizes[5:]) < 1_000
        assert sum(sizes) < 100_000

    def test_hostile_markdown_is_not_parsed_again_and_again(self) -> None:
        # Half a second each: 500 of them would be minutes.
        hostile = ("|" + "|" * 100 + "\n|" + "-|" * 100 + "\n" + "|\n" * 6_000)[:12_000]
        texts = Texts(20_000, room=10**9)
        for _ in range(500):
            assert "as-typed" in texts.said(hostile, written=True).html
        assert "as-typed" in texts.said("Now **all** is as typed", written=True).html


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


class TestText:
    def test_markdown_of_every_day(self) -> None:
        html = str(
            markdown("**Bold** and `code`\nnext line\n\n- one\n- two\n\n| a | b |\n|--|--|\n| 1 | 2 |")
        )
        for part in ("<strong>Bold</strong>", "<code>code</code>", "<br>", "<li>two</li>", "<td>2</td>"):
            assert part in html

    def test_plain_words_need_no_parser_and_look_the_same(self) -> None:
        from agentsight_server.dashboard import markdown as module

        for text in ("Hello there!", "12 pm for 2 on March 8th.", "It is 5:30; fine?", "a-b (c) 'd' \"e\""):
            slow = module._cleaner.clean(module._markdown.render(text)).strip()
            unescaped = str(markdown(text)).replace("&#39;", "'").replace("&#34;", '"')
            assert unescaped == slow

    def test_addresses_become_links_without_the_full_stop(self) -> None:
        html = str(plain("See https://a.example/x_(y). Or (https://b.example)!"))
        assert re.findall(r'href="([^"]+)"', html) == ["https://a.example/x_(y)", "https://b.example"]

    def test_an_address_of_a_million_signs_takes_no_longer_than_to_read_it(self) -> None:
        # The square of its length would be ten minutes.
        html = str(plain("http://a.example/" + "(" * 3 + ")" * 1_000_000))
        assert re.findall(r'href="([^"]+)"', html) == ["http://a.example/((()))"]

    def test_what_no_browser_follows_is_no_link(self) -> None:
        fine, endless = "https://a.example/" + "x" * 1_900, "https://a.example/" + "x" * 2_100
        html = str(plain(f"See {endless} and {fine}."))
        assert re.findall(r'href="([^"]+)"', html) == [fine]
        assert endless in html
        assert "<a" not in str(markdown(f"See {endless}."))

    def test_no_address_is_named_once_and_linked_often(self) -> None:
        text = f"[a]: /{'b' * 5_000}\n\n" + "[a]" * 1_700
        html = str(markdown(text))
        assert "<a" not in html
        assert len(html) < 3 * len(text)

    def test_text_that_would_swell_stays_as_it_was_written(self) -> None:
        text = "|" + "|" * 100 + "\n|" + "-|" * 100 + "\n" + "|\n" * 2_000
        assert "as-typed" in str(markdown(text))
        assert len(markdown(text)) < 2 * len(text)
        links = "http://a " * 5_000
        assert len(plain(links)) <= 10 * len(links)
        deep: object = [1] * 3_000
        for _ in range(40):
            deep = [deep]
        assert len(pretty(deep)) < 100_000

    @pytest.mark.parametrize(
        "text",
        [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "[x](vbscript:x)",
            '[x](https://a.example "onmouseover=alert(1)")',
            "![x](https://evil.example/pixel.png)",
            '<img src=x onerror="alert(1)">',
            "<iframe src=//evil.example>",
            "`<b>`\n\n    <svg onload=alert(1)>",
            'https://a.example/"onmouseover="alert(1)',
            '[a](https://a.example"><img src=x onerror=alert(1)>)',
            "&lt;script&gt;alert(1)&lt;/script&gt;",
        ],
    )
    def test_nothing_runs_and_nothing_is_fetched(self, text: str) -> None:
        for html in (str(markdown(text)), str(plain(text))):
            assert harmless(html), html

    @given(
        st.text(alphabet=st.sampled_from("<>\"'&;:/\\()[]!`*_#|-= \njavscriptonerimg=htp.x1"), max_size=200)
    )
    def test_nothing_runs_whatever_is_written(self, text: str) -> None:
        assert harmless(str(markdown(text)))
        assert harmless(str(plain(text)))

    @given(JSON)
    def test_json_is_coloured_and_stays_what_it_is(self, value: object) -> None:
        import html
        import json

        if isinstance(value, str):
            value = [value]
        shown = str(pretty(value))
        text = html.unescape(re.sub(r"</?[biu]>", "", shown))
        assert json.loads(text) == value


ALLOWED = re.compile(
    r"</?(?:p|br|strong|em|del|s|code|pre|ul|ol|li|blockquote|hr|table|thead|tbody|tr|th|td|div)"
    r'(?: (?:class="(?:as-typed|md-table|md-heading)"|tabindex="0"|start="\d+"))*>'
    r'|<a href="(?:https?|mailto|tel):[^"<>]*"(?: title="[^"]*")? target="_blank" rel="noopener noreferrer nofollow">'
    r'|<a(?: title="[^"]*")? target="_blank" rel="noopener noreferrer nofollow">'
    r'|<a href="[^":<>]*"(?: title="[^"]*")? target="_blank" rel="noopener noreferrer nofollow">|</a>'
)


def harmless(html: str) -> bool:
    """Whether only tags and attributes that do nothing are left."""
    return "<" not in ALLOWED.sub("", html)


class TestNumbersAndTimes:
    @pytest.mark.parametrize(
        ("milliseconds", "text"),
        [
            (0, "0 ms"),
            (999, "999 ms"),
            (999.6, "1 s"),
            (1100, "1.1 s"),
            (59_400, "59 s"),
            (59_600, "1 min"),
            (65_000, "1 min 5 s"),
            (3_600_000, "1 h"),
            (90_000_000, "1 day 1 h"),
            (None, "–"),
        ],
    )
    def test_durations(self, milliseconds: float | None, text: str) -> None:
        assert formats.duration(milliseconds) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (9_999, "9,999"),
            (12_873, "12.9k"),
            (999_949, "999.9k"),
            (999_950, "1M"),
            (2_000_000, "2M"),
            (None, "–"),
        ],
    )
    def test_numbers_for_cards(self, value: int | None, text: str) -> None:
        assert formats.compact(value) == text

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "now"),
            (59, "now"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (86_399, "23 h"),
            (86_400, "31 Jul"),
            (86_400 * 365, "1 Aug 2025"),
            (-7_200, "1 Aug"),  # a clock that runs ahead
        ],
    )
    def test_ago_is_relative_up_to_a_day(self, seconds: int, text: str) -> None:
        assert formats.ago(NOON - seconds * SECOND, NOON, timezone.utc) == text

    @given(st.one_of(st.none(), st.text(max_size=80)))
    def test_any_time_zone_name_is_survived(self, name: str | None) -> None:
        assert formats.zone(name) is not None


def test_a_picture_from_elsewhere_is_a_link_to_it() -> None:
    """It is never fetched: that would tell a stranger who reads this, and when."""
    shown = markdown("See ![A map](https://maps.example/m.png).")
    assert "<img" not in shown
    assert 'href="https://maps.example/m.png"' in shown
    assert ">A map</a>" in shown
