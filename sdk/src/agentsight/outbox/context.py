"""The current conversation of each context (thread, asyncio task), for each tracker on its own.

A context variable holds one mapping from trackers to bindings. It is never changed, only replaced, so that what a
task does to its copy stays in that task. A generator that chooses a conversation takes its choice along: it may be
resumed in any context, and others may be resumed in this one.
"""

from __future__ import annotations

import itertools
import weakref
from contextvars import ContextVar

from agentsight.outbox.frames import find_mark, mark, marked, surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentsight.outbox.pending import PendingConversation

__all__ = ["Binding", "CurrentConversation", "bindings", "current_bindings", "current_conversations"]

bindings: ContextVar[dict[int, Binding]] = ContextVar("agentsight_conversations", default={})  # noqa: B039 - never changed
current_bindings = bindings.get
_numbers = itertools.count()
_alive: weakref.WeakValueDictionary[int, CurrentConversation] = weakref.WeakValueDictionary()


class Binding:
    """A conversation being current in a context.

    Attributes:
        outer: the `with` block around this one, restored when this one ends.
        before: what was current, without a block, just before; restored too.
        entered: a `with` block belongs to it.
        over: that block has ended. Contexts that were copied from within it still have this one, but whatever
            they do now is not known to belong to it.
        job: the executor's job in which this was set, and what was current before that job.
        generator: the number of the mark of the generator in which this was chosen, or 0.
        under: what the context had when the generator chose.
    """

    __slots__ = ("before", "conversation", "entered", "generator", "job", "outer", "over", "under")

    def __init__(
        self, conversation: PendingConversation, outer: Binding | None = None, before: Binding | None = None
    ) -> None:
        self.conversation = conversation
        self.outer = outer
        self.before = before
        self.entered = False
        self.over = False
        self.job: tuple[Any, Binding | None] | None = None
        self.generator = 0
        self.under: Binding | None = None


class CurrentConversation:
    """The current conversation of one tracker."""

    __slots__ = ("__weakref__", "number")

    def __init__(self) -> None:
        self.number = next(_numbers)
        _alive[self.number] = self

    def binding(self) -> Binding | None:
        """What is current in the running code; None also where it was in a block that has ended."""
        binding = self._top()
        return None if binding is None or binding.over else binding

    def _top(self) -> Binding | None:
        binding = find_mark(self.number) if marked else None
        return bindings.get().get(self.number) if binding is None else binding

    def set(self, conversation: PendingConversation, entered: bool = False) -> Binding:
        """Make a conversation current in this context, and in the generator that chooses it.

        Args:
            entered: by a `with` block; usually right after it was made current without one.
        """
        future, generator, managed = surroundings()
        own = None if generator is None else mark(generator)
        flow = 0 if own is None else own.number
        now, under = self._top(), bindings.get().get(self.number)
        if entered and now is not None and not (now.over or now.entered) and now.conversation is conversation:
            # One of its own, because child tasks may have the one that is there.
            binding = Binding(conversation, now.outer, now.before)
            binding.job = now.job
            if flow:
                binding.under = now.under if now.generator == flow else under
        else:
            if now is None or now.over:
                binding = Binding(conversation)
            elif now.entered:
                binding = Binding(conversation, now)
            else:
                before = Binding(
                    now.conversation, now.outer
                )  # without what was before that: chains would grow for good
                before.generator = now.generator
                binding = Binding(conversation, now.outer, before)
            if flow:
                same = under is not None and under.generator == flow and not under.entered
                binding.under = under.under if same and under is not None else under
            if future is not None:
                self._until_job_ends(binding, under, future)
        binding.entered, binding.generator = entered, flow
        if own is not None:
            own.choose(self.number, binding)
            under = binding.under
            if entered and not managed and under is not None and not under.over and under.generator != flow:
                # The block is the generator's own. Whoever resumes it has chosen for themselves.
                self._put(under)
                return binding
        self._put(binding)
        return binding

    def leave(self, blocks: list[Binding]) -> None:
        """A `with` block ends: what was current before it is current again.

        Args:
            blocks: the open blocks of the handle that is left; the one that ends is taken out.
        """
        top = binding = self._top()
        above = []
        while binding is not None and (binding.over or not any(binding is each for each in blocks)):
            above.append(binding)
            binding = binding.outer
        if binding is None:
            # Left in another context than it was entered in; that one keeps its binding, but it is over.
            if blocks:
                blocks.pop().over = True
            return
        blocks[:] = [each for each in blocks if each is not binding]
        binding.over = True
        if any(each.entered or each.generator != binding.generator for each in above):
            return  # blocks that cross: the one that began later is still there
        for each in above:
            each.over = True
        restored = binding.outer
        while restored is not None and restored.over and restored.generator:
            restored = restored.outer
        if binding.before is not None:
            restored = binding.before
            restored.job = binding.job
        if binding.generator:
            generator = surroundings()[1]
            own = None if generator is None else mark(generator)
            if own is not None:
                its = restored is not None and restored.generator == own.number
                own.choose(self.number, restored if its else None)
        if bindings.get().get(self.number) is top:
            self._put(restored)

    def _put(self, binding: Binding | None) -> None:
        kept = {number: other for number, other in bindings.get().items() if number in _alive}
        if binding is None:
            kept.pop(self.number, None)
        else:
            kept[self.number] = binding
        bindings.set(kept)

    def _until_job_ends(self, binding: Binding, before: Binding | None, future: Any) -> None:
        """In a pool's thread, forget the conversation when the pool's job ends.

        `ThreadPoolExecutor` runs one job after the other in a thread's own context, so that a conversation set by
        one request would be there for a job of another. The job's future runs its callbacks in that thread as
        soon as the job is done, which is the one place where this can be undone. Jobs that run in a copied
        context (`asyncio.to_thread`, anyio, asgiref) leave nothing behind, and for them this does nothing.
        """
        if before is not None and before.job is not None and before.job[0] is future:
            binding.job = before.job
            return
        binding.job = (future, before)

        def undo(done: Any) -> None:
            now = bindings.get().get(self.number)
            if now is not None and now.job is not None and now.job[0] is done:
                now.conversation.was_left = True
                self._put(now.job[1])

        future.add_done_callback(undo)


def current_conversations() -> dict[int, PendingConversation]:
    """What is current in the running code, for each tracker that has anything."""
    found = {number: current.binding() for number, current in list(_alive.items())}
    return {number: binding.conversation for number, binding in found.items() if binding is not None}
