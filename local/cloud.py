"""Runs the whole stack on this machine: `make run` and `make stop`.

The emulated AWS listens on PORT, the stand-in model on PORT + 1 and the fake Slack on PORT + 2, all on loopback.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from local.aws import ADMIN_KEY, ADMIN_SECRET, REGION, Aws, start_emulator
from local.build import build, host_architecture
from local.deploy import (
    CLIENT_SECRET_NAME,
    MODEL_KEY_SECRET_NAME,
    SIGNING_SECRET_NAME,
    STACK_NAME,
    STAGE,
    TEAMS_SECRET_NAME,
    deploy,
)
from local.fake_slack.demo import DEMO
from local.fake_slack.oauth import CLIENT_ID, CLIENT_SECRET
from local.fake_teams.demo import DEMO as TEAMS_DEMO
from local.logs import FunctionLogs
from local.options import Options
from local.processes import (
    LocalError,
    Program,
    end,
    find_free_ports,
    is_free,
    recall,
    remember,
    start,
    this_program,
    wait_until_healthy,
)
from local.seed import demo_of, identify_bot, seed
from local.stack import PROJECT, Demo, QueueUrls, Stack
from local.tools import install

_PORTS = 4
_CLOUD = "make run"


class _StopRequested(BaseException):
    """Somebody wants the stack to end; no error, and nothing to catch on the way."""


@dataclass(frozen=True, slots=True)
class _Outside:
    """What the stack talks to that is not AWS: the model, and Slack."""

    model_base_url: str
    openai_model: str
    fake_slack_url: str | None
    slack_api_base_url: str
    slack_bot_token: str
    fake_teams_url: str


class Cloud:
    """One local stack, from its first program to its last."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._port = options.port or find_free_ports(_PORTS)
        self._folder = options.state_dir / str(self._port)
        self._logs = self._folder / "logs"
        self._programs: list[Program] = []
        self._function_logs: FunctionLogs | None = None
        self._is_claimed = False

    def start(self) -> Stack:
        """Bring everything up.

        Raises:
            LocalError: Something did not come up; what did is still to be ended.
        """
        self._take_ports()
        with _step("tools"):
            install("sam")
            install("ministack")
        with _step("local cloud"):
            aws = self._start_emulator()
        outside = self._start_outside()
        bot = identify_bot(outside.slack_api_base_url, outside.slack_bot_token)
        with _step("secrets"):
            aws.write_secret(SIGNING_SECRET_NAME, self._options.slack_signing_secret)
            aws.write_secret(CLIENT_SECRET_NAME, CLIENT_SECRET)
            aws.write_secret(TEAMS_SECRET_NAME, TEAMS_DEMO.app_secret)
            aws.write_secret(MODEL_KEY_SECRET_NAME, self._options.openai_api_key or "not-needed")
        with _step("sam build"):
            template = build(host_architecture())
        with _step("sam deploy"):
            deployed = deploy(aws, template, self._parameters(outside), log=self._logs / "sam-deploy.log")
        stack = self._describe(deployed, outside, demo_of(bot, self._options.slack_user_email))
        with _step("demo data"):
            stack.write(self._folder / "stack.json")
            seed(stack, self._folder / "stack.json", logs=self._logs)
        self._function_logs = FunctionLogs(
            aws, f"/{STACK_NAME}/", self._logs, emulator_log=self._logs / "local-cloud.log"
        )
        self._function_logs.start()
        stack.write(self._options.state_dir / "stack.json")
        (self._folder / "ready").touch()
        return stack

    def watch(self) -> None:
        """Stay until somebody ends it.

        Raises:
            LocalError: One of its programs ended by itself.
        """
        while True:
            time.sleep(1)
            for program in self._programs:
                if not program.is_running:
                    msg = f"{program.name} ended by itself; its log is in {self._logs}"
                    raise LocalError(msg)

    def close(self) -> None:
        """End all it started."""
        if not self._is_claimed:
            return
        if self._function_logs:
            self._function_logs.stop()
        end(self._programs)
        _forget(self._options.state_dir, self._port)

    def _take_ports(self) -> None:
        """Claim the folder and the ports, after a crash by clearing what is left of the last run."""
        left = recall(self._folder / "programs.json")
        if any(program.is_running and program.name == _CLOUD for program in left):
            msg = f"a stack is already running on port {self._port}: `make stop PORT={self._port}` ends it"
            raise LocalError(msg)
        end(left)
        used = {
            self._port: True,
            self._port + 1: self._options.needs_standin_model,
            self._port + 2: self._options.needs_fake_slack,
            self._port + 3: True,
        }
        taken = [str(port) for port, is_needed in used.items() if is_needed and not is_free(port)]
        if taken:
            msg = f"port {' and '.join(taken)} is used by another program: choose another with `make run PORT=…`"
            raise LocalError(msg)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._logs.mkdir(parents=True)
        self._is_claimed = True
        self._remember()

    def _remember(self, program: Program | None = None) -> None:
        if program:
            self._programs.append(program)
        remember(self._folder / "programs.json", [this_program(_CLOUD), *self._programs])

    def _start_emulator(self) -> Aws:
        url, log = f"http://127.0.0.1:{self._port}", self._logs / "local-cloud.log"
        program = start_emulator(self._port, self._folder, log=log, is_iam_enforced=self._options.auth)
        self._remember(program)
        wait_until_healthy(program, f"{url}/_ministack/health", log=log)
        return Aws(url)

    def _start_outside(self) -> _Outside:
        options = self._options
        model_base_url = options.openai_base_url or "https://api.openai.com/v1"
        openai_model = options.openai_model or "gpt-6.1-terra"
        if options.needs_standin_model:
            with _step("stand-in model"):
                model_base_url = f"{self._start_python('standin_model', self._port + 1, health='/v1/models')}/v1"
            openai_model = options.openai_model or "stand-in"
        fake_slack_url, slack_api_base_url = None, f"{(options.slack_api_base_url or '').rstrip('/')}/"
        if options.needs_fake_slack:
            with _step("fake Slack"):
                fake_slack_url = self._start_python("fake_slack", self._port + 2, health="/_fake/health")
            slack_api_base_url = f"{fake_slack_url}/api/"
        with _step("fake Teams"):
            fake_teams_url = self._start_python("fake_teams", self._port + 3, health="/_fake/health")
        return _Outside(
            fake_teams_url=fake_teams_url,
            model_base_url=model_base_url,
            openai_model=openai_model,
            fake_slack_url=fake_slack_url,
            slack_api_base_url=slack_api_base_url,
            slack_bot_token=options.slack_bot_token or DEMO.bot_token,
        )

    def _parameters(self, outside: _Outside) -> dict[str, str]:
        return {
            "Architecture": host_architecture(),
            "LogLevel": "DEBUG",
            "SlackApiBaseUrl": outside.slack_api_base_url,
            "SlackClientId": CLIENT_ID,
            "SlackAuthorizeUrl": f"{outside.slack_api_base_url.removesuffix('api/')}oauth/v2/authorize",
            "TeamsAppId": TEAMS_DEMO.app_id,
            "TeamsServiceHosts": outside.fake_teams_url.removeprefix("http://"),
            "TeamsFileHosts": outside.fake_teams_url.removeprefix("http://"),
            "TeamsOpenIdUrl": f"{outside.fake_teams_url}/v1/.well-known/openidconfiguration",
            "TeamsLoginUrl": outside.fake_teams_url,
            "ToolInsecureHosts": "127.0.0.1",
            "OpenAIBaseUrl": outside.model_base_url,
            "OpenAIModel": outside.openai_model,
            "OpenAIApiKind": self._options.openai_api_kind,
        }

    def _describe(self, deployed: dict[str, str], outside: _Outside, demo: Demo) -> Stack:
        endpoint_url = f"http://127.0.0.1:{self._port}"
        return Stack(
            port=self._port,
            api_url=f"{endpoint_url}/_aws/execute-api/{deployed['ApiId']}",
            endpoint_url=endpoint_url,
            region=REGION,
            stage=STAGE,
            stack_name=STACK_NAME,
            table_name=deployed["TableName"],
            bucket_name=deployed["BucketName"],
            queue_urls=QueueUrls(
                messages=deployed["MessagesQueueUrl"],
                messages_dead_letter=deployed["MessagesDeadLetterQueueUrl"],
                messages_parked=deployed["MessagesParkedQueueUrl"],
                signals=deployed["SignalsQueueUrl"],
                imports=deployed["ImportsQueueUrl"],
            ),
            slack_signing_secret_name=SIGNING_SECRET_NAME,
            slack_signing_secret=self._options.slack_signing_secret,
            slack_bot_token=outside.slack_bot_token,
            slack_api_base_url=outside.slack_api_base_url,
            fake_slack_url=outside.fake_slack_url,
            teams_app_id=TEAMS_DEMO.app_id,
            teams_app_secret_name=TEAMS_SECRET_NAME,
            fake_teams_url=outside.fake_teams_url,
            model_base_url=outside.model_base_url,
            openai_model=outside.openai_model,
            standin_model=self._options.needs_standin_model,
            aws_access_key_id=ADMIN_KEY,
            aws_secret_access_key=ADMIN_SECRET,
            logs_dir=self._logs,
            demo=demo,
        )

    def _start_python(self, module: str, port: int, *, health: str) -> str:
        name = module.replace("_", "-")
        log, url = self._logs / f"{name}.log", f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", f"local.{module}", "--host", "127.0.0.1", "--port", str(port)]
        program = start(name, command, env=dict(os.environ), log=log, cwd=PROJECT)
        self._remember(program)
        wait_until_healthy(program, f"{url}{health}", log=log)
        return url


@contextmanager
def _step(name: str) -> Generator[None]:
    """Show what is being done, and how long it took."""
    print(f"  {name} {'.' * (24 - len(name))} ", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - started:5.1f} s", flush=True)


def _forget(state_dir: Path, port: int) -> None:
    """Remove what says that a stack runs on this port; its logs stay for reading until the next start."""
    folder = state_dir / str(port)
    for name in ("programs.json", "ready", "stack.json"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    latest = Stack.read(state_dir / "stack.json")
    if latest is None or latest.port == port:
        (state_dir / "stack.json").unlink(missing_ok=True)


def _invitation(stack: Stack) -> str:
    model = "the stand-in model, which only plays one" if stack.standin_model else stack.openai_model
    return f"""
Parley is running.

  Slack events   {stack.api_url}/slack/events
  Teams          {stack.api_url}/teams/messages  (the fake Teams: {stack.fake_teams_url})
  AWS            {stack.endpoint_url}  (region {stack.region}, key and secret `{stack.aws_access_key_id}`)
  Slack API      {stack.slack_api_base_url}
  model          {stack.model_base_url}  ({model})
  logs           {stack.logs_dir}

Try:

  make ask TEXT="What can you do?"
  make ask PLATFORM=teams TEXT="Hello"    the same person in Microsoft Teams
  make ask AS=grace TEXT="Hello"          somebody who is not in the directory
  make ops ARGS="--help"                  look at companies, people, conversations
"""


def run(options: Options) -> int:
    """Bring a stack up and stay until it is told to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _request_stop)
    cloud = Cloud(options)
    started = time.monotonic()
    status = 0
    try:
        stack = cloud.start()
        print(_invitation(stack))
        print(f"Ready in {time.monotonic() - started:.1f} s.", flush=True)
        cloud.watch()
    except _StopRequested:
        print("\nending …", flush=True)
    except LocalError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        status = 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        cloud.close()
    return status


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    raise _StopRequested


def run_detached(options: Options) -> int:
    """Bring a stack up in the background; returns when it is ready, or has failed."""
    port = options.port or find_free_ports(_PORTS)
    folder = options.state_dir / str(port)
    log = options.state_dir / f"{port}.log"
    log.unlink(missing_ok=True)
    (folder / "ready").unlink(missing_ok=True)
    environment = os.environ | {"DETACH": "", "PORT": str(port)}
    program = start(_CLOUD, [sys.executable, "-m", "local.cloud", "run"], env=environment, log=log, cwd=PROJECT)
    with log.open() as output:
        while program.is_running and not (folder / "ready").exists():
            print(output.read(), end="", flush=True)
            time.sleep(0.1)
        time.sleep(0.2)
        print(output.read(), end="", flush=True)
    if not program.is_running:
        return 1
    print(f"It runs in the background: `make stop PORT={port}` ends it; what it says goes to {log}")
    return 0


def stop(options: Options, *, is_port_given: bool) -> int:
    """End a stack and whatever a crash has left of it."""
    latest = Stack.read(options.state_dir / "stack.json")
    port = latest.port if latest and not is_port_given else options.port
    left = recall(options.state_dir / str(port) / "programs.json")
    if not left:
        print(f"nothing runs on port {port}")
        return 0
    # It ends its programs by itself; what is left then was left by a crash.
    end([program for program in left if program.name == _CLOUD], seconds=20)
    end([program for program in left if program.name != _CLOUD])
    _forget(options.state_dir, port)
    print(f"ended the stack on port {port}")
    return 0


def main() -> int:
    """Run or stop a local stack."""
    parser = argparse.ArgumentParser(prog="python -m local.cloud", description=__doc__)
    parser.add_argument("command", choices=["run", "stop"])
    command = parser.parse_args().command
    try:
        options = Options.from_env()
        if command == "stop":
            return stop(options, is_port_given=bool(os.environ.get("PORT")))
        return run_detached(options) if options.detach else run(options)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
