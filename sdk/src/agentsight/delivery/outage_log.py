"""What the log says while nothing can be sent: at once, then at most once a minute, and once when it is over."""

from __future__ import annotations

import time

from agentsight.config import log

__all__ = ["OutageLog"]

COMPLAIN_EVERY = 60.0  # seconds between two log lines about the same trouble


class OutageLog:
    """Whether sending works, as told to the log. Lines name the server and the problem, never what was tracked."""

    def __init__(self) -> None:
        self._complained = float("-inf")
        self._told = False

    def tell(self, problem: str, status: int | None = None) -> None:
        """Something could not be sent, and stays.

        Args:
            status: what the server answered, or None if it has not.
        """
        now = time.monotonic()
        if now - self._complained < COMPLAIN_EVERY:
            return
        self._complained, self._told = now, True
        log().warning("cannot send; what was tracked stays pending: %s%s", problem, _advice(status))

    def over(self) -> None:
        """Something was sent."""
        if self._told:
            self._told = False
            log().warning("sending works again")


def _advice(status: int | None) -> str:
    if status == 0:
        return ""  # the problem says itself what to do
    if status is None:
        return ". Is the server running, can it be reached from here, and is AGENTSIGHT_API_ENDPOINT its address?"
    if status in (401, 403):
        return ". Is AGENTSIGHT_API_KEY a key of that server? `agentsight keys create --agent NAME` there makes one"
    if status in (408, 429) or status >= 500:
        return ". The server is there, but busy or in trouble: see its log"
    return ". Is AGENTSIGHT_API_ENDPOINT the address of an AgentSight server?"
