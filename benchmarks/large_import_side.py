"""A function that imports, in a process of its own: takes messages off the queue until it is ended.

`python benchmarks/large_import_side.py <memory MB> <seconds of an invocation> <seconds of a lease>` bounds what it may
allocate, then answers each message as Lambda would have the door do it, and prints a line of JSON for each invocation.
"""

import json
import os
import resource
import sys
import time
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), *(str(_ROOT / "layers" / room) for room in ("importer", "agent", "core"))]
from benchmarks.side import Context  # noqa: E402 - found from the project's root, however this file is started

_LEASES = ("importer.run", "importer.running", "importer.range_run", "importer.range_running")


class _Lambda(Context):
    """An invocation that ends."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Until it is ended from outside."""
        return max(0, int((self._end - time.monotonic()) * 1000))


def main() -> None:
    """Work until the process is ended."""
    memory, seconds, lease = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory * 1024**2, memory * 1024**2))
    results = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the door logs
    door = _load_door(lease)
    queue, url = boto3.client("sqs"), os.environ["IMPORTS_QUEUE_URL"]
    while True:
        found = queue.receive_message(QueueUrl=url, WaitTimeSeconds=1, MessageSystemAttributeNames=["All"])
        for message in found.get("Messages", ()):
            print(json.dumps(_invoke(door, message, seconds)), file=results, flush=True)


def _load_door(lease: float) -> ModuleType:
    """The door, whose dead are missed sooner than on AWS where `lease` says so."""
    sys.path.insert(0, str(_ROOT / "functions" / "import_processor"))
    door = import_module("app")
    if lease:
        for name in _LEASES:
            vars(import_module(name))["LEASE"] = timedelta(seconds=lease)
        vars(import_module("core.queues")).update(_VISIBILITY_SECONDS=int(lease) + 1, _RENEWAL_SECONDS=lease / 3)
        object.__setattr__(door.collaborators, "pulse_seconds", lease / 3)
    return door


def _invoke(door: ModuleType, message: Any, seconds: float) -> dict[str, object]:
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": message["Attributes"]["ApproximateReceiveCount"]},
    }
    started, cpu = time.monotonic(), time.process_time()
    answer = door.handler({"Records": [record]}, _Lambda(seconds))
    is_done = not answer["batchItemFailures"]
    if is_done:
        boto3.client("sqs").delete_message(
            QueueUrl=os.environ["IMPORTS_QUEUE_URL"], ReceiptHandle=message["ReceiptHandle"]
        )
    return {
        "range": json.loads(message["Body"]).get("rangeNumber"),
        "is_done": is_done,
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - cpu,
        "memory": _peak_memory(),
    }


def _peak_memory() -> float:
    """MB of this program's own; what getrusage(2) tells is its parent's, if that was larger when it was started."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    main()
