"""What an agency has settled for an agent: what counts as handed over, as reached, as not understood, as over.

Nothing of it is stored with a conversation: outcomes are worked out when they are asked for, so that what is settled
anew holds for the whole past.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

HOUR = 3_600_000_000
"""Microseconds."""
MINUTE = 60_000_000

ESCALATIONS = ("fallback_to_human", "open_ticket", "ticket", "contact_human")
"""Actions whose run means that a human takes over, unless an agent's settings name others."""

Mark = Literal["fallback", "closing"]


class OpeningHours(msgspec.Struct, frozen=True, omit_defaults=True):
    """When people are there, on the clock of a zone.

    Attributes:
        zone: IANA name.
        weekdays: by weekday ("0" is Monday) stretches of (from, to) in minutes of the day, the end not included.
        holidays: days as text (2026-12-25) on which nobody is.
    """

    zone: str = "UTC"
    weekdays: Mapping[str, tuple[tuple[int, int], ...]] = {}
    holidays: tuple[str, ...] = ()


class Agreement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is settled for one agent.

    Attributes:
        escalations: actions that hand over to a human; None: the usual ones.
        goals: actions, and labels or events of buttons, whose run or click means that the customer got there.
        fallback_actions: actions that are run when the assistant does not know.
        marks: what a stock text is, by the fingerprint of its normal form, as text.
        closes_after: microseconds after its end from which on a conversation is over.
        answered_within: microseconds within which a question should be answered.
        hours: when people are there; None: not said.
        minutes_a_case: what a person would take for one; None: not said.
        monthly_cost: what the assistant costs beside its tokens, in US dollars.
    """

    escalations: tuple[str, ...] | None = None
    goals: tuple[str, ...] = ()
    fallback_actions: tuple[str, ...] = ()
    marks: Mapping[str, Mark] = {}
    closes_after: int = 24 * HOUR
    answered_within: int = 30_000_000
    hours: OpeningHours | None = None
    minutes_a_case: float | None = None
    monthly_cost: float = 0.0

    @property
    def handing_over(self) -> tuple[str, ...]:
        """The actions that hand over to a human."""
        return ESCALATIONS if self.escalations is None else self.escalations

    def marked(self, mark: Mark) -> list[int]:
        """The fingerprints of the texts that are marked so."""
        return sorted(int(text) for text, what in self.marks.items() if what == mark)

    def contradictions(self) -> dict[str, list[str]]:
        """Actions that would mean two things, by the field that says the second.

        Example:
            >>> Agreement(escalations=("ticket",), goals=("ticket", "booked")).contradictions()
            {'goals': ['ticket']}
        """
        over, reached = set(self.handing_over), set(self.goals)
        found = {
            "goals": sorted(over & reached),
            "fallback_actions": sorted(set(self.fallback_actions) & (over | reached)),
        }
        return {field: names for field, names in found.items() if names}
