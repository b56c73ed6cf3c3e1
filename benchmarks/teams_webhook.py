"""Our Teams door: cold import against Microsoft's own ways to check a token, and requests per second with known keys.

`python benchmarks/teams_webhook.py` makes an environment for each peer in a temporary folder, and measures in fresh
interpreters that take turns. Its last line is `ratio N.NN`: the quickest peer's import time over our whole door's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
sys.path.insert(0, str(_ROOT))
from benchmarks.webhook import start_stub  # noqa: E402 - found from the project's root, however this file is started
from local.fake_teams import DEMO, FakeTeams, payloads, signing  # noqa: E402

_DOOR = _ROOT / "functions" / "teams_webhook"
_VARIANTS = 200
# What a bot imports of them to check the token of a call, and nothing else.
_PEERS = {
    "microsoft-agents-hosting-core": "from microsoft_agents.hosting.core.authorization import JwtTokenValidator",
    "botframework-connector": "from botframework.connector.auth import JwtTokenValidation",
}
_ALSO = {"botframework-connector": ["aiohttp"]}  # imported by it, and not among what it requires
_TIMED = "import time; started = time.perf_counter()\n{}\nprint(time.perf_counter() - started)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=9, help="cold starts per side")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of the warm run")
    told = parser.parse_args()
    console = Console(width=110, highlight=False)
    console.print(f"Load of the machine before the run: {os.getloadavg()[0]:.1f}; above 0.5 the numbers are noise")
    with FakeTeams() as teams, start_stub() as port, tempfile.TemporaryDirectory() as folder:
        environment = _environment(port, teams)
        medians = _show_cold(console, Path(folder), environment, told.starts)
        _show_warm(console, teams, environment, told.seconds)
    ours, *peers = medians
    print(f"ratio {min(peers) / ours:.2f}")


def _environment(port: int, teams: FakeTeams) -> dict[str, str]:
    queue = f"http://127.0.0.1:{port}/123456789012"
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(_DOOR), str(_ROOT / "layers" / "core")]),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": "teams_webhook",
        "POWERTOOLS_METRICS_NAMESPACE": "Parley",
        "MESSAGES_QUEUE_URL": f"{queue}/messages.fifo",
        "SIGNALS_QUEUE_URL": f"{queue}/signals.fifo",
        "TEAMS_APP_ID": DEMO.app_id,
        "TEAMS_SERVICE_HOSTS": teams.host,
        "TEAMS_OPENID_URL": teams.openid_url,
        "TEAMS_TOKEN_ISSUER": signing.ISSUER,
    }


def _show_cold(console: Console, folder: Path, environment: dict[str, str], starts: int) -> list[float]:
    pythons = {"parley: the whole door": (sys.executable, "import app")}
    for name, statement in _PEERS.items():
        pythons[f"{name}: the check alone"] = (_install(name, folder), statement)
    measured: dict[str, list[float]] = {name: [] for name in pythons}
    for number in range(starts + 1):
        for name, (python, statement) in pythons.items():
            started = _run([python, "-W", "ignore", "-c", _TIMED.format(statement)], environment)
            if number:  # the first one of each writes the bytecode
                measured[name].append(float(started))
    table = Table(title=f"Cold import, ms, median of {starts} fresh interpreters")
    for heading in ("", "ms", "slowest"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, samples in measured.items():
        table.add_row(name, f"{median(samples) * 1000:.0f}", f"{max(samples) * 1000:.0f}")
    console.print(table)
    return [median(samples) for samples in measured.values()]


def _install(name: str, folder: Path) -> str:
    """An environment that holds one peer; its interpreter."""
    place, uv = folder / name, str(_ROOT / ".venv" / "bin" / "uv")
    python = str(place / "bin" / "python")
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], dict(os.environ))
    _run([uv, "pip", "install", "--quiet", "--python", python, name, *_ALSO.get(name, [])], dict(os.environ))
    return python


def _run(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def _show_warm(console: Console, teams: FakeTeams, environment: dict[str, str], seconds: float) -> None:
    """One process, whose first round fetches the keys and is not counted."""
    command = [sys.executable, str(_HERE / "side.py"), str(_DOOR)]
    rounds = []
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin  # noqa: S101 - both pipes were asked for
        assert process.stdout  # noqa: S101
        for length in (0.2, seconds):
            print(json.dumps({"events": _signed_events(teams), "seconds": length}), file=process.stdin, flush=True)
            rounds.append(json.loads(process.stdout.readline()))
        process.stdin.close()
    latencies, cpu = rounds[1]["latencies"], rounds[1]["cpu"]
    cuts = quantiles(latencies, n=100)
    console.print(
        f"Warm: {len(latencies) / sum(latencies):,.0f} requests/s, p50 {cuts[49] * 1000:.2f} ms, "
        f"p99 {cuts[98] * 1000:.2f} ms, {cpu / len(latencies) * 1000:.2f} ms of CPU each; "
        f"the keys were fetched {len(teams.calls_to('keys'))} time(s)"
    )


def _signed_events(teams: FakeTeams) -> list[dict[str, object]]:
    """Different messages of one chat, with tokens made now."""
    token = signing.sign(signing.claims(DEMO.app_id, teams.service_url))
    http = {"method": "POST", "path": "/teams/messages"}
    now = time.time_ns() // 1_000_000
    events: list[dict[str, object]] = []
    for number in range(_VARIANTS):
        message = payloads.message(
            f"question {number}", payloads.personal(), activity_id=str(now + number), serviceUrl=teams.service_url
        )
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        body = payloads.body_of(message).decode()
        events.append({"requestContext": {"http": http, "requestId": "r"}, "headers": headers, "body": body})
    return events


if __name__ == "__main__":
    main()
