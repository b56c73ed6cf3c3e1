"""The deployed template on the local cloud, with IAM enforced, as a person and as ops would use it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import urllib3

from core.events import SignalReceived
from local.fake_slack import payloads
from local.stack import PROJECT, Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_HTTP = urllib3.PoolManager(retries=False)
_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A running stack, and how to reach it from every side."""

    stack: Stack
    state_dir: Path

    # Slack calls us

    def post(self, envelope: Mapping[str, Any], *, now: float | None = None, secret: str | None = None) -> int:
        """Sign an event as Slack does and post it; the HTTP status."""
        body = payloads.body_of(envelope)
        return self.send(body, payloads.sign(secret or self.stack.slack_signing_secret, body, now or time.time()))[0]

    def send(
        self, body: bytes, headers: Mapping[str, str], *, path: str = "/slack/events"
    ) -> tuple[int, dict[str, Any]]:
        """Post raw bytes to the webhook; status and JSON answer."""
        answer = _HTTP.request("POST", f"{self.stack.api_url}{path}", body=body, headers=dict(headers))
        return answer.status, json.loads(answer.data or b"{}")

    def ask(self, text: str, *, user: str | None = None, thread_ts: str | None = None) -> str:
        """A person mentions the assistant; the message's ts."""
        envelope = payloads.mention(text, user=user, thread_ts=thread_ts)
        event = envelope["event"]
        said = {"user": event["user"], "text": text, "channel": event["channel"], "ts": event["ts"]}
        self._fake("POST", "/_fake/messages", said | ({"thread_ts": thread_ts} if thread_ts else {}))
        assert self.post(envelope) == 200
        return event["ts"]

    def add_person(self, person: Mapping[str, Any]) -> None:
        """Let somebody exist in Slack."""
        self._fake("POST", "/_fake/users", person)

    # What Slack shows

    def answers(self, ts: str) -> list[dict[str, Any]]:
        """What the assistant says in a thread, as a person sees it now."""
        demo = self.stack.demo
        shown = self._fake("GET", f"/_fake/messages?channel={demo.channel_id}&thread_ts={ts}")
        return [message for message in shown["messages"] if message["user"] == demo.bot_user_id]

    def wait_for_answers(self, ts: str, number: int = 1, *, seconds: float = _WAIT_SECONDS) -> list[dict[str, Any]]:
        """The finished answers in a thread, as soon as there are so many."""

        def finished() -> list[dict[str, Any]]:
            return [answer for answer in self.answers(ts) if not answer["is_streaming"]]

        wait_for(lambda: len(finished()) >= number, seconds=seconds, what=f"{number} answers in {ts}")
        return finished()

    def calls(self, method: str) -> list[dict[str, Any]]:
        """The Web API calls of one method that the fake Slack took."""
        return [call for call in self._fake("GET", "/_fake/calls")["calls"] if call["method"] == method]

    def _fake(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = _HTTP.request(method, f"{self.stack.fake_slack_url}{path}", json=body)
        assert answer.status == 200, answer.data
        found: dict[str, Any] = json.loads(answer.data)
        return found

    # What ops see

    def ops(self, *arguments: str) -> Any:
        """What a command of the operators' command line prints as JSON."""
        return json.loads(self.run_ops(*arguments))

    def run_ops(self, *arguments: str) -> str:
        """What a command of the operators' command line prints."""
        command = [sys.executable, "-m", "ops", "--stack-file", str(self.state_dir / "stack.json"), *arguments]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(self, signal: SignalReceived) -> None:
        """Put a signal on its queue, as a webhook does."""
        self._sqs().send_message(
            QueueUrl=self.stack.queue_urls.signals,
            MessageBody=signal.model_dump_json(by_alias=True),
            MessageGroupId=signal.group_id,
            MessageDeduplicationId=signal.deduplication_id,
        )

    def conversation(self, ts: str) -> dict[str, Any]:
        """A thread's conversation with its messages and tasks."""
        found: dict[str, Any] = self.ops("conversations", "show", "--thread", ts, "--json")
        return found

    def wait_for_conversation(self, ts: str, status: str) -> dict[str, Any]:
        """A thread's conversation as soon as it has this status."""
        wait_for(lambda: self.conversation(ts)["conversation"]["status"] == status, what=f"{ts} to be {status}")
        return self.conversation(ts)

    def model_requests(self, words: str) -> list[dict[str, Any]]:
        """The requests to the stand-in model whose question holds these words."""
        url = self.stack.model_base_url.removesuffix("/v1") + "/standin/requests"
        found = json.loads(_HTTP.request("GET", url).data)
        listed: list[dict[str, Any]] = found["requests"] if isinstance(found, dict) else found
        return [request for request in listed if words in str(request)]

    def queue_length(self, queue_url: str) -> int:
        """How many messages a queue holds, in flight or not."""
        counted = self._sqs().get_queue_attributes(
            QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        )["Attributes"]
        return sum(map(int, counted.values()))

    def _sqs(self) -> "SQSClient":
        return boto3.client(
            "sqs",
            endpoint_url=self.stack.endpoint_url,
            region_name=self.stack.region,
            aws_access_key_id=self.stack.aws_access_key_id,
            aws_secret_access_key=self.stack.aws_secret_access_key,
        )

    def kill_workers(self, function: str) -> int:
        """Kill -9 whatever process of this stack runs the function; how many there were."""
        killed = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(self.state_dir) in command and function in command:
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
        return killed


def wait_for(condition: Callable[[], bool], *, seconds: float = _WAIT_SECONDS, what: str) -> None:
    """Return as soon as `condition` holds.

    Raises:
        TimeoutError: It did not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            msg = f"waited {seconds:.0f} s for {what}"
            raise TimeoutError(msg)
        time.sleep(0.2)
