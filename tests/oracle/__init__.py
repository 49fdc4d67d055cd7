"""Every figure of docs/metrics.md in plain Python, straight from records: slow, simple, and nobody's reuse.

It shares no code with the server: days and hours come from `datetime` in a time zone, quantiles from a sorted list.
"""

from tests.oracle.figures import Oracle, Question
from tests.oracle.records import PAUSES, Item, Record, Session, sessions

__all__ = ["PAUSES", "Item", "Oracle", "Question", "Record", "Session", "sessions"]
