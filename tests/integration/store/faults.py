"""DynamoDB on a bad day: requests that are refused, or that take effect although no answer comes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError


def refusal(code: str, operation: str, *, reasons: tuple[str, ...] = ()) -> ClientError:
    """The error with which botocore says what DynamoDB answered."""
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPHeaders": {}}}
    if reasons:
        answer["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(answer, operation)


@dataclass
class Trouble:
    """How often the trouble has struck, and the request tokens that it saw."""

    struck: int
    tokens: list[str]


@contextmanager
def trouble(operation: str, error: Exception, *, times: int = 1, is_done: bool = False) -> Iterator[Trouble]:
    """The first `times` requests of this operation end in `error`; with `is_done`, after they took effect."""
    send = vars(BaseClient)["_make_api_call"]
    seen = Trouble(struck=0, tokens=[])

    def send_or_fail(self: BaseClient, name: str, arguments: Mapping[str, Any]) -> Any:
        if name != operation:
            return send(self, name, arguments)
        seen.tokens.append(arguments.get("ClientRequestToken", ""))
        if seen.struck >= times:
            return send(self, name, arguments)
        seen.struck += 1
        if is_done:
            send(self, name, arguments)
        raise error

    with patch.object(BaseClient, "_make_api_call", send_or_fail):
        yield seen


@contextmanager
def leftovers(*, times: int) -> Iterator[None]:
    """DynamoDB writes only the first item of a batch and hands the others back, so many times."""
    send = vars(BaseClient)["_make_api_call"]
    left = times

    def send_in_part(self: BaseClient, name: str, arguments: Mapping[str, Any]) -> Any:
        nonlocal left
        if name != "BatchWriteItem" or left == 0:
            return send(self, name, arguments)
        left -= 1
        [(table, [first, *rest])] = arguments["RequestItems"].items()
        answer = send(self, name, {"RequestItems": {table: [first]}})
        return {**answer, "UnprocessedItems": {table: rest or [first]}}

    with patch.object(BaseClient, "_make_api_call", send_in_part):
        yield
