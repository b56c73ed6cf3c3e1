"""What a turn costs us: CPU time per turn, time to the first platform call, billed time at 1, 5 and 10 in flight.

`python benchmarks/turn.py` runs the real door of the processor against the local cloud's DynamoDB and a stub that plays
the model, Slack and SQS, each in a process of its own: the CPU time is the door's alone, the model's and AWS's waiting
is not in it. The last line is `in flight 10: N.NN s`, the wall time of one invocation with ten conversations whose
model takes two seconds each.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import boto3
from rich.console import Console
from rich.table import Table

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
sys.path[:0] = [str(_ROOT), *(str(_ROOT / "layers" / room) for room in ("core", "agent"))]
from benchmarks.side import Context  # noqa: E402 - found from the project's root, however this file is started
from benchmarks.turn_stub import CHANNEL, EMAIL, PERSON, TEAM  # noqa: E402
from core.events import MessageReceived  # noqa: E402
from core.models import Address, Company, Installation, User  # noqa: E402
from local.aws import ADMIN_KEY, ADMIN_SECRET, REGION, Aws, start_emulator  # noqa: E402
from local.processes import end, find_free_ports, wait_until_healthy  # noqa: E402
from tests.integration.cloud import read_table_definition  # noqa: E402 - the template's own table

_COMPANY, _TABLE, _BUCKET = "bench", "parley-bench", "parley-bench-data"
_HISTORIES = (1, 20, 1_000)  # messages in the conversation before the measured turns
_IN_FLIGHT = (1, 5, 10)
_MODEL_SECONDS = 2.0


class _Lambda(Context):
    """A warm invocation with time enough."""

    def get_remaining_time_in_millis(self) -> int:
        """Fifteen minutes."""
        return 900_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15, help="measured turns per line")
    parser.add_argument("--deltas", type=int, default=100, help="deltas of an answer")
    told = parser.parse_args()
    results = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the door logs
    console = Console(width=110, highlight=False, file=results)
    console.print(f"Load of the machine before the run: {os.getloadavg()[0]:.1f}; above 0.5 the numbers are noise")
    with _outside() as (stub, aws):
        door = _load_door(stub, aws)
        _seed(door)
        turns = _Turns(door, stub)
        console.print(_cpu_table(turns, told.turns, told.deltas))
        table, ten = _flight_table(turns, told.deltas)
        console.print(table)
    print(f"in flight 10: {ten:.2f} s", file=results)


@contextmanager
def _outside() -> Iterator[tuple[str, Aws]]:
    """The stub's address, and AWS; both end with the block."""
    with tempfile.TemporaryDirectory() as folder:
        port, log = find_free_ports(1), Path(folder) / "emulator.log"
        emulator = start_emulator(port, Path(folder), log=log, is_iam_enforced=False)
        command = [sys.executable, str(_HERE / "turn_stub.py")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
            try:
                wait_until_healthy(emulator, f"http://127.0.0.1:{port}/_ministack/health", log=log)
                assert stub.stdin  # noqa: S101 - both pipes were asked for
                assert stub.stdout  # noqa: S101
                yield f"http://127.0.0.1:{int(stub.stdout.readline())}", Aws(f"http://127.0.0.1:{port}")
            finally:
                if stub.stdin:
                    stub.stdin.close()
                end([emulator])


def _load_door(stub: str, aws: Aws) -> ModuleType:
    """The processor's door, as a cold start loads it."""
    os.environ.update(
        {
            "AWS_ENDPOINT_URL": aws.endpoint_url,
            "AWS_ENDPOINT_URL_SQS": stub,
            "MESSAGES_QUEUE_URL": f"{stub}/000000000000/messages.fifo",
            "SIGNALS_QUEUE_URL": f"{stub}/000000000000/signals.fifo",
            "DEAD_LETTER_QUEUE_URL": f"{stub}/000000000000/dead-letters.fifo",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ADMIN_KEY,
            "AWS_SECRET_ACCESS_KEY": ADMIN_SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "STAGE": "bench",
            "LOG_LEVEL": "INFO",
            "POWERTOOLS_SERVICE_NAME": "llm_processor",
            "POWERTOOLS_METRICS_NAMESPACE": "Parley",
            "TABLE_NAME": _TABLE,
            "BUCKET_NAME": _BUCKET,
            "OPENAI_API_KEY_SECRET_NAME": "parley/bench/openai-api-key",
            "OPENAI_BASE_URL": f"{stub}/v1",
            "OPENAI_MODEL": "bench",
            "SLACK_API_BASE_URL": f"{stub}/api/",
        }
    )
    boto3.client("dynamodb").create_table(TableName=_TABLE, **read_table_definition())
    aws.s3.create_bucket(Bucket=_BUCKET)
    aws.write_secret("parley/bench/openai-api-key", "none")
    aws.write_secret("parley/bench/slack/bench", "xoxb-bench")
    sys.path.insert(0, str(_ROOT / "functions" / "llm_processor"))
    return import_module("app")


def _seed(door: ModuleType) -> None:
    now = datetime.now(UTC)
    directory = door.store.directory
    directory.add_company(Company(id=_COMPANY, name="Bench", created_at=now))
    directory.add_user(User(id="usr_bench", company_id=_COMPANY, email=EMAIL, name="Bench", created_at=now))
    directory.add_installation(
        Installation(
            id="ins_bench",
            company_id=_COMPANY,
            platform="slack",
            workspace_id=TEAM,
            secret_name="parley/bench/slack/bench",
            created_at=now,
            updated_at=now,
        )
    )


class _Turns:
    """Turns through the door, and what they took."""

    def __init__(self, door: ModuleType, stub: str) -> None:
        self._door = door
        self._stub = stub
        self._sent = datetime.now(UTC) - timedelta(hours=10)

    def tell(self, *, deltas: int, seconds: float) -> None:
        """Make the model answer so from here on, and forget what was noted."""
        self._get(f"/told?deltas={deltas}&seconds={seconds}")

    def first_call_after(self) -> float:
        """Milliseconds from the model's first delta to the first call of the platform."""
        noted = self._get("/noted")
        return float(noted["first_call"] - noted["first_delta"]) * 1_000

    def run(self, threads: list[str]) -> tuple[float, float]:
        """One invocation with one question for each thread; its CPU and wall time in seconds."""
        event = {"Records": [self._record(thread) for thread in threads]}
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        answer = self._door.handler(event, _Lambda())
        took = time.process_time() - cpu, time.perf_counter() - wall
        if answer["batchItemFailures"]:
            sys.exit("a turn failed")
        return took

    def _get(self, path: str) -> dict[str, Any]:
        with urlopen(f"{self._stub}{path}") as answer:  # noqa: S310 - the stub's own address
            told: dict[str, Any] = json.load(answer)
        return told

    def _record(self, thread: str) -> dict[str, Any]:
        self._sent += timedelta(seconds=1)
        ts = f"{self._sent.timestamp():.6f}"
        message = MessageReceived(
            address=Address(platform="slack", workspace_id=TEAM, channel_id=CHANNEL, thread_id=thread),
            external_message_id=ts,
            external_user_id=PERSON,
            external_user_workspace_id=TEAM,
            text="How late is it in Reykjavík, and what does that mean for our meeting?",
            sent_at=self._sent,
            received_at=self._sent,
            correlation_id=ts,
        )
        return {
            "messageId": ts,
            "receiptHandle": ts,
            "body": message.model_dump_json(by_alias=True),
            "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": message.group_id},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
        }


def _cpu_table(turns: _Turns, count: int, deltas: int) -> Table:
    table = Table(title=f"One turn, {deltas} deltas, median of {count}")
    for heading in ("messages before", "CPU ms", "fastest to slowest", "first delta to first platform call, ms"):
        table.add_column(heading, justify="right")
    turns.tell(deltas=5, seconds=0)
    for _ in range(5):
        turns.run(["1.000000"])  # imports, connections, caches
    for messages in _HISTORIES:
        thread = f"{messages + 10}.000000"
        turns.tell(deltas=20, seconds=0)
        for _ in range(max(messages // 2, 1)):
            turns.run([thread])
        cpu, first = [], []
        for _ in range(count):
            turns.tell(deltas=deltas, seconds=0.2)
            cpu.append(turns.run([thread])[0] * 1_000)
            first.append(turns.first_call_after())
        spread = f"{min(cpu):.1f} to {max(cpu):.1f}"
        table.add_row(f"{messages:,}", f"{median(cpu):.1f}", spread, f"{median(first):.1f}")
    return table


def _flight_table(turns: _Turns, deltas: int) -> tuple[Table, float]:
    table = Table(title=f"One invocation, the model takes {_MODEL_SECONDS:g} s per answer, median of 3")
    for heading in ("conversations in flight", "wall s", "billed ms per turn", "CPU ms per turn"):
        table.add_column(heading, justify="right")
    wall = 0.0
    for at_once in _IN_FLIGHT:
        threads = [f"{number}.500000" for number in range(1, at_once + 1)]
        turns.tell(deltas=5, seconds=0)
        turns.run(threads)  # the conversations are there
        turns.tell(deltas=deltas, seconds=_MODEL_SECONDS)
        taken = [turns.run(threads) for _ in range(3)]
        cpu, wall = (median(each[number] for each in taken) for number in (0, 1))
        table.add_row(str(at_once), f"{wall:.2f}", f"{wall * 1_000 / at_once:.0f}", f"{cpu * 1_000 / at_once:.1f}")
    return table, wall


if __name__ == "__main__":
    main()
