"""The SDK on every Python that it promises, as far as this machine has them.

Each gets an environment of its own with the SDK's wheel, and runs those of the SDK's tests that lean on what Python
does itself: contexts, threads, generators, frames, forks, the end of the process. A Python that is not here is
skipped, and the reason says so (`make test` prints it).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PROMISED = re.findall(
    r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "sdk" / "pyproject.toml").read_text()
)
NEEDED = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "httpx", "fastapi", "uvicorn")
FILES = (
    "answers", "async_clients", "background", "bind", "contexts", "fastapi", "https", "interleavings", "kinds",
    "outbox", "public_names", "sending", "settings", "stream", "strays", "tokens", "tracking", "what_is_sent",
)  # fmt: skip
# These wait for seconds, and Python's part in them is small.
LEFT_OUT = "comes_back or wrong_key or missing_key"


def interpreter(version: str) -> str | None:
    """A Python of this version that starts: on the PATH, or one of pyenv's or uv's."""
    homes = {
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions": f"{version}.*",
        Path(
            os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python")
        ): f"*-{version}.*",
    }
    found = [shutil.which(f"python{version}")]
    found += [
        str(path / "bin" / f"python{version}")
        for folder, names in homes.items()
        for path in sorted(folder.glob(names), reverse=True)
    ]
    for each in filter(None, found):
        asked = [each, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        try:
            done = subprocess.run(asked, capture_output=True, text=True, timeout=30)
        except OSError:
            continue
        if done.stdout.strip() == version:  # a shim of pyenv's is there also for what is not installed
            return each
    return None


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdk")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT / "sdk", check=True, capture_output=True)
    [made] = folder.glob("*.whl")
    return made


def test_what_is_promised_is_what_is_tried():
    assert PROMISED[0] == "3.10"
    assert [f"3.{minor}" for minor in range(10, 10 + len(PROMISED))] == PROMISED


@pytest.mark.parametrize("version", PROMISED)
def test_sdk(version: str, wheel: Path, tmp_path: Path):
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip(f"Python {version} is the one that runs this suite")
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here: neither on the PATH nor in pyenv or uv")
    own = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", "--without-pip", str(own)], check=True, timeout=60)
    its_python = str(own / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--python", its_python, "install", "--quiet", str(wheel), *NEEDED]
    subprocess.run(install, check=True, timeout=120)
    run = [
        its_python,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--confcutdir=sdk",
        "-n",
        "4",
        "--dist",
        "loadfile",
    ]
    files = [f"sdk/tests/test_{name}.py" for name in FILES]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [*run, "-k", f"not ({LEFT_OUT})", *files],
        cwd=ROOT,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"\d{3,} passed", done.stdout), done.stdout[-300:]
