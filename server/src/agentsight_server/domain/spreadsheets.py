"""Text that a spreadsheet shows and does not run."""

from __future__ import annotations

# What a spreadsheet would run instead of show; the wide forms too, which some take for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe(text: str) -> str:
    """The text of a cell: one that would be taken for a formula begins with an apostrophe.

    Example:
        >>> safe("=1+1"), safe("1+1")
        ("'=1+1", '1+1')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
