"""AWS for doors that have to start fast: SQS's SendMessage and Secrets Manager's GetSecretValue, signed here.

boto3 and its clients are two fifths of such a door's cold start. What stands here is called and refuses as they do; it
differs in what it raises where there is no answer.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from core.errors import RetryableError
from core.http import Answer, Http

_SECONDS = 2.5  # of one try; SQS and Secrets Manager answer within a tenth
_PAUSES = (0.1, 0.3)  # seconds before the second and the third try
_MOST_BYTES = 256 * 1024  # of an answer; a secret has 64 KB at most
_ALGORITHM = "AWS4-HMAC-SHA256"
_END = "aws4_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """As whom AWS is called, and where.

    Attributes:
        session_token: Of credentials that end, as a function's do; else empty.
        sqs_url: SQS's endpoint.
        secrets_url: Secrets Manager's.
    """

    key_id: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    region: str
    sqs_url: str
    secrets_url: str


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation: its service's name in signatures, its own in the header, and the protocol's version."""

    service: str
    target: str
    version: str


_SEND = _Operation("sqs", "AmazonSQS.SendMessage", "1.0")
_READ = _Operation("secretsmanager", "secretsmanager.GetSecretValue", "1.1")


class SmallClient:
    """As much of boto3's clients of SQS and of Secrets Manager as a webhook calls."""

    def __init__(
        self, access: Access, http: Http, *, now: Callable[[], datetime], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._access = access
        self._http = http
        self._now = now
        self._sleep = sleep

    def send_message(self, **message: object) -> Mapping[str, object]:
        """Put a message on a queue; arguments are SQS's own. Raises as `get_secret_value` does."""
        return self._call(_SEND, self._access.sqs_url, message)

    def get_secret_value(self, **which: object) -> Mapping[str, object]:
        """A secret; arguments are Secrets Manager's own.

        Raises:
            ClientError: AWS refuses it.
            RetryableError: AWS gave no answer, or none that is one, three times.
        """
        return self._call(_READ, self._access.secrets_url, which)

    def _call(self, operation: _Operation, url: str, arguments: Mapping[str, object]) -> Mapping[str, object]:
        body = json.dumps(arguments).encode()
        for pause in _PAUSES:
            try:
                return _read(operation, self._post(operation, url, body))
            except RetryableError:
                self._sleep(pause)
        return _read(operation, self._post(operation, url, body))

    def _post(self, operation: _Operation, url: str, body: bytes) -> Answer:
        headers = {
            "content-type": f"application/x-amz-json-{operation.version}",
            "host": urlsplit(url).netloc,
            "x-amz-target": operation.target,
        }
        signed = sign(self._access, operation.service, headers, body, at=self._now())
        return self._http.request("POST", f"{url}/", headers=signed, body=body, seconds=_SECONDS, max_bytes=_MOST_BYTES)


def sign(access: Access, service: str, headers: Mapping[str, str], body: bytes, *, at: datetime) -> dict[str, str]:
    """`headers`, in lower case, with the signature of a POST to `/` that carries them and `body`."""
    stamp = f"{at:%Y%m%dT%H%M%SZ}"
    sent = {**headers, "x-amz-date": stamp}
    if access.session_token:
        sent["x-amz-security-token"] = access.session_token
    names = sorted(sent)
    listed = ";".join(names)
    lines = [f"{name}:{sent[name]}" for name in names]
    request = "\n".join(["POST", "/", "", *lines, "", listed, hashlib.sha256(body).hexdigest()])
    parts = (stamp[:8], access.region, service, _END)
    scope = "/".join(parts)
    to_sign = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = reduce(_mac, parts, b"AWS4" + access.secret_key.encode())
    signature = _mac(key, to_sign).hex()
    credential = f"Credential={access.key_id}/{scope}"
    return {**sent, "authorization": f"{_ALGORITHM} {credential}, SignedHeaders={listed}, Signature={signature}"}


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _read(operation: _Operation, answer: Answer) -> Mapping[str, object]:
    given = answer.json()
    if answer.status == 200:
        return given
    code = str(given.get("__type") or answer.status).rpartition("#")[2]
    if "Throttl" in code:
        raise RetryableError("throttled", f"AWS asks to wait with {operation.target}")
    raise ClientError({"Error": {"Code": code, "Message": ""}}, operation.target.partition(".")[2])
