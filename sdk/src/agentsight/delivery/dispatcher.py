"""From the outbox to the server and back: a call of `send_tracked_data`, or a `flush_once` in the background."""

from __future__ import annotations

import time
import weakref

from agentsight.config import log
from agentsight.delivery.exit_hooks import at_exit
from agentsight.delivery.outage_log import OutageLog
from agentsight.exceptions import AgentSightError, NoDataToSendException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from agentsight.config import Config
    from agentsight.delivery.batch_sender import BatchSender
    from agentsight.delivery.transport import Transport
    from agentsight.delivery.worker import BackgroundSender
    from agentsight.outbox.outbox import Outbox
    from agentsight.outbox.pending import InFlight, PendingConversation
    from agentsight.types import FlushResult, SendResult

__all__ = ["Dispatcher"]

LONGEST_TIMEOUT = 86_400.0  # seconds
EXIT_SECONDS = 2.0  # that the end of the process may be held up
BACKGROUND_SECONDS = 15.0  # that one turn in the background may take at least; it holds nobody up

_every: weakref.WeakSet[Dispatcher] = weakref.WeakSet()


class Dispatcher:
    """Takes what waits, sends it, and puts back what was not accepted."""

    def __init__(self, config: Config, outbox: Outbox, transport: Transport) -> None:
        self.config = config
        self.outbox = outbox
        self.transport = transport
        self.background: BackgroundSender | None = None
        self.outage = OutageLog()
        self.last_problem: str | None = None  # why the last send_tracked_data left something
        self.given_up = 0  # items that were not sent when the process ended
        self._unseen: dict[str, int] = {}  # what the background sent since somebody last looked
        _every.add(self)

    def start(self) -> None:
        """Before anything is tracked or sent: open and start what the settings ask for."""
        folder = self.config.spool_dir
        if folder and self.outbox.spool is None:
            self._open_spool(folder)
        if self.config.auto_send:
            from agentsight.delivery.worker import BackgroundSender

            with self.outbox.lock:
                if self.background is not None:
                    return
                self.background = BackgroundSender(self)
            self._load()
            self.outbox.set_wake(self.background.wake)

    def _load(self) -> None:
        """Import what sending needs, here and not in the background.

        A process that forks while one of its threads is importing leaves its child a module that is half there,
        and locked for good. gunicorn's `--preload` forks in the very second in which the background sends first.
        """
        import agentsight.delivery.batch_sender  # noqa: F401

        self.transport.load()

    def _open_spool(self, folder: str) -> None:
        from agentsight.outbox.spool import Spool

        try:
            spool = Spool(folder, lambda: self.config.get("api_key"), self.config.spool_max_bytes)
        except OSError as problem:
            log().warning("no spool in %s: %s; what is tracked is kept in memory only", folder, problem)
            return
        with self.outbox.lock:
            if self.outbox.spool is None:
                for conversation in list(self.outbox.waiting.values()):
                    conversation.fix_times()
                self.outbox.spool = spool

    def send(self, conversations: list[PendingConversation] | None, *, owed: bool = False) -> SendResult:
        """Send these conversations, or all (None).

        Args:
            owed: something was promised to be pending; that there is nothing left is no error.

        Returns:
            The report, as `ConversationTracker.send_tracked_data` documents it.

        Raises:
            NoDataToSendException, NoApiKeyException, UnauthorizedException, ForbiddenException: as there.
        """
        from agentsight.delivery.batch_sender import empty_report

        outbox = self.outbox
        try:
            environment = self._check()
        except AgentSightError as error:
            self.last_problem = str(error)
            raise
        deadline = self.transport.deadline()
        while not (taken := outbox.take(conversations)):
            if not outbox.is_in_flight(conversations):
                self._send_adopted(environment, deadline)
                return self._nothing_to_send(conversations, owed)
            # Somebody else is just sending it. Wait for the outcome: what fails comes back, and is tried here.
            if not outbox.wait_released(conversations, deadline - time.monotonic()):
                return empty_report()
            owed = True
        others = [] if conversations is None else outbox.take(list(outbox.adopted.values()))
        sender = self._send_taken(taken, environment, deadline, time.sleep, others)
        self.last_problem = sender.blocked
        if conversations is None:
            self._note_sent_elsewhere(taken, sender)
        return self._completed(sender.report(), conversations)

    def flush_once(self, timeout: float | None, pause: Callable[[float], object]) -> bool:
        """Send all in the background. What goes wrong is told to the log.

        Args:
            timeout: seconds that this may take; default: the option, and never less than 15.
            pause: sleeps between attempts.

        Returns:
            False if something could not be sent and stays.
        """
        try:
            environment = self._check()
            seconds = max(self.config.timeout, BACKGROUND_SECONDS) if timeout is None else timeout
            taken = self.outbox.take(None)
            if not taken:
                return True
            sender = self._send_taken(taken, environment, time.monotonic() + seconds, pause, patient=True)
        except AgentSightError as problem:
            self._log_problem(problem)
            return False
        self._note_sent_elsewhere(taken, sender, seen=False)
        self._count_refused(sender)
        return sender.blocked is None

    def flush(self, timeout: float | None = None) -> FlushResult:
        """Send what waits in all conversations; nothing is raised.

        Args:
            timeout: seconds that this may take; default: the option. While the server is away, less.

        Returns:
            `sent`, `unsent` and `lost`.
        """
        deadline = self.transport.deadline(_seconds("flush", timeout))
        counts, problem = self._send_everything(deadline)
        if counts["unsent"] and problem is not None:
            self.outage.tell(problem, 0)
        return counts

    def finish(self, timeout: float | None) -> FlushResult:
        """Send what waits, as far as the time allows, also while the server is away. Errors are logged.

        Args:
            timeout: seconds; default: 2.

        Returns:
            `sent`, `unsent` and `lost`.
        """
        self.outbox.streams.end_all()
        seconds = _seconds("close", timeout)
        deadline = time.monotonic() + (EXIT_SECONDS if seconds is None else seconds)
        counts, problem = self._send_everything(deadline, patient=True)
        if self.outbox.spool is not None:
            self.outbox.spool.close()
        if counts["unsent"]:
            log().warning("AgentSight: unsent items: %d (%s)", counts["unsent"], problem or "the time was up")
        return counts

    def _send_everything(self, deadline: float, patient: bool = False) -> tuple[FlushResult, str | None]:
        """Send what waits in all conversations; returns counts, and what went wrong."""
        outbox, problem = self.outbox, None
        before, lost_before = outbox.count(), sum(outbox.lost.values())
        try:
            environment = self._check()
            before = outbox.count()  # with what another process left
            left = deadline - time.monotonic()
            if self.background is None or self.background.finish(left):
                while not (taken := outbox.take(None)) and outbox.is_in_flight(None):
                    # Somebody else is just sending it; what fails comes back, and is tried here.
                    if not outbox.wait_released(None, deadline - time.monotonic()):
                        break
                if taken:
                    sender = self._send_taken(taken, environment, deadline, time.sleep, patient=patient)
                    problem = sender.blocked
                    self._note_sent_elsewhere(taken, sender)
                    self._count_refused(sender)
        except AgentSightError as error:
            problem = str(error)
        except Exception as error:
            # A bug of ours; the bot is not to pay for it. What was taken has been put back.
            log().exception("sending failed")
            problem = type(error).__name__
        unsent, lost_now = outbox.count(), sum(outbox.lost.values())
        sent = max(before - unsent - (lost_now - lost_before), 0)
        return {"sent": sent, "unsent": unsent, "lost": sum(outbox.report_losses().values())}, problem

    def _check(self) -> str:
        """What has to be right before anything is taken; the environment of conversations that name none."""
        self.start()
        self.config.require_api_key()
        environment = self.config.environment
        if self.outbox.spool is not None:
            self.outbox.spool.adopt(self.outbox)
        return environment

    def _send_adopted(self, environment: str, deadline: float) -> None:
        """What another process left goes with whatever is sent first, even if that is nothing."""
        taken = self.outbox.take(list(self.outbox.adopted.values())) if self.outbox.adopted else []
        if taken:
            self._count_refused(self._send_taken(taken, environment, deadline, time.sleep))

    def _send_taken(
        self,
        taken: list[InFlight],
        environment: str,
        deadline: float,
        pause: Callable[[float], object],
        others: Sequence[InFlight] = (),
        patient: bool = False,
    ) -> BatchSender:
        from agentsight.delivery.batch_sender import BatchSender
        from agentsight.items.encoding import prepare

        sender = BatchSender(self.outbox, self.transport, environment, deadline, pause, patient)
        everything = [*taken, *others]
        try:
            for in_flight in everything:
                in_flight.conversation.clear_tokens()
                in_flight.items = [*in_flight.items, *prepare(in_flight.conversation, in_flight.raw)]
                in_flight.raw = []
            sender.run(everything, others)
        finally:
            for in_flight in reversed(everything):
                self.outbox.release(in_flight)
        if sender.blocked is not None:
            self.outage.tell(sender.blocked, sender.status)
        else:
            self.outage.over()
        return sender

    def _log_problem(self, problem: AgentSightError) -> None:
        """Where there is nobody to raise it to."""
        self.outage.tell(f"{problem}", getattr(problem, "status_code", None) or 0)

    def _count_refused(self, sender: BatchSender) -> None:
        """Where no report tells of them, refused items are losses."""
        if sender.refused:
            self.outbox.lose(f"refused by the server: {sender.reason}", sender.refused)

    def _note_sent_elsewhere(self, taken: list[InFlight], sender: BatchSender, seen: bool = True) -> None:
        """Whoever works on one of these conversations will find nothing left, and wants to know why."""
        from agentsight.delivery.batch_sender import add_counts

        for in_flight in taken:
            counts = sender.counts(in_flight)
            in_flight.conversation.sent_elsewhere = add_counts(in_flight.conversation.sent_elsewhere, counts)
            if not seen:
                self._unseen = add_counts(self._unseen, counts)

    def _nothing_to_send(self, conversations: list[PendingConversation] | None, owed: bool) -> SendResult:
        """There is nothing to send: because others have sent it, or because there was nothing."""
        from agentsight.delivery.batch_sender import empty_report

        sent_elsewhere = self._unseen if conversations is None else conversations[0].sent_elsewhere
        if not owed and not sent_elsewhere and not self.outbox.lost:
            raise NoDataToSendException(*self._pending_elsewhere(conversations))
        return self._completed(empty_report(), conversations)

    def _pending_elsewhere(self, conversations: list[PendingConversation] | None) -> list[str]:
        """What is pending in other conversations than these, as the words of an exception, if anything is."""
        if conversations is None:
            return []
        with self.outbox.lock:
            others = [
                conversation
                for conversation in self.outbox.waiting.values()
                if conversation not in conversations
            ]
            items = sum(
                len(conversation.items) + len(conversation.backlog) or conversation.announced
                for conversation in others
            )
        if not items:
            return []
        verb = "other has" if len(others) == 1 else "others have"
        return [
            f"nothing to send in conversation {conversations[0].conversation_id!r}; {len(others):,} {verb} "
            f"{items:,} {'item' if items == 1 else 'items'} pending: flush() sends them"
        ]

    def _completed(self, report: Any, conversations: list[PendingConversation] | None) -> SendResult:
        """Add to a report what happened to the same conversations without anybody looking."""
        from agentsight.delivery.batch_sender import add_counts

        if conversations is None:
            unseen, self._unseen = self._unseen, {}
        else:
            unseen, conversations[0].sent_elsewhere = conversations[0].sent_elsewhere, {}
        report["summary"] = add_counts(report["summary"], unseen)
        lost = sum(self.outbox.report_losses().values())
        if lost:
            report["lost"] = lost
        told: SendResult = report
        return told


def _seconds(call: str, timeout: object) -> float | None:
    """A timeout as it was given, within what clocks can count; None for none, and for what is none."""
    number: Any = timeout
    try:
        seconds = None if timeout is None else float(number)
    except (TypeError, ValueError, OverflowError):
        seconds = float("nan")
    if seconds is None or seconds == seconds:
        return None if seconds is None else min(max(seconds, 0.0), LONGEST_TIMEOUT)
    log().warning("%s: timeout takes seconds, not %.60r", call, timeout)
    return None


def _at_exit() -> None:
    """Send what the background sender has not sent yet; of everything else say that it was not sent."""
    deadline = time.monotonic() + EXIT_SECONDS
    unsent, last_problem = 0, "send_tracked_data was not called after them"
    for dispatcher in list(_every):
        outbox = dispatcher.outbox
        outbox.streams.end_all()
        count = outbox.count()
        if count == 0:
            if outbox.spool is not None:
                outbox.spool.close()
        elif count == dispatcher.given_up:
            continue  # some processes have two ends
        elif dispatcher.background is not None:
            dispatcher.finish(max(deadline - time.monotonic(), 0.05))
        elif outbox.spool is None:
            unsent += count
            last_problem = dispatcher.last_problem or last_problem
        dispatcher.given_up = outbox.count()
    if unsent:
        log().warning("AgentSight: unsent items at exit: %d (%s)", unsent, last_problem)


at_exit(_at_exit)
