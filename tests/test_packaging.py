"""What `pip install` gives: the SDK alone is light, and the wheel carries the built dashboard."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT],
        check=True,
        timeout=170,
    )
    return next(folder.glob("agentsight-*.whl"))


def test_the_wheel_has_all_that_the_server_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "agentsight/py.typed" in names
    assert "agentsight/server/dashboard/static/manifest.json" in names
    assert any(name.endswith("versions/0001_first_schema.py") for name in names)
    assert any(name.startswith("agentsight/server/dashboard/templates/") for name in names)
    assert any(name.endswith(".play") for name in names), "the demo's stories"
    assert any("licenses/LICENSE" in name for name in names)
    assert not any(name.startswith(("tests/", "web/")) or "node_modules" in name for name in names)


def test_the_base_install_is_the_sdk_and_one_dependency(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("AGENTSIGHT_", "PYTHON"))
    }
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True, env=environ, timeout=120)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
    ).stdout
    packages = {line.partition("==")[0].lower() for line in listed.split()} - {"pip", "setuptools"}
    assert packages == {"agentsight", "urllib3"}
    code = (
        "from agentsight import conversation_tracker as t\n"
        "t.get_or_create_conversation('c'); t.track_human_message('hi')\n"
        "print(t.get_tracked_data_summary()['summary']['questions'])"
    )
    ran = subprocess.run(
        [python, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environ | {"AGENTSIGHT_API_KEY": "x"},
    )
    assert ran.stdout == "1\n"
    served = subprocess.run(
        [tmp_path / "env" / "bin" / "agentsight", "serve"],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )
    assert served.returncode == 2
    assert 'pip install "agentsight[server]"' in served.stderr
    assert served.stderr.count("\n") == 1
