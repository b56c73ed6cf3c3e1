"""Which stack a command works on, and how it says that there is none."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import override
from urllib.parse import parse_qs

import boto3
import pytest

import local.stack
from core.installing.links import read_link_token
from ops import stack
from tests.integration.cloud import BUCKET_NAME, REGION, TABLE_NAME
from tests.integration.ops.conftest import CommandLine

ROOT = Path(__file__).parents[3]


class CloudFormation(ThreadingHTTPServer):
    """CloudFormation, as far as it describes stacks; moto's needs libraries that nothing else here does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Description)
        self.stacks: dict[str, dict[str, str]] = {}


class _Description(BaseHTTPRequestHandler):
    server: CloudFormation

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        name = asked["StackName"][0]
        outputs = self.server.stacks.get(name)
        if outputs is None:
            error = f"<Code>ValidationError</Code><Message>Stack with id {name} does not exist</Message>"
            self._send(400, f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>")
            return
        shown = "".join(
            f"<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            for key, value in outputs.items()
        )
        stack = f"<member><StackName>{name}</StackName><Outputs>{shown}</Outputs></member>"
        result = f"<DescribeStacksResult><Stacks>{stack}</Stacks></DescribeStacksResult>"
        self._send(200, f"<DescribeStacksResponse>{result}</DescribeStacksResponse>")

    def _send(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@pytest.fixture
def cloudformation(cloud: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudFormation]:
    with CloudFormation() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m ops` as an operator starts it."""
    kept = {"PATH": os.environ["PATH"], "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "ops", *arguments],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def outputs(queue_urls: dict[str, str]) -> dict[str, str]:
    return {
        "StageName": "staging",
        "ApiUrl": "https://api.example.com/",
        "TableName": TABLE_NAME,
        "BucketName": BUCKET_NAME,
        "MessagesQueueUrl": queue_urls["messages"],
        "MessagesDeadLetterQueueUrl": queue_urls["messages_dead_letter"],
        "MessagesParkedQueueUrl": queue_urls["messages_parked"],
        "SignalsQueueUrl": queue_urls["signals"],
        "ImportsQueueUrl": queue_urls["imports"],
    }


def test_a_stack_on_aws_is_found_by_its_name(cloudformation: CloudFormation, outputs: dict[str, str]) -> None:
    cloudformation.stacks["parley-staging"] = outputs
    ops = CommandLine(["--stack", "parley-staging", "--region", REGION])
    ops.done("companies", "add", "acme", "--name", "Acme Ltd")
    where = ["--company", "acme", "--platform", "slack", "--workspace", "T1"]
    ran = ops.done("installations", "add", *where, "--bot-user-id", "UBOT", typed="xoxb\n")
    assert "parley/staging/slack/T1" in ran.out
    assert "no dead letters" in ops.done("dead-letters", "list").err


def test_a_link_and_a_manifest_are_made_for_the_address_of_a_stack(
    cloudformation: CloudFormation, outputs: dict[str, str]
) -> None:
    cloudformation.stacks["parley-staging"] = outputs
    ops = CommandLine(["--stack", "parley-staging", "--region", REGION])
    ops.done("companies", "add", "acme", "--name", "Acme Ltd")
    links = [ops.done("installations", "link", "--company", "acme").out.strip() for _ in range(2)]
    key = boto3.client("secretsmanager").get_secret_value(SecretId="parley/staging/install-key")["SecretString"]
    for link in links:
        address, _, token = link.partition("?link=")
        assert address == "https://api.example.com/slack/install"
        assert read_link_token(key, token, now=datetime.now(UTC)) == "acme"
    assert links[0] != links[1]
    manifest = ops.done("slack", "manifest").out
    assert "https://api.example.com/slack/oauth/callback" in manifest
    assert "YOUR-API" not in manifest.partition("display_information")[2]
    elsewhere = ops.done("slack", "manifest", "--url", "https://parley.example.com/").out
    assert "request_url: https://parley.example.com/slack/events" in elsewhere
    assert ops("slack", "manifest", "--url", "javascript:alert(1)").code == 2
    assert ops("installations", "link", "--company", "nobody").code == 1


def test_a_stack_that_is_not_there_or_not_ours_is_named(
    cloudformation: CloudFormation, outputs: dict[str, str]
) -> None:
    missing = CommandLine(["--stack", "nowhere", "--region", REGION])("companies", "list")
    assert (missing.code, missing.err.count("\n")) == (1, 1)
    assert "nowhere" in missing.err
    del outputs["TableName"]
    cloudformation.stacks["something-else"] = outputs
    other = CommandLine(["--stack", "something-else", "--region", REGION])("companies", "list")
    assert (other.code, "TableName" in other.err) == (1, True)


def test_the_demo_company_of_a_local_stack_is_the_default(description: dict[str, object], tmp_path: Path) -> None:
    demo = {"company_id": "acme", "team_id": "T1", "channel_id": "C1", "user_email": "alice@acme.example"}
    path = tmp_path / "demo.json"
    path.write_text(json.dumps(description | {"demo": demo}))
    ops = CommandLine(["--stack-file", str(path)])
    ops.done("companies", "add", "acme", "--name", "Acme Ltd")
    assert "no users yet" in ops.done("users", "list").err
    assert "no conversation in slack channel C1, thread 1.1" in ops("conversations", "show", "--thread", "1.1").err


@pytest.mark.parametrize("content", ["", "{", "[]", '{"region": "eu-central-1", "aws_secret_access_key": "hush"}'])
def test_a_file_that_describes_no_stack_is_named_without_its_content(tmp_path: Path, content: str) -> None:
    path = tmp_path / "stack.json"
    path.write_text(content)
    ran = CommandLine(["--stack-file", str(path)])("companies", "list")
    assert (ran.code, "hush" in ran.err) == (1, False)
    assert "does not describe a stack" in ran.err


def test_a_stack_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = CommandLine(["--stack-file", str(tmp_path / "none.json")])("companies", "list")
    assert ran.code == 1
    assert "none.json" in ran.err


def test_everything_that_is_read_of_a_local_stack_is_what_make_run_writes() -> None:
    assert stack.Stack.model_fields.keys() <= local.stack.Stack.model_fields.keys()
    assert stack.QueueUrls.model_fields.keys() == local.stack.QueueUrls.model_fields.keys()
    assert stack.Demo.model_fields.keys() <= local.stack.Demo.model_fields.keys()


def test_a_stack_and_a_file_are_one_too_many(tmp_path: Path) -> None:
    assert CommandLine(["--stack", "a", "--stack-file", "b"])("companies", "list").code == 2


def test_the_command_line_starts_anywhere_and_explains_itself() -> None:
    ran = run("--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    for command in ("companies", "users", "identities", "installations", "conversations", "usage", "dead-letters"):
        assert command in ran.stdout
        assert run(command, "--help").returncode == 0
    assert run("nonsense").returncode == 2


def test_a_stack_that_does_not_answer_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    urls = dict.fromkeys(
        ("messages", "messages_dead_letter", "messages_parked", "signals"), "http://127.0.0.1:1/q.fifo"
    )
    described = {"region": REGION, "table_name": "t", "bucket_name": "b", "queue_urls": urls}
    described |= {"endpoint_url": "http://127.0.0.1:1", "aws_access_key_id": "k", "aws_secret_access_key": "hush"}
    path = tmp_path / "stack.json"
    path.write_text(json.dumps(described))
    for command in (["companies", "list"], ["dead-letters", "list"]):
        ran = run("--stack-file", str(path), *command, AWS_PROFILE="a-profile-that-is-not-there")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith("error: ")
        assert ran.stderr.count("\n") == 1
        assert "hush" not in ran.stderr


def test_aws_without_credentials_or_region_is_explained() -> None:
    no_region = run("--stack", "parley", "companies", "list")
    assert (no_region.returncode, "--region" in no_region.stderr) == (1, True)
    environment = {"AWS_EC2_METADATA_DISABLED": "true"}
    no_keys = run("--stack", "parley", "--region", REGION, "companies", "list", **environment)
    assert (no_keys.returncode, no_keys.stderr.count("\n")) == (1, 1)
    assert "credentials" in no_keys.stderr
