"""Answers: any set of figures about a scope, also set against another period."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agentsight_server.analytics.engine import Engine
from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.query import MetricContext
from agentsight_server.analytics.scope import Comparison, Scope


def answer(
    engine: Engine, scope: Scope, metrics: Iterable[str], compare: Comparison | None = None
) -> dict[str, Any]:
    """The figures of a scope, all of one moment.

    Args:
        metrics: names in METRICS; each is answered once.
        compare: also find the headline figures, and the series, of the period before or of the same days a year
            earlier; `previous` and `change` (0.1 is 10 % more) stand beside them. Without anything earlier there
            is no change: it is None.

    Raises:
        AnalyticsError: the engine cannot answer.
        KeyError: there is no such metric.

    Example:
        >>> answer(engine, scope, ["conversations"], "previous")["metrics"]["conversations"]
        {'value': 672, 'previous': 680, 'change': -0.011764705882352941}
    """
    found: dict[str, Any] = {}
    described = scope.described()
    with engine.reading() as execute:
        now = MetricContext(execute, engine.functions, scope)
        before = None
        if compare is not None:
            earlier = scope.compared(compare)
            before = MetricContext(execute, engine.functions, earlier)
            described["compared_with"] = {
                "from": earlier.first.isoformat(),
                "to": earlier.last.isoformat(),
            }
        for name in dict.fromkeys(metrics):
            metric = METRICS[name]
            result = now.once(metric.find)
            if before is not None and metric.headline is not None:
                past = before.once(metric.find)[metric.headline]
                result = result | {"previous": past, "change": change(result[metric.headline], past)}
            elif before is not None and name == "over_time":
                result = result | {"previous": before.once(metric.find)["rows"]}
            found[name] = result
    return {"scope": described, "metrics": found}


def change(now: float | None, past: float | None) -> float | None:
    """By what share a figure has changed; None where there is nothing to compare with.

    Example:
        >>> change(150, 100), change(5, 0), change(None, 3)
        (0.5, None, None)
    """
    if now is None or not past:
        return None
    return (now - past) / past
