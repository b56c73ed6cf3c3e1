"""Our Slack door against slack_bolt's Lambda handler with a lazy listener: cold start and requests per second.

`python benchmarks/webhook.py` measures both in one run on the same signed events, against one loopback stub, in rounds
that take turns. Its last line is `ratio N.NN`: our requests per second over theirs.
"""

import argparse
import hashlib
import hmac
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
sys.path.insert(0, str(_ROOT))
from benchmarks.side import Round  # noqa: E402 - found from the project's root, however this file is started
from benchmarks.stub import SECRET  # noqa: E402

_SIDES = {"parley": _ROOT / "functions" / "slack_webhook", "slack_bolt": _HERE / "bolt_webhook"}
_EVENT = _ROOT / "events" / "slack" / "app_mention.json"
_VARIANTS = 200  # different messages in a round: nothing gains from having seen a body before
_COLD = """
import json, sys, time
started = time.perf_counter()
import app
imported = time.perf_counter()
from side import Context
event = json.loads(sys.argv[1])
again = time.perf_counter()
assert app.handler(event, Context())["statusCode"] == 200
first = time.perf_counter() - again
sys.stderr.write(f"{imported - started} {first}")
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds per side (at least 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a round")
    parser.add_argument("--starts", type=int, default=15, help="cold starts per side")
    told = parser.parse_args()
    console = Console(width=110, highlight=False)
    versions = ", ".join(f"{name} {version(name)}" for name in ("slack-bolt", "boto3", "pydantic"))
    console.print(f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} CPUs, {versions}")
    console.print(f"Load of the machine before the run: {os.getloadavg()[0]:.1f}; above 0.5 the numbers are noise")
    with start_stub() as port:
        console.print(_cold_table(port, told.starts))
        table, ratio = _warm_table(port, told.rounds, told.seconds)
        console.print(table)
    print(f"ratio {ratio:.2f}")


def _environment(port: int) -> dict[str, str]:
    """The same variables for both sides; every address is the stub's."""
    paths = [_ROOT / "layers" / room for room in ("core", "agent")]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": "webhook",
        "STAGE": "benchmark",
        "LOG_LEVEL": "INFO",
        "POWERTOOLS_SERVICE_NAME": "slack_webhook",
        "POWERTOOLS_METRICS_NAMESPACE": "Parley",
        "MESSAGES_QUEUE_URL": f"http://127.0.0.1:{port}/123456789012/messages.fifo",
        "SIGNALS_QUEUE_URL": f"http://127.0.0.1:{port}/123456789012/signals.fifo",
        "SLACK_SIGNING_SECRET_NAME": "signing-secret",
        "SLACK_SIGNING_SECRET": SECRET,
        "PEER_BOT_TOKEN": "xoxb-benchmark",
        "SLACK_API_BASE_URL": f"http://127.0.0.1:{port}/api/",
    }


@contextmanager
def start_stub() -> Iterator[int]:
    """The port of the stub, in a process of its own."""
    command = [sys.executable, str(_HERE / "stub.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin  # noqa: S101 - both pipes were asked for
        assert process.stdout  # noqa: S101
        yield int(process.stdout.readline())
        process.stdin.close()


def _signed_events(count: int) -> list[dict[str, Any]]:
    """`count` different messages of one conversation, signed now."""
    event = json.loads(_EVENT.read_text())
    now = str(int(time.time()))
    events = []
    for number in range(count):
        # Another id and another time for each, in all the places where Slack repeats them.
        body = re.sub(r"1767225600\.\d{6}", f"1767225600.{number:06}", event["body"])
        body = body.replace("Ev0DEMO0001", f"Ev0DEMO{number:04}")
        digest = hmac.digest(SECRET.encode(), f"v0:{now}:{body}".encode(), hashlib.sha256).hex()
        signed = {"x-slack-request-timestamp": now, "x-slack-signature": f"v0={digest}"}
        events.append({**event, "body": body, "headers": {**event["headers"], **signed}})
    return events


def _cold_table(port: int, starts: int) -> Table:
    """Both sides' cold start, in fresh interpreters that take turns."""
    measured: dict[str, list[tuple[float, float, float]]] = {side: [] for side in _SIDES}
    for number in range(starts + 1):
        for side, folder in _SIDES.items():
            sample = _start_cold(folder, port)
            if number:  # the first one of each side writes the bytecode
                measured[side].append(sample)
    table = Table(title=f"Cold start, ms, median of {starts} fresh interpreters")
    for heading in ("", "import of the door", "first webhook, then", "both", "whole process"):
        table.add_column(heading, justify="right" if heading else "left")
    medians: dict[str, list[float]] = {}
    for side, samples in measured.items():
        imported, first, whole = (median(column) * 1000 for column in zip(*samples, strict=True))
        both = median(sample[0] + sample[1] for sample in samples) * 1000
        medians[side] = [imported, first, both, whole]
        table.add_row(side, *(f"{value:.0f}" for value in medians[side]))
    ratios = [ours / theirs for ours, theirs in zip(*medians.values(), strict=True)]
    table.add_row("ratio", *(f"{ratio:.2f}" for ratio in ratios), style="bold")
    return table


def _start_cold(folder: Path, port: int) -> tuple[float, float, float]:
    environment = _environment(port)
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), environment["PYTHONPATH"], str(_HERE)])
    event = json.dumps(_signed_events(1)[0])
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _COLD, event], env=environment, capture_output=True, text=True, check=False
    )
    whole = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{folder} does not start:\n{done.stdout}{done.stderr}")
    imported, first = done.stderr.split()[-2:]
    return float(imported), float(first), whole


class _Side:
    """A process that has imported one door and runs a round whenever it is told to."""

    def __init__(self, folder: Path, port: int, stack: ExitStack) -> None:
        command = [sys.executable, str(_HERE / "side.py"), str(folder)]
        self._process = stack.enter_context(
            subprocess.Popen(command, env=_environment(port), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert self._process.stdin  # noqa: S101 - a pipe was asked for
        stack.callback(self._process.stdin.close)

    def run(self, seconds: float) -> Round:
        """One round."""
        assert self._process.stdin  # noqa: S101 - both pipes were asked for
        assert self._process.stdout  # noqa: S101
        print(json.dumps({"events": _signed_events(_VARIANTS), "seconds": seconds}), file=self._process.stdin)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("a side ended; its message is above")
        taken: Round = json.loads(answer)
        return taken


def _warm_table(port: int, rounds: int, seconds: float) -> tuple[Table, float]:
    """Both sides' speed once warm, and ours over theirs."""
    rates: dict[str, list[float]] = {side: [] for side in _SIDES}
    latencies: dict[str, list[float]] = {side: [] for side in _SIDES}
    cpu: dict[str, list[float]] = {side: [] for side in _SIDES}
    handled = 0
    with ExitStack() as stack:
        sides = {side: _Side(folder, port, stack) for side, folder in _SIDES.items()}
        for number in range(rounds + 1):
            for side, process in sides.items():
                taken = process.run(seconds)
                handled += len(taken["latencies"])
                if number:  # the first round warms up
                    rates[side].append(len(taken["latencies"]) / sum(taken["latencies"]))
                    latencies[side] += taken["latencies"]
                    cpu[side].append(taken["cpu"] / len(taken["latencies"]))
        _check_sent(port, handled)
    table = Table(title=f"Warm, {rounds} rounds of {seconds:g} s each in turns")
    for heading in ("", "requests/s (median)", "slowest to fastest round", "p50 ms", "p99 ms", "CPU ms"):
        table.add_column(heading, justify="right" if heading else "left")
    for side in _SIDES:
        percentiles = quantiles(latencies[side], n=100)
        spread = f"{min(rates[side]):,.0f} to {max(rates[side]):,.0f}"
        milliseconds = [f"{value * 1000:.2f}" for value in (percentiles[49], percentiles[98], median(cpu[side]))]
        table.add_row(side, f"{median(rates[side]):,.0f}", spread, *milliseconds)
    ours, theirs = (median(rates[side]) for side in _SIDES)
    return table, ours / theirs


def _check_sent(port: int, handled: int) -> None:
    """Stop where a side acknowledged without sending: then it was fast for nothing."""
    with urlopen(f"http://127.0.0.1:{port}/counts") as answer:
        counts = json.load(answer)
    arrived = counts["AmazonSQS.SendMessage"] + counts["/invocations"]
    if arrived < handled:
        sys.exit(f"{handled} webhooks were acknowledged, {arrived} arrived")


if __name__ == "__main__":
    main()
