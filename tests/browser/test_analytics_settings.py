"""Which actions hand over to a human: chosen on a page, and every figure follows."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PASSWORD
from tests.browser.samples import iso, message, send
from tests.serving import Agent, ServerProcess


@pytest.fixture
def desk(site: ServerProcess) -> Agent:
    """An agent with four conversations: two call back, one opens a ticket."""
    agent = site.agent()
    now = time.time()
    for number, action in enumerate(["call_back", "call_back", "open_ticket", None]):
        began = now - 3600 * number - 60
        items: list[dict[str, Any]] = [message("Hello?", "end_user", began)]
        if action:
            ran = {"type": "action", "action_name": action, "timestamp": iso(began + 1)}
            items.append({"id": str(uuid.uuid4()), **ran})
        send(agent, f"desk-{number}", items, began, environment="production")
    return agent


def test_the_figures_follow_the_chosen_actions(page: Page, desk: Agent) -> None:
    page.goto(f"/agents/{desk.id}/?period=7d")
    card = page.locator("[aria-labelledby=handed]")
    expect(card).to_contain_text("1 of 4 conversations")
    card.get_by_role("link", name="Choose which actions count").click()
    expect(page.get_by_label("open_ticket")).to_be_checked()
    page.get_by_label("open_ticket").uncheck()
    page.get_by_label("call_back").check()
    page.get_by_label("Others").fill("page_the_doctor\n")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/?period=7d")
    expect(card).to_contain_text("2 of 4 conversations")
    card.locator(".rated a").click()
    expect(page.locator("#list-count")).to_have_text("2")
    # The list marks them, and the transcript does.
    expect(page.locator(".row-item", has_text="Handed to a human")).to_have_count(2)
    page.locator(".row-link").first.click()
    expect(page.locator("#reader")).to_contain_text("handed to a human")
    answer = page.request.get(f"/api/analytics/?agent={desk.id}&metrics=escalation_rate").json()
    assert answer["metrics"]["escalation_rate"]["numerator"] == 2

    page.goto(f"/agents/{desk.id}/settings/")
    expect(page.get_by_label("page_the_doctor")).to_be_checked()
    page.get_by_role("button", name="Back to the usual set").click()
    expect(card).to_contain_text("1 of 4 conversations")


def test_a_name_that_cannot_be_is_said_beside_its_field(
    open_context: Callable[..., BrowserContext], desk: Agent
) -> None:
    page = open_context(expect_errors=True).new_page()
    page.goto(f"/agents/{desk.id}/settings/")
    page.get_by_label("call_back").check()
    page.get_by_label("Others").fill("token_usage")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("token_usage")
    expect(page.get_by_label("Others")).to_have_value("token_usage")
    expect(page.get_by_label("call_back")).to_be_checked()
    page.get_by_label("Others").fill("x" * 300)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("at most 255 characters")


def test_who_may_only_look_cannot_change_it(
    open_context: Callable[..., BrowserContext], site: ServerProcess, desk: Agent
) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    site.person(email, PASSWORD, role="viewer", agent_ids=frozenset({desk.id}))
    page = open_context(as_owner=False, expect_errors=True).new_page()
    page.goto("/sign-in")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    page.goto(f"/agents/{desk.id}/")
    expect(page.locator("[aria-labelledby=handed]")).to_contain_text("1 of 4 conversations")
    expect(page.get_by_role("link", name="Choose which actions count")).to_have_count(0)
    expect(page.get_by_role("link", name="Settings")).to_have_count(0)
    token = page.locator("input[name=csrf_token]").first.input_value()
    form = {"csrf_token": token, "action": "call_back"}
    assert page.request.get(f"/agents/{desk.id}/settings/").status == 403
    assert page.request.post(f"/agents/{desk.id}/settings/", form=form).status == 403
    # What everybody who sees the page may take along, and no more.
    assert page.request.get(f"/api/export/?agent={desk.id}&format=parquet").ok
    other = site.agent()
    assert page.request.get(f"/api/export/?agent={other.id}&format=parquet").status == 404
