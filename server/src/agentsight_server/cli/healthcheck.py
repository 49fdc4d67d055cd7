"""`agentsight healthcheck`: for containers and supervisors, whether the server beside it does its work."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import click

from agentsight_server.cli.options import Trouble, load, setting_options

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - what it listens on, not what we do


class Unwell(Trouble):
    """It does not; exit code 1, the one that container engines know."""

    exit_code = 1


@click.command()
@click.option(
    "--timeout", default=8.0, show_default=True, metavar="SECONDS", help="How long an answer may take."
)
@setting_options("host", "port")
def healthcheck(timeout: float, **given: Any) -> None:
    """Ask the server on this machine whether it takes writes and answers a question for figures.

    Exits with 0 when all is well, else with 1 and what is wrong.
    """
    settings = load(given)
    host = _ANYWHERE.get(settings.host, settings.host)
    address = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    # A proxy that the environment names is for calls to elsewhere.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}/readyz?figures=true", timeout=timeout) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise Unwell(f"{address} is not ready: {_wrong(error.read())}") from None
    except (OSError, ValueError) as error:
        raise Unwell(f"{address} does not answer: {getattr(error, 'reason', error)}") from None
    click.echo(", ".join(f"{name}: {state}" for name, state in found["checks"].items()))


def _wrong(body: bytes) -> str:
    try:
        checks = json.loads(body)["checks"]
        return ", ".join(f"{name}: {state}" for name, state in checks.items() if state != "ok")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it says something else"
