"""The `agentsight` command.

Nothing is imported before it is needed, so that `agentsight --help` answers at once.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the process's arguments and exit.

    Exit codes: 0 done; 1 done in part, or not found; 2 wrong use, or it cannot run (one line says why).
    """
    if sys.argv[1:] in (["--version"], ["-V"]):
        from agentsight_server._version import __version__

        sys.stdout.write(f"agentsight {__version__}\n")
        return
    # Databases, exports and backups hold customers' words: nobody else on the machine may read what is written.
    os.umask(0o077)
    from agentsight_server.cli.root import root

    root.main(prog_name="agentsight")
