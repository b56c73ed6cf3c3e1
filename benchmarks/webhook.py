"""Our webhooks against their peers: cold start and requests per second.

`python benchmarks/webhook.py` measures the Slack door against slack_bolt's Lambda handler with a lazy listener, and the
Teams door against a handler made of Microsoft's own packages; each pair in one run on the same signed calls, against
one loopback stub, in rounds that take turns. Its last line is `ratio N.NN`: our requests per second over theirs, in
Slack; Teams's is in the line before. `--platform` measures one of them.
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
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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
from local.fake_teams import DEMO, FakeTeams, payloads, signing  # noqa: E402

_SLACK_EVENT = _ROOT / "events" / "slack" / "app_mention.json"
_VARIANTS = 200  # different messages in a round: nothing gains from having seen a body before
_AGENTS = "microsoft-agents-hosting-core"
type _Event = dict[str, Any]
_COLD = """
import json, sys, time
started, cpu = time.perf_counter(), time.process_time()
import app
imported = time.perf_counter()
from side import Context
event = json.loads(sys.argv[1])
again = time.perf_counter()
assert app.handler(event, Context())["statusCode"] == 200
first = time.perf_counter() - again
sys.stderr.write(f" {imported - started} {first} {time.process_time() - cpu}")
"""


@dataclass(frozen=True, slots=True)
class Side:
    """A webhook, and the interpreter that has what it imports."""

    name: str
    folder: Path
    python: str = sys.executable


@dataclass(frozen=True, slots=True)
class Match:
    """Two webhooks that take the same calls.

    Attributes:
        ours: Our door.
        theirs: The peer.
        environment: Variables of both.
        sign: So many different calls, signed now.
    """

    title: str
    ours: Side
    theirs: Side
    environment: Mapping[str, str]
    sign: Callable[[int], list[_Event]]

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.ours, self.theirs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--platform", choices=("slack", "teams"), help="one of them (default: both)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds per side (at least 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a round")
    parser.add_argument("--starts", type=int, default=15, help="cold starts per side")
    told = parser.parse_args()
    console = Console(width=110, highlight=False)
    versions = ", ".join(f"{name} {version(name)}" for name in ("slack-bolt", "boto3", "pydantic"))
    console.print(f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} CPUs, {versions}")
    console.print(f"Load of the machine before the run: {os.getloadavg()[0]:.1f}; above 0.5 the numbers are noise")
    ratios: dict[str, float] = {}
    with ExitStack() as stack:
        port = stack.enter_context(start_stub())
        if told.platform != "slack":
            ratios["teams"] = _run(_in_teams(port, stack), port, told, console)
        if told.platform != "teams":
            ratios["slack"] = _run(_in_slack(port), port, told, console)
    if len(ratios) == 2:
        print(f"Teams: ratio {ratios['teams']:.2f}")
    print(f"ratio {list(ratios.values())[-1]:.2f}")


def _run(match: Match, port: int, told: argparse.Namespace, console: Console) -> float:
    """Print both tables; our requests per second over theirs."""
    console.print(_cold_table(match, told.starts))
    table, ratio = _warm_table(match, port, told.rounds, told.seconds)
    console.print(table)
    return ratio


def _in_slack(port: int) -> Match:
    told = {
        "SLACK_SIGNING_SECRET_NAME": "signing-secret",
        "SLACK_SIGNING_SECRET": SECRET,
        "PEER_BOT_TOKEN": "xoxb-benchmark",
        "SLACK_API_BASE_URL": f"http://127.0.0.1:{port}/api/",
    }
    ours, theirs = Side("parley", _ROOT / "functions" / "slack_webhook"), Side("slack_bolt", _HERE / "bolt_webhook")
    return Match("Slack", ours, theirs, {**_environment(port), **told}, _sign_for_slack)


def _in_teams(port: int, stack: ExitStack) -> Match:
    """The keys are the fake Teams's, which each process fetches once; the peer lives in an environment of its own."""
    teams = stack.enter_context(FakeTeams())
    place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    told = {
        "TEAMS_APP_ID": DEMO.app_id,
        "TEAMS_SERVICE_HOSTS": teams.host,
        "TEAMS_OPENID_URL": teams.openid_url,
        "TEAMS_TOKEN_ISSUER": signing.ISSUER,
        "PEER_KEYS_URL": f"{teams.url}/v1/.well-known/keys",
    }
    theirs = Side(_AGENTS, _HERE / "agents_webhook", _install(place, _AGENTS, "boto3", "cryptography"))
    ours = Side("parley", _ROOT / "functions" / "teams_webhook")
    return Match("Teams", ours, theirs, {**_environment(port), **told}, lambda count: _sign_for_teams(teams, count))


def _install(place: Path, *packages: str) -> str:
    """An environment that holds a peer; its interpreter."""
    uv, python = str(_ROOT / ".venv" / "bin" / "uv"), str(place / "bin" / "python")
    for command in ([uv, "venv", "--python", sys.executable, str(place)], [uv, "pip", "install", *packages]):
        subprocess.run(command, env={**os.environ, "VIRTUAL_ENV": str(place)}, capture_output=True, check=True)
    return python


def _environment(port: int) -> dict[str, str]:
    """The same variables for every side; every address is the stub's."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(_ROOT / "layers" / "core"),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": "webhook",
        "STAGE": "benchmark",
        "LOG_LEVEL": "INFO",
        "POWERTOOLS_SERVICE_NAME": "webhook",
        "POWERTOOLS_METRICS_NAMESPACE": "Parley",
        "PYDANTIC_DISABLE_PLUGINS": "true",  # as template.yaml says
        "MESSAGES_QUEUE_URL": f"http://127.0.0.1:{port}/123456789012/messages.fifo",
        "SIGNALS_QUEUE_URL": f"http://127.0.0.1:{port}/123456789012/signals.fifo",
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


def _sign_for_slack(count: int) -> list[_Event]:
    """Messages of one conversation."""
    event = json.loads(_SLACK_EVENT.read_text())
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


def _sign_for_teams(teams: FakeTeams, count: int) -> list[_Event]:
    """Messages of one chat, with tokens made now."""
    token = signing.sign(signing.claims(DEMO.app_id, teams.service_url))
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    http = {"method": "POST", "path": "/teams/messages"}
    now = time.time_ns() // 1_000_000
    events: list[_Event] = []
    for number in range(count):
        message = payloads.message(
            f"question {number}", payloads.personal(), activity_id=str(now + number), serviceUrl=teams.service_url
        )
        body = payloads.body_of(message).decode()
        events.append({"requestContext": {"http": http, "requestId": "r"}, "headers": headers, "body": body})
    return events


def _cold_table(match: Match, starts: int) -> Table:
    """Both sides' cold start, in fresh interpreters that take turns."""
    measured: dict[str, list[tuple[float, ...]]] = {side.name: [] for side in match.sides}
    for number in range(starts + 1):
        for side in match.sides:
            sample = _start_cold(match, side)
            if number:  # the first one of each side writes the bytecode
                measured[side.name].append(sample)
    table = Table(title=f"{match.title}: cold start, ms, median of {starts} fresh interpreters")
    for heading in ("", "import of the door", "first webhook, then", "both", "whole process", "CPU of both"):
        table.add_column(heading, justify="right" if heading else "left")
    medians: dict[str, list[float]] = {}
    for name, samples in measured.items():
        imported, first, whole, cpu = (median(column) * 1000 for column in zip(*samples, strict=True))
        both = median(sample[0] + sample[1] for sample in samples) * 1000
        medians[name] = [imported, first, both, whole, cpu]
        table.add_row(name, *(f"{value:.0f}" for value in medians[name]))
    ratios = [ours / theirs for ours, theirs in zip(*medians.values(), strict=True)]
    table.add_row("ratio", *(f"{ratio:.2f}" for ratio in ratios), style="bold")
    return table


def _start_cold(match: Match, side: Side) -> tuple[float, ...]:
    paths = (str(side.folder), match.environment["PYTHONPATH"], str(_HERE))
    environment = {**match.environment, "PYTHONPATH": os.pathsep.join(paths)}
    event = json.dumps(match.sign(1)[0])
    started = time.perf_counter()
    done = subprocess.run(
        [side.python, "-c", _COLD, event], env=environment, capture_output=True, text=True, check=False
    )
    whole = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{side.folder} does not start:\n{done.stdout}{done.stderr}")
    imported, first, cpu = (float(value) for value in done.stderr.split()[-3:])
    return imported, first, whole, cpu


class _Process:
    """A process that has imported one door and runs a round whenever it is told to."""

    def __init__(self, match: Match, side: Side, stack: ExitStack) -> None:
        command = [side.python, str(_HERE / "side.py"), str(side.folder)]
        environment = dict(match.environment)
        self._process = stack.enter_context(
            subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert self._process.stdin  # noqa: S101 - a pipe was asked for
        stack.callback(self._process.stdin.close)

    def run(self, events: list[_Event], seconds: float) -> Round:
        """One round."""
        assert self._process.stdin  # noqa: S101 - both pipes were asked for
        assert self._process.stdout  # noqa: S101
        print(json.dumps({"events": events, "seconds": seconds}), file=self._process.stdin)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("a side ended; its message is above")
        taken: Round = json.loads(answer)
        return taken


def _warm_table(match: Match, port: int, rounds: int, seconds: float) -> tuple[Table, float]:
    """Both sides' speed once warm, and ours over theirs."""
    taken: dict[str, list[Round]] = {side.name: [] for side in match.sides}
    handled, before = 0, _count_sent(port)
    with ExitStack() as stack:
        processes = {side.name: _Process(match, side, stack) for side in match.sides}
        for number in range(rounds + 1):
            for name, process in processes.items():
                one = process.run(match.sign(_VARIANTS), seconds)
                handled += len(one["latencies"])
                if number:  # the first round warms up
                    taken[name].append(one)
    if (arrived := _count_sent(port) - before) < handled:  # then a side was fast for nothing
        sys.exit(f"{handled} webhooks were acknowledged, {arrived} arrived")
    table = Table(title=f"{match.title}: warm, {rounds} rounds of {seconds:g} s each in turns")
    for heading in ("", "requests/s (median)", "slowest to fastest round", "p50 ms", "p99 ms", "CPU ms"):
        table.add_column(heading, justify="right" if heading else "left")
    medians: list[float] = []
    for name, all_taken in taken.items():
        rates = [len(one["latencies"]) / sum(one["latencies"]) for one in all_taken]
        percentiles = quantiles([latency for one in all_taken for latency in one["latencies"]], n=100)
        cpu = median(one["cpu"] / len(one["latencies"]) for one in all_taken)
        milliseconds = [f"{value * 1000:.2f}" for value in (percentiles[49], percentiles[98], cpu)]
        medians.append(median(rates))
        table.add_row(name, f"{median(rates):,.0f}", f"{min(rates):,.0f} to {max(rates):,.0f}", *milliseconds)
    return table, medians[0] / medians[1]


def _count_sent(port: int) -> int:
    """What has arrived at the stub: messages, and second invocations."""
    with urlopen(f"http://127.0.0.1:{port}/counts") as answer:
        counts = json.load(answer)
    return int(counts.get("AmazonSQS.SendMessage", 0)) + int(counts.get("/invocations", 0))


if __name__ == "__main__":
    main()
