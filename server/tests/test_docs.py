"""Documentation that has fallen behind fails here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from agentsight_server.cli.root import root
from agentsight_server.contract.handout import install_line
from agentsight_server.records.importer import _with_ids
from agentsight_server.settings import Settings
from tests.serving import ServerProcess

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("*/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def test_every_setting_is_in_the_docs_as_the_program_says_it() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    for name, default, doc in Settings.table():
        assert f"| `{name}` | {'' if default == 'None' else f'`{default}`'} | {doc} |" in text


def test_the_docs_install_this_version_from_a_server() -> None:
    for page, base in (("README.md", "http://127.0.0.1:8000"), ("docs/sdk.md", "https://stats.example.com")):
        assert install_line(base) in (ROOT / page).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^(```+).*?^\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        led_to = (page.parent / name).resolve() if name else page
        assert led_to.exists(), target
        assert led_to.is_relative_to(ROOT), f"{target}: not in the repository"
        if anchor:
            assert anchor in anchors(led_to), target


def anchors(page: Path) -> set[str]:
    """The names that headings get where the page is read on a forge."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower())
        found.add(plain.strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_are_there(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # of what was, too
    text = page.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = [each for each in re.findall(r"`(agentsight [a-z][^`]*)`", text) if "…" not in each]
    for told in (part.strip() for line in [*lines, *spans] for part in re.split(r"&&|[|;#(]", line)):
        begun = re.match(
            r"(?:sudo -u agentsight |docker compose exec agentsight )?(?:[A-Z_]+=\S+ )*(?:/\S*/)?agentsight (?=[a-z])",
            told,
        )
        if begun is None:
            continue
        command: click.Command = root
        words = told[begun.end() :].split()
        while words and isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, f"there is no command {told!r}"
            command = found
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        for option in (each.partition("=")[0] for each in words if each.startswith("--")):
            assert option in known, f"{told!r}: no option {option}"


def test_every_page_stands_in_the_index_of_its_folder() -> None:
    for index in (ROOT / "docs" / "README.md", *(ROOT / "docs").glob("*/README.md")):
        listed = {
            (index.parent / target.partition("#")[0]).resolve()
            for target in re.findall(r"\]\(([^)\s]+)\)", index.read_text())
        }
        missing = {page.name for page in index.parent.glob("*.md") if page.resolve() not in listed}
        assert missing <= {"README.md"}, f"{index.relative_to(ROOT)} does not name {missing}"
    listed_folders = (ROOT / "docs" / "README.md").read_text()
    for folder in (ROOT / "docs").iterdir():
        if folder.is_dir() and any(folder.glob("*.md")):
            assert f"({folder.name}/README.md)" in listed_folders


def test_the_record_in_the_docs_is_one() -> None:
    text = (ROOT / "docs" / "records.md").read_text()
    record = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert record is not None
    assert b'"id"' in _with_ids(record[1].replace("\n", " ").encode())


def test_the_lines_in_the_readme_track_a_conversation(sqlite_server: ServerProcess, tmp_path: Path) -> None:
    agent = sqlite_server.agent()
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    code = (
        block[1].replace("ags_…", agent.keys["write"]).replace("http://127.0.0.1:8000", sqlite_server.address)
    )
    (tmp_path / "bot.py").write_text(code)
    ran = subprocess.run([sys.executable, "bot.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stderr) == (0, "")
    with agent.client() as client:
        found = client.get("/api/conversations/").json()["results"]
    assert [(each["conversation_id"], each["environment"]) for each in found] == [("conv_1", "production")]
    assert [message["sender"] for message in found[0]["messages"]] == ["end_user", "agent"]


def test_the_call_in_the_readme_tracks_one_too(sqlite_server: ServerProcess) -> None:
    agent = sqlite_server.agent()
    body = re.search(r"-d '(\{.*?\})'", (ROOT / "README.md").read_text())
    assert body is not None
    with agent.client() as client:
        assert client.post(
            "/api/track/", content=body[1], headers={"Content-Type": "application/json"}
        ).is_success
        assert len(client.get("/api/conversations/").json()["results"][0]["messages"]) == 2
