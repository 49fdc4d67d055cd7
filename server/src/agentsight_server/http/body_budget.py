"""Memory for request bodies: shared out, so that nobody takes it all."""

from __future__ import annotations

from dataclasses import dataclass

SMALL = 256 * 1024


@dataclass
class Holding:
    """What one request keeps in memory. `key`: whose key or session it came with; None: a stranger's."""

    address: str
    announced: int = 0
    key: str | None = None
    size: int = 0
    pool: str = ""


class BodyMemory:
    """Room for bodies of all requests at once, in three pools that cannot crowd each other out.

    Strangers have an eighth of it, bodies of at most 256 KiB a quarter, larger ones the rest; within a pool a caller
    has a share. One body has its place whatever its size when nothing else is there to be crowded out.

    Example:
        >>> memory = BodyMemory(1_000_000)
        >>> memory.take(Holding("192.0.2.1", key="key 1"), 600_000)
        True
        >>> memory.take(Holding("192.0.2.2", key="key 2"), 600_000)
        False
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.rooms = {"strangers": total // 8, "small": total // 4, "large": total - total // 8 - total // 4}
        self.small = min(SMALL, total // 16)
        self._held = dict.fromkeys(self.rooms, 0)
        self._by: dict[tuple[str, str], int] = {}

    @property
    def held(self) -> int:
        """Bytes that are held in all."""
        return sum(self._held.values())

    def take(self, holding: Holding, count: int) -> bool:
        """Add bytes to what a request holds; False, and nothing added, when there is no room beside the others."""
        size = holding.size + count
        pool = "strangers" if holding.key is None else "small"
        if holding.key is not None and max(size, holding.announced) > self.small:
            pool = "large"
        before = holding.size if pool == holding.pool else 0
        others = self._held[pool] - before
        if others and others + size > self.rooms[pool]:
            return False
        for name, share in self._shares(holding, pool):
            beside = self._by.get((pool, name), 0) - before
            if beside > 0 and beside + size > share:
                return False
        self.give_back(holding)
        holding.size, holding.pool = size, pool
        self._count(holding, size)
        return True

    def give_back(self, holding: Holding) -> None:
        """Forget what a request held."""
        if holding.size:
            self._count(holding, -holding.size)
            holding.size = 0

    def _shares(self, holding: Holding, pool: str) -> list[tuple[str, int]]:
        # An address may be a whole office, or a proxy in front of everybody.
        shares = [(holding.address, self.rooms[pool] // 2)]
        if pool == "large" and holding.key is not None:
            shares.append((holding.key, self.rooms[pool] // 2))
        return shares

    def _count(self, holding: Holding, size: int) -> None:
        self._held[holding.pool] += size
        for name, _ in self._shares(holding, holding.pool):
            left = self._by.get((holding.pool, name), 0) + size
            if left:
                self._by[holding.pool, name] = left
            else:
                self._by.pop((holding.pool, name), None)
