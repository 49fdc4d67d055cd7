"""The command line as a person uses it: real processes, real folders."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from agentsight._version import __version__
from agentsight_server.cli.root import root
from agentsight_server.security.keys import is_well_formed
from agentsight_server.settings import Settings
from agentsight_server.store import agents, people
from agentsight_server.store.database import Database
from tests.serving import ServerProcess

RECORD = {
    "conversation_id": "conv_1",
    "customer_ip_address": "161.53.72.1",
    "started_at": "2026-08-01T08:00:00Z",
    "items": [
        {"type": "message", "sender": "end_user", "timestamp": "2026-08-01T08:00:01Z", "content": "Hello"},
        {
            "type": "attachments",
            "timestamp": "2026-08-01T08:00:02Z",
            "attachments": [{"filename": "a.txt", "mime_type": "text/plain", "data": "aGVsbG8="}],
        },
    ],
    "feedbacks": [{"sentiment": "positive", "source": "customer", "created_at": "2026-08-01T08:01:00Z"}],
}


class Shell:
    """Runs `agentsight` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "agentsight-data"

    def __call__(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Result:
        hidden: dict[str, str | None] = {name: None for name in os.environ if name.startswith("AGENTSIGHT_")}
        return CliRunner(env=hidden | environ).invoke(
            root, arguments, input=stdin, prog_name="agentsight", catch_exceptions=False
        )

    @property
    def database(self) -> Database:
        return Database(f"sqlite:///{self.data / 'agentsight.db'}")

    def query(self, statement: str) -> list[Any]:
        database = self.database
        with database.read() as connection:
            rows = list(connection.exec_driver_sql(statement))
        database.close()
        return rows


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


def one_line(result: Result) -> str:
    """The one line on standard error of a command that could not run."""
    assert result.exit_code == 2, result.output
    text = result.stderr.strip()
    assert text.startswith("agentsight: ")
    assert "\n" not in text, text
    return text


@pytest.mark.parametrize(
    "command", [["-m", "agentsight_server"], ["-c", "from agentsight_server.cli import main; main()"]]
)
def test_the_version(command: list[str]) -> None:
    for argument in ("--version", "-V"):
        result = subprocess.run(
            [sys.executable, *command, argument], capture_output=True, text=True, check=False
        )
        assert (result.returncode, result.stdout.strip()) == (0, f"agentsight {__version__}")


def test_help_names_every_command_without_loading_the_server() -> None:
    code = (
        "import sys; sys.argv = ['agentsight', '--help']\n"
        "from agentsight_server.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'litestar', 'sqlalchemy', 'duckdb', 'rich', 'obstore'}, loaded\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for command in ("serve", "demo", "keys", "people", "import"):
        assert f"\n  {command} " in result.stdout


def test_a_wrong_command_or_value_is_refused(shell: Shell) -> None:
    assert shell("sevre").exit_code == 2
    assert shell("serve", "--port", "70000").exit_code == 2
    assert shell("keys", "create", "--agent", "A", "--role", "admin").exit_code == 2
    assert "PORT" in one_line(shell("serve", AGENTSIGHT_PORT="many"))
    assert "PORT" in one_line(shell("serve", AGENTSIGHT_PORT="70000"))
    assert "LOG_LEVEL" in one_line(shell("serve", AGENTSIGHT_LOG_LEVEL="LOUD"))
    assert "postgresql://" in one_line(shell("keys", "list", "--database-url", "mysql://x/y"))
    assert not shell.data.exists()


# ------------------------------------------------------------------ keys


def test_keys_create_prints_the_key_and_nothing_else(shell: Shell) -> None:
    result = shell("keys", "create", "--agent", "Concierge", "--role", "ingest", "--label", "widget")
    assert result.exit_code == 0, result.stderr
    key = result.stdout.removesuffix("\n")
    assert is_well_formed(key)
    [row] = shell.query("SELECT role, name, revoked_at FROM api_keys")
    assert tuple(row) == ("ingest", "widget", None)
    assert key.encode() not in (shell.data / "agentsight.db").read_bytes()


def test_keys_of_one_agent_and_their_end(shell: Shell) -> None:
    keys = [shell("keys", "create", "--agent", name).stdout.strip() for name in ("A", "B", "A")]
    assert len(shell.query("SELECT * FROM agents")) == 2
    listed = shell("keys", "list", "--agent", "A").stdout.splitlines()
    assert listed[0].split("\t")[:3] == ["number", "agent", "role"]
    assert [line.split("\t")[:3] for line in listed[1:]] == [["1", "A", "write"], ["3", "A", "write"]]
    assert shell("keys", "revoke", "1").exit_code == 0
    assert shell("keys", "revoke", keys[1]).exit_code == 0
    for gone in ("1", keys[1], "99", "nonsense", "9" * 40):
        result = shell("keys", "revoke", gone)
        assert result.exit_code == 1
        assert "no such key" in result.stderr
    assert [line[0] for line in shell("keys", "list").stdout.splitlines()[1:]] == ["3"]
    everything = shell("keys", "list", "--all").stdout.splitlines()
    assert [line[0] for line in everything[1:]] == ["1", "2", "3"]
    assert "no agent 'C'" in one_line(shell("keys", "list", "--agent", "C"))


def test_what_is_set_for_a_key_is_kept_and_shown(shell: Shell) -> None:
    result = shell(
        "keys", "create", "--agent", "A", "--role", "ingest", "--label", "Shop widget",
        "--origin", "https://Shop.example.com/", "--origin", "https://*.example.org",
        "--items-per-minute", "300", "--items-per-day", "10_000", "--bytes-per-day", "50MB", "--expires", "2199-12-31",
    )  # fmt: skip
    assert is_well_formed(result.stdout.removesuffix("\n")), result.stderr
    line = shell("keys", "list").stdout.splitlines()[1].split("\t")
    assert line[3] == "Shop widget"
    assert line[6:] == [
        "never",
        "from https://shop.example.com, from https://*.example.org, 300 items a minute, 10,000 items a day, "
        "50,000,000 bytes a day, ends 2200-01-01 00:00",
    ]
    assert (
        shell("keys", "set", "1", "--items-per-day", "none", "--origin", "none", "--label", "B").exit_code
        == 0
    )
    line = shell("keys", "list").stdout.splitlines()[1].split("\t")
    assert (line[3], line[7]) == ("B", "300 items a minute, 50,000,000 bytes a day, ends 2200-01-01 00:00")
    assert shell("keys", "set", "1", "--expires", "90d").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--origin", "shop.example.com"), "--origin"),
        (("--items-per-minute", "0"), "--items-per-minute"),
        (("--items-per-minute", "many"), "--items-per-minute"),
        (("--items-per-day", "5M"), "--items-per-day"),
        (("--bytes-per-day", "lots"), "--bytes-per-day"),
        (("--expires", "tomorrow"), "--expires"),
        (("--expires", "2020-01-01"), "--expires"),
        (("--label", "x" * 256), "--label"),
    ],
)
def test_a_setting_of_a_key_that_it_cannot_take_is_named(
    shell: Shell, arguments: tuple[str, str], named: str
) -> None:
    assert shell("keys", "create", "--agent", "A").exit_code == 0
    for command in (("create", "--agent", "A"), ("set", "1")):
        assert named in one_line(shell("keys", *command, *arguments))
    assert "--label" in one_line(shell("keys", "set", "1"))
    assert len(shell("keys", "list").stdout.splitlines()) == 2


def test_a_token_secret_is_printed_alone_and_for_ingest_keys(shell: Shell) -> None:
    shell("keys", "create", "--agent", "A", "--role", "ingest")
    shell("keys", "create", "--agent", "A")
    first, second = (shell("keys", "token", "1").stdout for _ in range(2))
    assert re.fullmatch(r"agt_[0-9a-f]{64}\n", first)
    assert first != second
    assert "needs conversation tokens" in shell("keys", "list").stdout
    assert shell("keys", "token", "1", "--off").stdout == ""
    assert "needs conversation tokens" not in shell("keys", "list").stdout
    assert "ingest" in one_line(shell("keys", "token", "2"))
    assert shell("keys", "token", "99").exit_code == 1


def test_looking_at_a_folder_without_a_database_makes_none(shell: Shell) -> None:
    for arguments in (["list"], ["revoke", "1"], ["set", "1", "--label", "x"], ["token", "1"]):
        assert "no database" in one_line(shell("keys", *arguments))
    assert not shell.data.exists()


@pytest.mark.parametrize("name", ["", "   ", "x" * 256])
def test_an_agent_needs_a_name(shell: Shell, name: str) -> None:
    assert "--agent" in one_line(shell("keys", "create", "--agent", name))
    assert shell.query("SELECT * FROM agents") == []


def test_settings_come_from_the_environment_and_options_win(shell: Shell, tmp_path: Path) -> None:
    environ = {"AGENTSIGHT_DATA_DIR": str(tmp_path / "from-environment")}
    assert shell("keys", "create", "--agent", "A", **environ).exit_code == 0
    assert (tmp_path / "from-environment" / "agentsight.db").exists()
    given = str(tmp_path / "given")
    assert shell("keys", "create", "--agent", "A", "--data-dir", given, **environ).exit_code == 0
    assert (tmp_path / "given" / "agentsight.db").exists()


# ------------------------------------------------------------------ people


def test_a_person_is_made_with_a_password_from_standard_input(shell: Shell) -> None:
    shell("keys", "create", "--agent", "A")
    result = shell(
        "people", "create", "Ana@Example.org", "--name", "Ana", "--password-stdin", stdin=b"a long password\n"
    )
    assert result.exit_code == 0, result.stderr
    viewer = ("people", "create", "vid@example.org", "--role", "viewer", "--password-stdin")
    assert shell(*viewer, "--agent", "A", stdin=b"a long password").exit_code == 0
    database = shell.database
    with database.read() as connection:
        found = people.credentials(connection, "ana@example.org")
        assert found is not None
        assert people.get(connection, found[0]).agent_ids is None  # type: ignore[union-attr]
        found = people.credentials(connection, "vid@example.org")
        assert found is not None
        agent = agents.find(connection, "A")
        assert people.get(connection, found[0]).agent_ids == {agent}  # type: ignore[union-attr]
    database.close()
    assert b"a long password" not in (shell.data / "agentsight.db").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (["a@b.c", "--password-stdin"], b"short\n", "at least 10 characters"),
        (["nobody", "--password-stdin"], b"a long password\n", "e-mail address"),
        (["a@b.c"], b"a long password\n", "--password-stdin"),
        (["a@b.c", "--role", "viewer", "--password-stdin"], b"a long password\n", "--agent"),
        (["a@b.c", "--agent", "A", "--password-stdin"], b"a long password\n", "--agent"),
        (
            ["a@b.c", "--role", "viewer", "--agent", "Nobody", "--password-stdin"],
            b"a long password\n",
            "no agent 'Nobody'",
        ),
    ],
)
def test_a_person_who_cannot_be_made(shell: Shell, arguments: list[str], stdin: bytes, says: str) -> None:
    assert says in one_line(shell("people", "create", *arguments, stdin=stdin))


def test_an_address_is_taken_once(shell: Shell) -> None:
    command = ("people", "create", "a@b.c", "--password-stdin")
    assert shell(*command, stdin=b"a long password\n").exit_code == 0
    assert "belongs to an account" in one_line(shell(*command, stdin=b"a long password\n"))


# ------------------------------------------------------------------ import


def test_a_file_imported_twice_is_stored_once(shell: Shell) -> None:
    (shell.folder / "a.jsonl").write_text(json.dumps(RECORD) + "\n")
    first = shell("import", "a.jsonl", "--agent", "A")
    assert first.exit_code == 0, first.stderr
    assert first.stdout == "a.jsonl: 1 conversations (1 new), 3 new items\n"
    again = shell("import", "a.jsonl", "--agent", "A")
    assert again.stdout == "a.jsonl: 1 conversations (0 new), 0 new items, 3 were there already\n"
    assert [tuple(row) for row in shell.query("SELECT conversation_id, country FROM conversations")] == [
        ("conv_1", "HR")
    ]
    assert shell.query("SELECT count(*) FROM items")[0][0] == 3
    [file] = [path for path in (shell.data / "files").rglob("*") if path.is_file()]
    assert file.read_bytes() == b"hello"


def test_commands_take_a_postgresql_database(shell: Shell, new_postgres: Callable[[], str]) -> None:
    place = ("--database-url", new_postgres())
    (shell.folder / "a.jsonl").write_text(json.dumps(RECORD) + "\n")
    key = shell("keys", "create", "--agent", "A", *place).stdout.strip()
    assert is_well_formed(key)
    for said in ("(1 new), 3 new items", "(0 new), 0 new items, 3 were there already"):
        assert said in shell("import", "a.jsonl", "--agent", "A", *place).stdout
    assert shell("keys", "revoke", key, *place).exit_code == 0
    assert "no keys" in shell("keys", "list", *place).stderr
    assert not (shell.data / "agentsight.db").exists()
    wrong = place[1].rpartition("/")[0] + "/nowhere"
    assert "cannot open the database" in one_line(shell("keys", "list", "--database-url", wrong))


def test_gzip_standard_input_and_several_files(shell: Shell) -> None:
    lines = [json.dumps(RECORD | {"conversation_id": f"conv_{n}"}) for n in range(4)]
    (shell.folder / "a.jsonl.gz").write_bytes(gzip.compress((lines[0] + "\n").encode()))
    (shell.folder / "b.jsonl").write_bytes(b"\xef\xbb\xbf" + lines[1].encode() + b"\r\n\r\n\n")
    result = shell("import", "a.jsonl.gz", "b.jsonl", "-", "--agent", "A", stdin=lines[2].encode())
    assert result.exit_code == 0, result.stderr
    result = shell("import", "-", "--agent", "A", stdin=gzip.compress(lines[3].encode()))
    assert result.exit_code == 0, result.stderr
    assert shell.query("SELECT count(*) FROM conversations")[0][0] == 4


def test_bad_lines_are_named_and_the_others_imported(shell: Shell) -> None:
    bad_item = {"type": "message", "sender": "nobody", "content": "x"}
    lines = [
        json.dumps(RECORD),
        "not json",
        "[1, 2]",
        json.dumps({"items": []}),
        json.dumps(RECORD | {"conversation_id": "conv_2", "device": "toaster"}),
        json.dumps(RECORD | {"conversation_id": "conv_3", "items": [*RECORD["items"], bad_item]}),  # type: ignore[misc]
        json.dumps(RECORD | {"conversation_id": "conv_4"}),
    ]
    (shell.folder / "mixed.jsonl").write_text("\n".join(lines))
    result = shell("import", "mixed.jsonl", "--agent", "A")
    assert result.exit_code == 1
    problems = [line for line in result.stderr.splitlines() if line.startswith("mixed.jsonl:")]
    assert [line.split(":")[1] for line in problems] == ["2", "3", "4", "5", "6"]
    assert "conversation_id" in problems[2]
    assert "device" in problems[3]
    assert "desktop" in problems[3]
    assert "sender" in problems[4]
    assert "Traceback" not in result.stderr
    assert [row[0] for row in shell.query("SELECT conversation_id FROM conversations ORDER BY id")] == [
        "conv_1",
        "conv_3",
        "conv_4",
    ]


def test_a_truncated_gzip_file_gives_what_it_holds(shell: Shell) -> None:
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb") as file:
        for n in range(400):
            file.write(
                json.dumps(RECORD | {"conversation_id": f"conv_{n}", "name": os.urandom(40).hex()}).encode()
                + b"\n"
            )
    (shell.folder / "cut.gz").write_bytes(buffer.getvalue()[:-2000])
    result = shell("import", "cut.gz", "--agent", "A")
    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert "Traceback" not in result.stderr
    assert 100 < shell.query("SELECT count(*) FROM conversations")[0][0] < 400


def test_a_file_that_is_not_there_is_refused_before_anything_is_made(shell: Shell) -> None:
    assert shell("import", "nowhere.jsonl", "--agent", "A").exit_code == 2
    assert not shell.data.exists()


# ------------------------------------------------------------------ what keeps it from running


def test_a_folder_that_cannot_be_used_is_said_in_one_line(shell: Shell) -> None:
    (shell.folder / "taken").write_text("a file")
    folder = str(shell.folder / "taken" / "data")
    for arguments in (("serve", "--port", "0"), ("keys", "create", "--agent", "A"), ("demo", "--port", "0")):
        assert folder in one_line(shell(*arguments, "--data-dir", folder))


def test_a_newer_database_is_said_in_one_line(shell: Shell) -> None:
    shell("keys", "create", "--agent", "A")
    database = shell.database
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'from_the_future'")
    database.close()
    for arguments in (("serve", "--port", "0"), ("keys", "list"), ("import", "-", "--agent", "A")):
        assert "newer AgentSight" in one_line(shell(*arguments))


def test_a_file_that_is_no_database_is_said_in_one_line(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "agentsight.db").write_bytes(b"something else entirely" * 100)
    for arguments in (("serve", "--port", "0"), ("keys", "list")):
        assert "database" in one_line(shell(*arguments))


def test_a_port_in_use_is_said_in_one_line(shell: Shell, sqlite_server: ServerProcess) -> None:
    port = sqlite_server.address.rpartition(":")[2]
    text = one_line(shell("serve", "--port", port))
    assert port in text
    assert "--port" in text


# ------------------------------------------------------------------ the documentation

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


@pytest.mark.parametrize(("name", "command"), list(_commands(root)))
def test_every_command_and_option_is_documented(name: str, command: click.Command) -> None:
    section = _section(name.split()[0])
    assert f"**{name.split()[1]}**" in section if " " in name else f"agentsight {name}" in section
    settings = _section("Settings", level="## ")
    for parameter in command.params:
        for option in (each for each in parameter.opts if each.startswith("--")):
            assert option in section or f"`{option}`" in settings, option
    assert command.help


def test_every_setting_of_the_server_is_documented_with_its_variable() -> None:
    settings = _section("Settings", level="## ")
    for variable, _, _ in Settings.table():
        assert f"`{variable}" in settings, variable


def _section(name: str, level: str = "## agentsight ") -> str:
    text = DOCUMENT.read_text(encoding="utf-8")
    start = text.index(f"\n{level}{name}\n")
    end = text.find("\n## ", start + 4)
    return text[start : end if end > 0 else None]


# ------------------------------------------------------------------ agents


def test_the_storage_limit_of_an_agent(shell: Shell) -> None:
    shell("keys", "create", "--agent", "A")
    assert shell("agents", "set", "A", "--storage-limit", "10GB").exit_code == 0
    assert shell("agents", "list").stdout.splitlines()[1].split("\t") == ["1", "A", "0", "10000000000"]
    assert shell("agents", "set", "A", "--storage-limit", "none").exit_code == 0
    assert shell("agents", "list").stdout.splitlines()[1].split("\t") == ["1", "A", "0", ""]
    assert "--storage-limit" in one_line(shell("agents", "set", "A", "--storage-limit", "lots"))
    assert "no agent 'B'" in one_line(shell("agents", "set", "B", "--storage-limit", "1GB"))
    assert "nothing to set" in one_line(shell("agents", "set", "A"))


def test_pauses_are_set_by_source(shell: Shell) -> None:
    shell("keys", "create", "--agent", "A")
    done = shell(
        "agents", "set", "A", "--pause", "WhatsApp=12h", "--pause", "kiosk = 1.5 h", "--pause", "email=3 days"
    )
    assert done.exit_code == 0
    assert "whatsapp 12 h, kiosk 90 min." in done.stderr, "email has the usual one"
    assert (
        "other 2 h, kiosk 90 min."
        in shell("agents", "set", "A", "--pause", "other=2h", "--pause", "whatsapp=usual").stderr
    )
    assert (
        "usual ones"
        in shell("agents", "set", "A", "--pause", "kiosk=usual", "--pause", "other=30 min").stderr
    )
    for wrong in (
        "whatsapp",
        "=3h",
        "web=",
        "web=0 min",
        "web=5",
        "web=-1h",
        "web=400 days",
        "web=1e3h",
        "web=١h",
    ):
        assert "--pause" in one_line(shell("agents", "set", "A", "--pause", wrong))
