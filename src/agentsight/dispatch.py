"""From the outbox to the server and back: one call of `send_tracked_data`, or one turn of the background thread."""

from __future__ import annotations

import time

from agentsight.exceptions import NoDataToSendException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agentsight.config import Config
    from agentsight.outbox import Lane, Outbox
    from agentsight.sender import Transport

__all__ = ["Dispatch"]


class Dispatch:
    """Takes what waits, sends it, and lands what came back."""

    def __init__(self, config: Config, outbox: Outbox, transport: Transport) -> None:
        self.config = config
        self.outbox = outbox
        self.transport = transport
        self._unseen: dict[str, int] = {}  # what the background sent since somebody last looked

    def send(
        self,
        lanes: list[Lane] | None,
        *,
        owed: bool = False,
        timeout: float | None = None,
        background: bool = False,
        pause: Callable[[float], object] = time.sleep,
    ) -> dict[str, Any]:
        """Send these lanes, or all (None).

        Args:
            owed: something was promised to be pending; that there is nothing left is no error.
            timeout: seconds that this may take; default: the option.
            background: nobody looks at the report; what it counts is told to whoever asks next.
            pause: sleeps between attempts.

        Returns:
            The report, as `ConversationTracker.send_tracked_data` documents it.

        Raises:
            NoDataToSendException, NoApiKeyException, UnauthorizedException, ForbiddenException: as there.
        """
        from agentsight.delivery import Delivery, add_counts, empty_report
        from agentsight.wire import prepare

        outbox = self.outbox
        self.config.require_api_key()
        environment = self.config.environment
        deadline = time.monotonic() + (self.config.timeout if timeout is None else timeout)
        while not (parcels := outbox.take(lanes)):
            if not outbox.is_flying(lanes):
                return self._nothing(lanes, owed)
            # Somebody else is just sending it. Wait for the outcome: what fails comes back, and is tried here.
            if not outbox.wait_landed(lanes, deadline - time.monotonic()):
                return empty_report()
            owed = True
        delivery = Delivery(outbox, self.transport, environment, deadline, pause)
        try:
            for parcel in parcels:
                parcel.lane.tokens = [0, 0, 0, 0]
                parcel.items = [*parcel.items, *prepare(parcel.lane, parcel.raw)]
                parcel.raw = []
            delivery.run(parcels)
        finally:
            for parcel in reversed(parcels):
                outbox.land(parcel)
            if lanes is None:
                # Whoever works on one of these conversations will find nothing left, and wants to know why.
                for parcel in parcels:
                    parcel.lane.swept = add_counts(parcel.lane.swept, delivery.counts(parcel))
        report = delivery.report()
        if background:
            self._unseen = add_counts(self._unseen, report["summary"])
        else:
            self._tell(report, lanes)
        return report

    def _nothing(self, lanes: list[Lane] | None, owed: bool) -> dict[str, Any]:
        """There is nothing to send: because others have sent it, or because there was nothing."""
        from agentsight.delivery import empty_report

        swept = self._unseen if lanes is None else lanes[0].swept
        if not owed and not swept and not self.outbox.lost:
            raise NoDataToSendException
        report = empty_report()
        self._tell(report, lanes)
        return report

    def _tell(self, report: dict[str, Any], lanes: list[Lane] | None) -> None:
        """Add to a report what happened to the same conversations without anybody looking."""
        from agentsight.delivery import add_counts

        if lanes is None:
            unseen, self._unseen = self._unseen, {}
        else:
            unseen, lanes[0].swept = lanes[0].swept, {}
        report["summary"] = add_counts(report["summary"], unseen)
        lost = sum(self.outbox.report_losses().values())
        if lost:
            report["lost"] = lost
