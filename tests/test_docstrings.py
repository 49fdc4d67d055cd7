"""The examples in docstrings do what they say.

An example that needs a store, a server or a request is read, not run: it names one of STAND_INS, which nothing gives
it. Any other name that is not there fails, so that an example cannot outlive what it shows.
"""

from __future__ import annotations

import ast
import builtins
import doctest
import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAND_INS = frozenset(
    (
        "actor", "analytics", "batch", "body", "client", "connection", "context", "database", "execute",
        "decoder", "engine", "executor", "file", "files", "folder", "links", "places", "projector", "request",
        "row", "scope", "services", "signer", "target", "token", "tracker", "view", "writer",
    )
)  # fmt: skip
_READING = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


SOURCES = (ROOT / "sdk/src", ROOT / "server/src")


def modules() -> list[str]:
    found = []
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                name = ".".join(path.relative_to(source).with_suffix("").parts)
                found.append(name.removesuffix(".__init__"))
    return found


@lru_cache
def ours() -> frozenset[str]:
    """Every name that our modules have, define or import."""
    found = set()
    for path in (path for source in SOURCES for path in source.rglob("*.py")):
        found.add(path.stem)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found |= {alias.asname or alias.name for alias in node.names}
    return frozenset(found)


@pytest.mark.parametrize("name", modules())
def test_examples_do_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    said: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        leave_out_what_needs_more(test)
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


def leave_out_what_needs_more(test: doctest.DocTest) -> None:
    """Mark the examples that use a stand-in, or something that such an example makes."""
    given: set[str] = set()
    missing = set(STAND_INS) - test.globs.keys()
    for example in test.examples:
        tree = compile(example.source, test.name, "exec", flags=_READING)
        names = [each for each in ast.walk(tree) if isinstance(each, ast.Name)]
        read = {each.id for each in names if isinstance(each.ctx, ast.Load)}
        made = {each.id for each in names if isinstance(each.ctx, ast.Store)}
        made |= {each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)}
        unknown = read - made - given - test.globs.keys() - vars(builtins).keys()
        waits = any(isinstance(each, ast.Await | ast.AsyncWith | ast.AsyncFor) for each in ast.walk(tree))
        if waits or unknown & missing:
            gone = unknown - missing - ours()
            assert not gone, f"{test.name}: no such name: {', '.join(sorted(gone))}"
            example.options[doctest.SKIP] = True
            missing |= made
        else:
            given |= made


def test_an_example_that_names_what_is_gone_is_noticed() -> None:
    def example(text: str) -> tuple[Any, bool]:
        test = doctest.DocTestParser().get_doctest(text, {"there": 1}, "example", None, 0)
        leave_out_what_needs_more(test)
        result = doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None)
        return result.failed, any(each.options.get(doctest.SKIP) for each in test.examples)

    assert example(">>> there\n1\n") == (0, False)
    assert example(">>> is_gone\n1\n") == (1, False)
    assert example(">>> found = there + connection\n>>> found\n7\n") == (0, True)
    assert example(">>> connection = there\n>>> connection\n7\n") == (1, False)
    with pytest.raises(AssertionError, match="no such name: is_gone"):
        example(">>> is_gone(connection)\n")
