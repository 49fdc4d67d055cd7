"""Pages travel compressed, and their length tells nothing."""

from __future__ import annotations

import gzip

from agentsight_server.dashboard.compression import compress


def test_the_length_of_a_compressed_page_is_not_exact() -> None:
    """Else whoever gets words of theirs onto the page could guess its form token, a character at a time."""
    body = b"<html>" + b"the same words " * 500
    packed = [compress(body) for _ in range(60)]
    assert all(gzip.decompress(each) == body for each in packed)
    # A hundred lengths are possible; that sixty draws hit fewer than ten does not happen.
    assert len({len(each) for each in packed}) >= 10
