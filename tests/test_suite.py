"""What the suite says of itself: lists of its own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import rooms

ROOT = Path(__file__).parents[1]


def test_the_lists_of_slow_and_long_files_name_files_that_are_there(pytestconfig: pytest.Config) -> None:
    conftest = next(
        each
        for each in pytestconfig.pluginmanager.get_plugins()
        if getattr(each, "__file__", None) == str(ROOT / "conftest.py")
    )
    assert [name for name in (*conftest.SLOW, *conftest.LONGEST) if not (ROOT / name).exists()] == []


def test_the_architecture_tells_every_room_and_roughly_its_size() -> None:
    counted, told = rooms.counted(), rooms.told()
    again = "run `python -m tests.rooms write`"
    assert list(told) == list(counted), again
    for room, (files, lines) in counted.items():
        assert abs(lines - told[room][1]) <= max(lines // 4, 200), f"{room}: {again}"
        assert abs(files - told[room][0]) <= max(files // 4, 2), f"{room}: {again}"
