"""The one Logger and the one set of Metrics. Content (texts, bodies, tokens, signatures) is never logged.

Tracing is Lambda's own active tracing; the trace header travels with each queued message, so that one trace runs from
webhook to delivery. The X-Ray SDK is not loaded: it costs 240 ms of cold start, even switched off.
"""

import threading
from collections.abc import Mapping
from itertools import batched

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

_NAMESPACE = "Parley"  # where POWERTOOLS_METRICS_NAMESPACE names none: a metric never fails the work it counts
_MAX_VALUES = 99  # at 100 powertools writes by itself, and then warns that nothing is left

logger = Logger(utc=True)


def place_of(error: BaseException) -> str:
    """File and line that raised: enough to find it, and no value that a traceback would show."""
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    return f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}" if step else "unknown"


class Metrics:
    """CloudWatch metrics in the embedded metric format, safe to count from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[tuple[str, str], ...], list[tuple[str, MetricUnit, float]]] = {}

    def count(self, name: str, value: float = 1, **dimensions: str) -> None:
        """Add `value` to the counter `name`."""
        self._add(name, MetricUnit.Count, value, dimensions)

    def milliseconds(self, name: str, value: float, **dimensions: str) -> None:
        """Record a duration."""
        self._add(name, MetricUnit.Milliseconds, value, dimensions)

    def flush(self) -> None:
        """Write what was gathered to the log, one line per set of dimensions."""
        with self._lock:
            gathered, self._counts = self._counts, {}
        for dimensions, values in gathered.items():
            for line in batched(values, _MAX_VALUES, strict=False):
                emf = EphemeralMetrics()
                emf.namespace = emf.namespace or _NAMESPACE
                for name, value in dimensions:
                    emf.add_dimension(name=name, value=value)
                for metric, unit, number in line:
                    emf.add_metric(name=metric, unit=unit, value=number)
                emf.flush_metrics()

    def _add(self, name: str, unit: MetricUnit, value: float, dimensions: Mapping[str, str]) -> None:
        key = tuple(sorted(dimensions.items()))
        with self._lock:
            self._counts.setdefault(key, []).append((name, unit, value))


metrics = Metrics()
