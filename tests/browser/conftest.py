"""A real Chromium on a real server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.samples import Sample, fill
from tests.serving import ServerProcess

EMAIL = "ana@example.com"
PASSWORD = "correct horse battery"
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


# For this folder alone: Playwright keeps an event loop in the main thread, where other tests run their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium: CHROMIUM names another, else the system's, else the one that Playwright brings."""
    named = os.environ.get("CHROMIUM")
    found = (
        named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    )
    quiet = [
        "--no-sandbox",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=[*quiet, "--no-first-run"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with an owner who can sign in."""
    with ServerProcess(tmp_path_factory.mktemp("site")) as process:
        process.person(EMAIL, PASSWORD)
        yield process


@pytest.fixture(scope="session")
def signed_in(site: ServerProcess) -> Iterator[Callable[[], list[dict[str, str]]]]:
    """The cookies of the owner's session, made once: checking a password is slow on purpose."""
    with httpx.Client(base_url=site.address) as client:

        def cookies() -> list[dict[str, str]]:
            if (
                client.get("/api/me/").status_code != 200
            ):  # at first, and after a test that ended all sessions
                client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
                assert client.get("/api/me/").status_code == 200
            return [
                {"name": each.name, "value": each.value or "", "url": site.address}
                for each in client.cookies.jar
            ]

        yield cookies


@pytest.fixture
def sample(site: ServerProcess) -> Sample:
    """A new agent with conversations of every kind."""
    return fill(site)


class Trouble(AssertionError):
    """The page logged an error, or something that it needs did not come."""


@pytest.fixture
def open_context(
    browser: Browser, site: ServerProcess, signed_in: Callable[[], list[dict[str, str]]]
) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts, signed in unless told otherwise; errors on their pages fail the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def make(*, as_owner: bool = True, expect_errors: bool = False, **options: object) -> BrowserContext:
        options = {"viewport": WIDE, "timezone_id": "Europe/Zagreb", "base_url": site.address} | options
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        contexts.append(context)
        if not expect_errors:
            context.on("weberror", lambda error: problems.append(str(error.error)))
            context.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        if as_owner:
            context.add_cookies(signed_in())  # type: ignore[arg-type]
        return context

    yield make
    for context in contexts:
        context.close()
    if problems:
        raise Trouble("\n".join(problems))


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    """A wide page of somebody who is signed in."""
    return open_context().new_page()


def sign_in(page: Page) -> None:
    """Through the form."""
    page.goto("/sign-in")
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
