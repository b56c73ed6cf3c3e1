"""AWS over HTTP, for what does not go through boto3: moto answers each call that botocore would have signed so."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from unittest.mock import patch

import boto3
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

_OPERATIONS = {
    "AmazonSQS.SendMessage": ("sqs", "send_message"),
    "secretsmanager.GetSecretValue": ("secretsmanager", "get_secret_value"),
}


@contextmanager
def running_aws() -> Iterator[str]:
    """The URL where it is, for as long as the block runs; moto has to be active."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        service, operation = _OPERATIONS[headers["x-amz-target"]]
        status, answer = 403, {"__type": "com.amazon#SignatureDoesNotMatch"}
        known = boto3.Session().get_credentials()
        if known and headers["authorization"] == expected_signature(headers, body, service, known.secret_key):
            status, answer = _perform(service, operation, json.loads(body))
        sent = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def expected_signature(headers: Mapping[str, str], body: bytes, service: str, secret: str) -> str:
    """The authorization that botocore makes of the headers that a request says are signed."""
    claimed = dict(part.split("=", 1) for part in headers["authorization"].partition(" ")[2].split(", "))
    signed, (key_id, _, region, *_) = claimed["SignedHeaders"].split(";"), claimed["Credential"].split("/")
    kept = {name: headers[name] for name in signed if name not in ("x-amz-date", "x-amz-security-token")}
    request = AWSRequest("POST", f"http://{headers['host']}/", headers=kept, data=body)
    who = Credentials(key_id, secret, headers.get("x-amz-security-token"))
    at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    with patch.object(auth, "get_current_datetime", lambda **_: at.replace(tzinfo=None)):
        auth.SigV4Auth(who, service, region).add_auth(request)
    return str(request.headers["authorization"])


def _perform(service: str, operation: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    try:
        answer = getattr(boto3.client(service), operation)(**arguments)  # type: ignore[call-overload] # by its name
    except ClientError as exc:
        return 400, {"__type": f"com.amazonaws#{exc.response['Error']['Code']}"}
    return 200, {name: value for name, value in answer.items() if isinstance(value, str)}
