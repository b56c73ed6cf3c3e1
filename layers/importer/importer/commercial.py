"""The company's own API gets what was imported: in batches, each with a key of its own, none of them twice.

A batch is sent under its `Idempotency-Key`, which follows from the import, the output and the batch's number. Where it
is not known whether a batch arrived (no answer in time, a 5xx, a process that died), it is asked for by its key before
anything is sent again: `GET <url>/<key>` answers 200 with the reference, or 404 where the API has never seen it.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import orjson

from core.errors import PermanentError, RetryableError
from core.http import read_retry_after
from core.imports import CommercialApi
from core.outside import OutsideAnswer, OutsideHttp

_MAX_BODY_BYTES = 4 * 1024 * 1024  # of the records in one request, however many the company allows
_MAX_TRIES = 4  # of one batch within one run; the queue's redelivery is the longer patience
_PAUSES = (1.0, 3.0, 9.0)  # seconds before another try, where the API names none
_LEAST_SECONDS = 15.0  # of an invocation, for one more request
_LONGEST_WAIT = 60.0  # seconds that are waited here; a longer Retry-After waits in the queue
_MAX_REFERENCE = 200  # characters


class Remember(Protocol):
    """Writes down how far a submission is."""

    def __call__(self, *, batches: int, reference: str) -> None:
        """So many batches are known to be there; the API calls the whole `reference`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One output on its way to the company's API.

    Attributes:
        key: The import's id and the hash of its output: another output is another submission.
        remaining: Seconds that the invocation has left.
        is_begun: An earlier process may have sent the batch after the last remembered one.
    """

    api: CommercialApi
    http: OutsideHttp
    token: str
    key: str
    remaining: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep
    is_begun: bool = False

    def run(self, records: Iterable[bytes], *, done: int, reference: str, remember: Remember) -> str:
        """Hand over all batches after the first `done`, and return the API's reference.

        Args:
            records: Every record of the output, as JSON.
            done: Batches that are known to be there.
            reference: What the API called the first of them; empty for none.
            remember: Called after each batch.

        Raises:
            RetryableError: The API cannot take it now; run again with what was remembered and `is_begun`.
            PermanentError: The API refuses it.
        """
        for number, batch in enumerate(_cut(records, self.api.batch_size)):
            if number < done:
                continue
            is_doubtful = self.is_begun and number == done
            given = self._deliver(number, batch, reference, is_doubtful=is_doubtful)
            reference = reference or given
            remember(batches=number + 1, reference=reference)
        return reference

    def _deliver(self, number: int, batch: list[bytes], reference: str, *, is_doubtful: bool) -> str:
        """One batch; its reference."""
        key = f"{self.key}-{number}"
        for tried in range(_MAX_TRIES):
            if is_doubtful:
                known = self._ask(key)
                if known is not None:
                    return known
                is_doubtful = False
            try:
                answer = self._send("POST", self.api.url, key, self._body(key, batch, reference))
            except RetryableError as exc:
                is_doubtful = exc.is_outcome_unknown
                self._pause(tried, None, exc)
                continue
            if 200 <= answer.status < 300:
                return self._read_reference(answer) or key
            refused = RetryableError("commercial-api", f"the commercial API answered {answer.status}")
            if answer.status == 409:
                known = self._ask(key)
                if known is None:
                    raise PermanentError("submission-conflict", "the commercial API answered 409 to a new submission")
                return known
            if answer.status not in (408, 425, 429) and answer.status < 500:
                raise PermanentError("submission-refused", f"the commercial API answered {answer.status}")
            is_doubtful = answer.status != 429
            wait = read_retry_after(answer.headers)
            self._pause(tried, wait.total_seconds() if wait else None, refused)
        raise RetryableError("commercial-api", "the commercial API did not take a batch in several tries")

    def _ask(self, key: str) -> str | None:
        """The reference of a batch that the API has; None where it has never seen it.

        Raises:
            RetryableError: It does not say.
        """
        url = urlsplit(self.api.url)  # a tenant may stand in its query, behind which the key would be lost
        answer = self._send("GET", url._replace(path=f"{url.path.rstrip('/')}/{key}").geturl(), key, None)
        if 200 <= answer.status < 300:
            return self._read_reference(answer) or key
        if answer.status == 404:
            return None
        raise RetryableError(
            "commercial-api-unclear",
            f"the commercial API answered {answer.status} when asked about a submission: nothing is sent twice",
        )

    def _pause(self, tried: int, asked: float | None, error: RetryableError) -> None:
        wait = _PAUSES[min(tried, len(_PAUSES) - 1)] if asked is None else asked
        if tried == _MAX_TRIES - 1 or wait > _LONGEST_WAIT or self.remaining() < wait + _LEAST_SECONDS:
            raise error
        self.sleep(wait)

    def _send(self, method: str, url: str, key: str, body: bytes | None) -> OutsideAnswer:
        headers = {"accept": "application/json", "idempotency-key": key, "user-agent": "Parley"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        return self.http.request(
            method,
            url,
            hosts=frozenset((self.http.check_url(self.api.url),)),
            headers=headers,
            body=body,
            seconds=self.api.timeout_seconds,
        )

    def _body(self, key: str, batch: list[bytes], reference: str) -> bytes:
        about = {"idempotencyKey": key, self.api.reference_field: reference or None}
        head = json.dumps({name: value for name, value in about.items() if value is not None})
        return b"%b,%b:[%b]}" % (head[:-1].encode(), orjson.dumps(self.api.records_field), b",".join(batch))

    def _read_reference(self, answer: OutsideAnswer) -> str:
        try:
            value = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            return ""
        found = value.get(self.api.reference_field) if isinstance(value, dict) else None
        return str(found)[:_MAX_REFERENCE] if isinstance(found, str | int) and found != "" else ""


def _cut(records: Iterable[bytes], batch_size: int) -> Iterator[list[bytes]]:
    """Batches that are the same each time."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        if batch and (len(batch) == batch_size or size + len(record) > _MAX_BODY_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield batch
