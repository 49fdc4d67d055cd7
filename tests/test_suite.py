"""What the suite says of itself: lists of its own files."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_lists_of_slow_and_long_files_name_files_that_are_there(pytestconfig: pytest.Config) -> None:
    conftest = next(
        each
        for each in pytestconfig.pluginmanager.get_plugins()
        if getattr(each, "__file__", None) == str(ROOT / "conftest.py")
    )
    assert [name for name in (*conftest.SLOW, *conftest.LONGEST) if not (ROOT / name).exists()] == []
