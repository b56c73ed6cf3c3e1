"""One side of the comparison: imports one `app.py` and calls its handler for as long as it is told.

`python benchmarks/side.py <folder>` is told by lines of JSON on standard input: `{"events": [...], "seconds": 1.0}` is
one round, answered with each request's latency and the CPU time of them all. What the handler prints goes to the null
device.
"""

import gc
import json
import os
import sys
import time
from importlib import import_module
from itertools import cycle
from typing import Any, TypedDict


class Round(TypedDict):
    """What one round took, in seconds."""

    latencies: list[float]
    cpu: float


class Context:
    """As much of Lambda's context as either side reads."""

    function_name = "webhook"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:webhook"
    memory_limit_in_mb = 512
    aws_request_id = "11111111-2222-4333-8444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        """Enough."""
        return 10_000


def main() -> None:
    """Import the door, then run one round per line of standard input."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.path.insert(0, sys.argv[1])
    handler = import_module("app").handler
    context = Context()
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps(_run(handler, context, told["events"], told["seconds"])), file=results, flush=True)


def _run(handler: Any, context: Context, events: list[dict[str, Any]], seconds: float) -> Round:
    gc.collect()
    cpu = time.process_time()
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    for event in cycle(events):
        fresh = {**event, "headers": dict(event["headers"])}  # a handler may write into its own event
        started = time.perf_counter()
        response = handler(fresh, context)
        finished = time.perf_counter()
        if response["statusCode"] != 200:
            sys.exit(f"the handler answered {response}")
        latencies.append(finished - started)
        if finished >= end:
            break
    return {"latencies": latencies, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    main()
