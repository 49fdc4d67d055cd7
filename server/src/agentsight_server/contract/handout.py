"""The SDK that this server hands out, and the one line that installs it."""

from __future__ import annotations

import functools
import importlib.resources
from importlib.resources.abc import Traversable

_FOLDER = "handout"


@functools.cache
def wheel() -> Traversable | None:
    """The SDK's wheel that was built together with this server; None in a checkout that was not built."""
    folder = importlib.resources.files("agentsight_server") / _FOLDER
    if not folder.is_dir():
        return None
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".whl")), key=lambda it: it.name)
    return found[-1] if found else None


def wheel_address(base: str) -> str:
    """Where a server gives its SDK away.

    Example:
        >>> wheel_address("https://stats.example.com")
        'https://stats.example.com/sdk/agentsight_sdk-0.3.0-py3-none-any.whl'
    """
    from agentsight_server._version import __version__

    there = wheel()
    name = there.name if there is not None else f"agentsight_sdk-{__version__}-py3-none-any.whl"
    return f"{base.rstrip('/')}/sdk/{name}"


def install_line(base: str) -> str:
    """What a developer types. The name `agentsight` on PyPI is another product's.

    Example:
        >>> install_line("https://stats.example.com")
        'pip install https://stats.example.com/sdk/agentsight_sdk-0.3.0-py3-none-any.whl'
    """
    return f"pip install {wheel_address(base)}"


def requirement_line(base: str) -> str:
    """The same for a requirements file.

    Example:
        >>> requirement_line("https://stats.example.com")
        'agentsight-sdk @ https://stats.example.com/sdk/agentsight_sdk-0.3.0-py3-none-any.whl'
    """
    return f"agentsight-sdk @ {wheel_address(base)}"
