"""What each distribution gives: a light SDK, and a server whose wheel carries the dashboard and the SDK's wheel."""

from __future__ import annotations

import email
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomllib

from agentsight_server._version import __version__ as server_version
from tests.serving import ServerProcess

ROOT = Path(__file__).parents[1]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTSIGHT_", "PYTHON"))}


def built(what: str, project: str, folder: Path, *, environ: dict[str, str] | None = None) -> Path:
    """Build a distribution without an environment of its own."""
    code = (
        f"from hatchling.builders.{what} import *\n"
        f"kind = {'WheelBuilder' if what == 'wheel' else 'SdistBuilder'}\n"
        f"print(list(kind({str(ROOT / project)!r}).build(directory={str(folder)!r})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=170, env=environ or CLEAN)
    return next(folder.glob("agentsight*"))


@pytest.fixture(scope="module")
def sdk_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Without Node: nothing of it is needed for the SDK.
    path = os.pathsep.join(each for each in os.environ["PATH"].split(os.pathsep) if not _has_node(each))
    return built("wheel", "sdk", tmp_path_factory.mktemp("sdk"), environ=CLEAN | {"PATH": path})


def _has_node(folder: str) -> bool:
    return (Path(folder) / "npm").exists() or (Path(folder) / "node").exists()


@pytest.fixture(scope="module")
def server_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", "server", tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an empty environment."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def test_the_servers_wheel_has_all_that_it_needs(server_wheel: Path) -> None:
    names = set(zipfile.ZipFile(server_wheel).namelist())
    assert "agentsight_server/dashboard/static/manifest.json" in names
    assert any(name.endswith("versions/0001_first_schema.py") for name in names)
    assert any(name.startswith("agentsight_server/dashboard/templates/") for name in names)
    assert any(name.endswith(".story") for name in names), "the demo's stories"
    assert "agentsight_server/security/common_passwords.txt" in names
    assert f"agentsight_server/handout/agentsight_sdk-{server_version}-py3-none-any.whl" in names
    assert all(name.startswith(("agentsight_server/", "agentsight_server-")) for name in names)
    assert left_over(names) == set()


def test_what_the_manifest_names_is_in_the_wheel_and_nothing_of_an_older_build(server_wheel: Path) -> None:
    static = "agentsight_server/dashboard/static/"
    with zipfile.ZipFile(server_wheel) as wheel:
        manifest = json.loads(wheel.read(static + "manifest.json"))
        packed = {name.removeprefix(static) for name in wheel.namelist() if name.startswith(static)}
    assert packed == {*manifest.values(), "manifest.json", "icons.json"}
    assert {"app.js", "analytics.js", "dashboard.css", "world.json", "licences.txt"} <= set(manifest)


def test_the_licences_of_what_is_bundled_come_with_it(server_wheel: Path) -> None:
    with zipfile.ZipFile(server_wheel) as wheel:
        name = next(name for name in wheel.namelist() if "/static/licences-" in name)
        told = wheel.read(name).decode()
    dependencies = json.loads((ROOT / "server/web/package.json").read_text())["dependencies"]
    for package in dependencies:
        assert re.search(rf"^{re.escape(package)} [\d.]+ \(", told, re.MULTILINE), package
    assert "Apache License" in told, "of the charts"
    assert "SIL OPEN FONT LICENSE" in told.upper(), "of the letters"


def test_the_sdks_wheel_is_small_and_alone(sdk_wheel: Path) -> None:
    names = set(zipfile.ZipFile(sdk_wheel).namelist())
    assert "agentsight/py.typed" in names
    assert all(name.startswith(("agentsight/", "agentsight_sdk-")) for name in names)
    assert left_over(names) == set()
    assert sdk_wheel.stat().st_size < 200_000


def test_the_wheel_that_is_handed_out_is_the_sdks_own(sdk_wheel: Path, server_wheel: Path) -> None:
    with zipfile.ZipFile(server_wheel) as wheel:
        handed = zipfile.ZipFile(io.BytesIO(wheel.read(f"agentsight_server/handout/{sdk_wheel.name}")))
    own = zipfile.ZipFile(sdk_wheel)
    assert {name: own.read(name) for name in own.namelist()} == {
        name: handed.read(name) for name in handed.namelist()
    }


@pytest.mark.parametrize("project", ["sdk", "server"])
def test_wheels_say_who_and_what_they_are(project: str, request: pytest.FixtureRequest) -> None:
    told = pyproject(project)
    with zipfile.ZipFile(request.getfixturevalue(f"{project}_wheel")) as wheel:
        info = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        about = email.message_from_string(wheel.read(info).decode())
        licence = wheel.read(info.replace("METADATA", "licenses/LICENSE")).decode()
    assert about["Name"] == told["name"]
    assert about["Version"] == server_version
    assert about["Summary"] == told["description"]
    assert about["Requires-Python"] == told["requires-python"]
    assert about["License-Expression"] == "MIT"
    assert licence == (ROOT / "LICENSE").read_text()
    assert len(about.get_all("Requires-Dist") or []) == len(told["dependencies"])
    assert about.get_payload().startswith("# AgentSight")


@pytest.mark.parametrize("project", ["sdk", "server"])
def test_source_distributions_build_what_they_are_made_of(project: str, tmp_path: Path) -> None:
    made = built("sdist", project, tmp_path)
    with tarfile.open(made) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= names
    assert left_over(names) == set()
    source = "src/agentsight_server/" if project == "server" else "src/agentsight/"
    modules = {
        path.relative_to(ROOT / project).as_posix() for path in (ROOT / project / source).rglob("*.py")
    }
    assert modules <= names
    if project == "server":
        assert f"src/agentsight_server/handout/agentsight_sdk-{server_version}-py3-none-any.whl" in names
        assert {"web/build.mjs", "web/package-lock.json", "hatch_build.py"} <= names
        assert not any("dashboard/static" in name for name in names), "it is built anew"


def left_over(names: set[str]) -> set[str]:
    """What no distribution may hold: tests, caches, what tools and the system leave behind."""
    return {
        name
        for name in names
        if re.search(r"(^|/)(tests?|node_modules|__pycache__|\.[^/]*)(/|$)|\.(pyc|map|db|duckdb|log)$", name)
        and name.rpartition("/")[2] not in {".gitignore", ".npmrc"}
    }


def pyproject(project: str) -> dict[str, Any]:
    told: dict[str, Any] = tomllib.loads((ROOT / project / "pyproject.toml").read_text())["project"]
    return told


def test_a_release_is_ready(sdk_wheel: Path, server_wheel: Path, fresh: Path) -> None:
    """The dry run of RELEASING.md: both wheels in an empty environment are the version that the changelog tells."""
    wheels = [str(sdk_wheel), str(server_wheel)]
    subprocess.run(
        [fresh, "-m", "pip", "-q", "install", "--no-deps", *wheels], check=True, env=CLEAN, timeout=120
    )
    try:
        command = [fresh.parent / "agentsight", "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=CLEAN).stdout
        assert said == f"agentsight {server_version}\n"
        code = (
            "from importlib.metadata import version as v; import agentsight; "
            "print(v('agentsight-sdk'), v('agentsight-server'), agentsight.__version__)"
        )
        ran = subprocess.run([fresh, "-c", code], capture_output=True, text=True, check=False, env=CLEAN)
        assert ran.stdout.split() == [server_version] * 3, ran.stderr
    finally:  # the next one begins in an empty environment
        names = ["agentsight-sdk", "agentsight-server"]
        subprocess.run(
            [fresh, "-m", "pip", "-q", "uninstall", "-y", *names], check=True, env=CLEAN, timeout=120
        )
    changes = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", changes, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(server_version)} - \d{{4}}-\d\d-\d\d", headings[1])


def test_versions_go_together() -> None:
    assert (ROOT / "sdk/src/agentsight/_version.py").read_text() == (
        ROOT / "server/src/agentsight_server/_version.py"
    ).read_text()


def test_the_line_on_connect_installs_an_sdk_whose_own_lines_track(tmp_path: Path, fresh: Path) -> None:
    """From the page to the overview, as somebody does it who has just made an agent."""
    with ServerProcess(tmp_path / "data") as server:
        server.person("owner@example.com", "correct horse battery")
        agent = server.agent("Concierge")
        with httpx.Client(base_url=server.address) as client:
            client.post("/sign-in", data={"email": "owner@example.com", "password": "correct horse battery"})
            page = client.get(f"/agents/{agent.id}/connect/").text
            install = re.search(r'<code id="install">(.*?)</code>', page)
            lines = re.search(r'tab-python"><pre[^>]*><code>(.*?)</code>', page, re.DOTALL)
            assert install is not None
            assert lines is not None
            assert install[1] in client.get("/sdk/").text
            program, *arguments = install[1].split()
            assert program == "pip"
            subprocess.run([fresh, "-m", "pip", "-q", *arguments], check=True, env=CLEAN, timeout=120)
            listed = subprocess.run(
                [fresh, "-m", "pip", "list", "--format=freeze"],
                capture_output=True,
                text=True,
                check=True,
                env=CLEAN,
            ).stdout
            packages = {line.partition("==")[0].partition(" @")[0].lower() for line in listed.splitlines()}
            assert packages - {"pip", "setuptools"} == {"agentsight-sdk", "urllib3"}
            code = (
                lines[1]
                .replace("&#34;", '"')
                .replace("&#39;", "'")
                .replace("ags_…your key…", agent.keys["write"])
            )
            ran = subprocess.run([fresh, "-c", code], capture_output=True, text=True, env=CLEAN, cwd=tmp_path)
            assert (ran.returncode, ran.stderr) == (0, "")
            overview = client.get("/").text
        row = re.search(rf'href="/agents/{agent.id}/"><span.*?</tr>', overview, re.DOTALL)
        assert row is not None
        assert re.search(r'class="agent-figure"[^>]*>1<', overview)


def test_nothing_of_ours_installs_the_hosted_products_client() -> None:
    """The name `agentsight` on PyPI is another product's."""
    line = re.compile(r"pip install (-\S+ )*[\"']?agentsight(?![\w-])")
    told = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in (
            "sdk/src",
            "server/src",
            "server/web/src",
            "docs",
            "benchmarks",
            "README.md",
            "CONTRIBUTING.md",
        )
        for path in ([ROOT / folder] if (ROOT / folder).is_file() else (ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".md", ".html", ".ts"} and "node_modules" not in path.parts
        for number, text in enumerate(path.read_text("utf-8").splitlines(), 1)
        if line.search(text)
    ]
    assert told == []


def test_what_the_image_is_made_of_is_there_and_not_left_out() -> None:
    wanted = re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    wanted += re.findall(r"-r (\S+\.txt)", (ROOT / "Dockerfile").read_text())
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert wanted
    for name in wanted:
        assert (ROOT / name).exists()
        assert name.split("/")[0] in let_in
