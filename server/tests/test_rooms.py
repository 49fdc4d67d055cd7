"""What is told in one room alone: statements in store/, the differences of its engines in store/dialect.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import agentsight_server

PACKAGE = Path(agentsight_server.__file__).parent
STATEMENTS = {"delete", "exists", "func", "insert", "select", "text", "update"}


def foreign_to_it(tree: ast.AST) -> Iterator[str]:
    """What a module uses that is for store/ alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "sqlalchemy":
            yield from (each.name for each in node.names if each.name in STATEMENTS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").endswith("store.dialect"):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.Attribute) and node.attr in {"exec_driver_sql", "Dialect"}:
            yield node.attr
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name == "sqlite3")


def test_statements_are_written_in_the_store_alone() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in sorted(PACKAGE.rglob("*.py"))
        if PACKAGE / "store" not in path.parents
        and (names := list(foreign_to_it(ast.parse(path.read_bytes()))))
    }
    assert found == {}


def test_differences_of_the_engines_are_in_one_module() -> None:
    files = sorted((PACKAGE / "store").glob("*.py"))
    assert [path.name for path in files if "Dialect." in path.read_text()] == ["dialect.py"]
