"""What is counted of the requests: how many, how long they took, how many were refused to protect the others.

Labels are templates of routes and words of our own, never what a caller wrote: each series costs memory here and in
Prometheus, so nobody outside may decide how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

__all__ = ["Counts"]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds

# When a series began would double their number; process_start_time_seconds says enough.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Counts(Collector):
    """The counts of one server's requests, in no registry but the one that asks for them.

    Args:
        serving: how many requests are being served.
        held: how many bytes of bodies are in memory.
    """

    def __init__(self, serving: Callable[[], int], held: Callable[[], int]) -> None:
        self._answers = Counter(
            "agentsight_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=None,
        )
        self._shed = Counter(
            "agentsight_http_shed",
            "Requests refused to protect the others.",
            ("reason",),
            registry=None,
        )
        self._serving = Gauge("agentsight_http_serving", "Requests being served.", registry=None)
        self._serving.set_function(serving)
        self._held = Gauge("agentsight_http_body_bytes", "Bytes of request bodies in memory.", registry=None)
        self._held.set_function(held)
        self._seconds = Histogram(
            "agentsight_http_seconds",
            "Time to answer.",
            ("route_group",),
            buckets=BUCKETS,
            registry=None,
        )
        for reason in ("requests", "bodies", "slow"):
            self._shed.labels(reason)  # shown as 0 until it happens

    def answered(self, method: str, route: str, status: int, route_group: str, seconds: float) -> None:
        """Count one answer; `route` is the template, not the address."""
        self._answers.labels(method, route, status).inc()
        self._seconds.labels(route_group).observe(seconds)

    def shed(self, reason: str) -> None:
        """Count a refusal: too many `requests`, too many `bodies` in memory, a `slow` client."""
        self._shed.labels(reason).inc()

    def collect(self) -> Iterator[Metric]:
        """All of them, as they stand (prometheus-client asks)."""
        for each in (self._answers, self._shed, self._serving, self._held, self._seconds):
            yield from each.collect()
