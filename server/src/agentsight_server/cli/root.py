"""The group of commands; each lives in a module of its own, loaded when it is called."""

from __future__ import annotations

import importlib

import click

from agentsight_server._version import __version__

_COMMANDS = {
    # command: (module, attribute, what `agentsight --help` says)
    "serve": ("serve", "serve", "Run the server: API and dashboard."),
    "demo": ("demo", "demo", "Run a server with sample data that keeps growing."),
    "agents": ("agents", "agents", "List agents, and set what their attachments may take."),
    "keys": ("keys", "keys", "Make, list and revoke API keys."),
    "people": ("people", "people", "Add people who sign in to the dashboard."),
    "import": ("importing", "import_", "Read conversations from files."),
    "export": ("export", "export", "Write an agent's conversations to a file."),
    "erase": ("erase", "erase", "Erase conversations, a customer or an agent for good."),
    "erasures": ("erasures", "erasures", "What was erased: keep it beside backups, and replay it on one."),
    "retention": ("erase", "retention", "For how many days conversations are kept."),
    "backup": ("backup", "backup", "Copy everything into one file, while the server runs."),
    "restore": ("restore", "restore", "Make a backup the data again."),
    "doctor": ("doctor", "doctor", "Look everything over, and say what to do."),
    "healthcheck": ("healthcheck", "healthcheck", "Whether the server here does its work; for containers."),
    "analytics": ("analytics", "analytics", "Rebuild the figures."),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"agentsight_server.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The table's own texts: a help page need not load the server.
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="agentsight %(version)s")
def root() -> None:
    """AgentSight: see what your assistants talk about, and whether they do their job.

    Every option can also be set as an environment variable AGENTSIGHT_<NAME>.
    """
