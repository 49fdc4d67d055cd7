"""The `agentsight` command.

Its libraries come with the server's extra; without them one line says so. Nothing is imported before it is needed,
so that `agentsight --help` answers at once.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

_MISSING = 'agentsight: the command line comes with the server: pip install "agentsight[server]"\n'


def main() -> None:
    """Run the command line with the process's arguments and exit.

    Exit codes: 0 done; 1 done in part, or not found; 2 wrong use, or it cannot run (one line says why).
    """
    if sys.argv[1:] in (["--version"], ["-V"]):
        from agentsight._version import __version__

        sys.stdout.write(f"agentsight {__version__}\n")
        return
    # Databases, exports and backups hold customers' words: nobody else on the machine may read what is written.
    os.umask(0o077)
    try:
        from agentsight.cli.root import root

        root.main(prog_name="agentsight")
    except ModuleNotFoundError as error:
        if (error.name or "agentsight").partition(".")[0] == "agentsight":
            raise
        sys.stderr.write(_MISSING)
        sys.exit(2)
