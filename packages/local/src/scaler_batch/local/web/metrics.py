"""The counters as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from .control import Text
from .counters import Counters

_CALLS: Final = "scaler_batch_local_calls"
_ERRORS: Final = "scaler_batch_local_errors"


def exposition(counters: Counters) -> Text:
    """The text of a scrape."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(counters))
    return Text(CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))


class _Snapshot:
    """Counters as they were at one moment."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily(_CALLS, "Calls to AWS.", labels=["caller", "service", "operation"])
        for caller, counts in self._counters.callers.items():
            for name, count in counts.items():
                calls.add_metric([caller, *name.split(".", 1)], count)
        yield calls
        errors = CounterMetricFamily(_ERRORS, "Calls that were refused or failed.", labels=["service", "operation"])
        for name, count in self._counters.errors.items():
            errors.add_metric(name.split(".", 1), count)
        yield errors
