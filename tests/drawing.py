"""How the tests that draw their cases do so: the same ones every time, unless a longer, random run is asked for.

AGENTSIGHT_EXAMPLES=20 draws twenty times as many, other ones in each run.
"""

from __future__ import annotations

import importlib
import os
import pkgutil

from hypothesis import settings

_TIMES = int(os.environ.get("AGENTSIGHT_EXAMPLES", "1"))


def longer() -> bool:
    """Whether a longer run was asked for."""
    return _TIMES > 1


def examples(count: int) -> int:
    """How many cases to draw where `count` are enough for every day."""
    return count * _TIMES


def settle() -> None:
    """Make every test of this run draw so; called before a test module is read."""
    settings.register_profile("agentsight", derandomize=not longer(), print_blob=True)
    settings.load_profile("agentsight")


def load_everything() -> None:
    """Import every module of ours. Hypothesis draws constants from the modules that are loaded, and a worker would have
    others in each run, by what it happened to run before."""
    for root in ("agentsight", "agentsight_server"):
        package = importlib.import_module(root)
        for each in pkgutil.walk_packages(package.__path__, f"{root}."):
            # These two do something when they are imported.
            if not each.name.endswith("__main__") and ".migrations" not in each.name:
                importlib.import_module(each.name)
