"""The recipe for a widget, in a real browser: its own page writes, other sites and other conversations do not."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext

from agentsight_server.security.conversation_tokens import new_secret
from agentsight_server.store.agents import TokenSecret
from server.tests.test_key_settings import key_of
from tests.processes.running import Program
from tests.processes.test_recipes import PAGES, Recipe
from tests.serving import ServerProcess
from tests.waiting import until


def test_the_page_of_the_recipe_writes_and_others_do_not(
    site: ServerProcess, open_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    agent, secret = site.agent(), new_secret()
    recipe = Recipe("widget", tmp_path)
    text = (PAGES / "widget.md").read_text(encoding="utf-8")
    for name, code in re.findall(r"^```html\n<!-- (\S+) -->\n(.*?)^```", text, re.M | re.S):
        (tmp_path / name).write_text(code, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as own, socket.create_server(("127.0.0.1", 0)) as foreign:
        addresses = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in (own, foreign)]
        key = key_of(agent, allowed_origins=(addresses[0],), token_secrets=(TokenSecret(secret),))
        settings = {"AGENTSIGHT_PUBLIC_KEY": key, "AGENTSIGHT_TOKEN_SECRET": secret}
        [command] = recipe.commands

        def serve(listener: socket.socket) -> Program:
            fd = listener.fileno()
            return recipe.run(agent, command, "--fd", str(fd), pass_fds=(fd,), **settings)

        with serve(own), serve(foreign):
            context = open_context(as_owner=False, expect_errors=True, base_url=None)
            page = context.new_page()
            for address, said in (
                (addresses[0], "Sent"),
                (addresses[1], "Not sent (0)"),
                (addresses[0], "Sent"),
            ):
                page.goto(address)
                page.wait_for_load_state("networkidle")
                page.get_by_label("Your question").fill(f"from {address}")
                page.get_by_role("button", name="Send").click()
                page.get_by_role("status").get_by_text(said, exact=True).wait_for()
            # Another's conversation, with one's own token, from the page itself.
            refused = page.evaluate(
                """async ([endpoint]) => {
                    const visit = await (await fetch("/visit")).json();
                    const answer = await fetch(`${endpoint}/api/track/`, {
                        method: "POST",
                        headers: {
                            Authorization: `Api-Key ${visit.key}`,
                            "Content-Type": "application/json",
                            "X-Conversation-Token": visit.token,
                        },
                        body: JSON.stringify({ conversation_id: "another", sender: "end_user", content: "x" }),
                    });
                    return [answer.status, await answer.json()];
                }""",
                [site.address],
            )
    assert refused == [403, {"conversation_token": ["is for another conversation"]}]
    with agent.client() as client:

        def stored() -> list[str]:
            found = client.get("/api/conversations/").json()["results"]
            assert len(found) <= 1, "one visitor, one conversation"
            return [message["content"] for each in found for message in each["messages"]]

        until(lambda: len(stored()) == 2)
        assert stored() == [f"from {addresses[0]}"] * 2
