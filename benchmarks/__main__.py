"""`python -m benchmarks`: every benchmark, one after the other; the soak, which takes an hour, only by its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEFT_OUT = {
    "__init__",
    "__main__",
    "abuse_attacks",
    "ingest_peers",
    "load",
    "report",
    "sdk_peers",
    "serving",
    "soak",
}

if __name__ == "__main__":
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in LEFT_OUT)
    sys.exit(
        max(subprocess.call([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]) for name in names)
    )
