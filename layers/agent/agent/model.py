"""The model's API, spoken through the openai package's own client: the only importer of `openai` and `httpx2`.

Both are imported on first use (about 400 ms), so that whoever needs the types alone does not pay for them.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Self

from agent.model_errors import ModelFault, ModelTimeoutError, read_retry_after
from agent.model_json import JsonObject
from agent.model_requests import Dialect
from agent.model_speech import Recording, Transcript, read_transcript
from agent.model_stream import read_answer
from agent.model_values import Finished, ModelEvents, ModelRequest
from core.errors import PermanentError, RetryableError
from core.models import ApiKind

if TYPE_CHECKING:
    import httpx2
    import openai

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 60.0  # of silence; a model that reasons may say nothing for a while
_CONNECTIONS = 64  # conversations that one function may stream at once, and then some
_KEEP_ALIVE_SECONDS = 50.0  # under the 60 s after which load balancers commonly close an idle connection
_DRAIN_SECONDS = 0.25  # for the last bytes after the answer, so that the connection can serve the next turn
_QUICK_RETRY_SECONDS = 2.0  # a longer wait is the queue's business: here it would hold up a Lambda
_JITTER_SECONDS = (0.1, 0.5)
_TRANSCRIPT_BYTES = 1024 * 1024
_TRANSCRIPTIONS = "/audio/transcriptions"
_PATHS = {ApiKind.RESPONSES: "/responses", ApiKind.CHAT: "/chat/completions"}


class OpenAIModel:
    """Streams answers from OpenAI, Azure OpenAI or any server with a compatible API. Safe to share between threads."""

    def __init__(self, *, api_key: Callable[[], str], base_url: str, read_seconds: float = _READ_SECONDS) -> None:
        """Name the API; nothing is imported or connected yet.

        Args:
            api_key: Called for each request, so that a rotated key is in use without a cold start.
            base_url: Up to and including the version, as in `https://api.openai.com/v1`.
            read_seconds: How long the model may be silent.
        """
        self._api_key = api_key
        self._base_url = base_url
        self._read_seconds = read_seconds
        self._dialect = Dialect(base_url)
        self._lock = threading.Lock()
        self._client: openai.OpenAI | None = None

    @classmethod
    def prewarmed(cls, api_key: Callable[[], str], base_url: str) -> Self:
        """A model whose vendor package is imported and whose client is built during the cold start."""
        model = cls(api_key=api_key, base_url=base_url)
        model.prewarm()
        return model

    def prewarm(self) -> None:
        """Import the vendor's package and build its client now, while nobody waits."""
        self._get_client()

    def close(self) -> None:
        """Close the kept-alive connections; the next request would open new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def stream(self, request: ModelRequest, *, seconds: float) -> ModelEvents:
        """Ask the model; yields the answer's text as it arrives and one `Finished` with the calls as the last event.

        A failure that will likely pass at once is retried once, as long as no text was yielded. Closing the iterator
        ends the call.

        Args:
            request: What to ask.
            seconds: Time limit of everything, retry and streaming included.

        Raises:
            RetryableError: `model-timeout`, `model-rate-limited` (with `retry_after` where the API says it),
                `model-unavailable`, `model-unreachable`, `model-stream-broken`.
            PermanentError: `model-quota`, `model-unauthorized`, `model-unknown`, `context-too-long`, `model-request`,
                `model-flood`.
        """
        deadline = time.monotonic() + seconds
        is_yielded = False
        try:
            for event in self._attempt(request, deadline):
                is_yielded = True
                yield event
        except RetryableError as exc:
            wait = _quick_wait(exc)
            if is_yielded or wait is None or time.monotonic() + wait >= deadline:
                raise
        else:
            return
        time.sleep(wait)
        yield from self._attempt(request, deadline)

    def transcribe(self, recording: Recording, *, seconds: float) -> Transcript:
        """What is said in a recording; asked once. Raises as `stream` does.

        Args:
            recording: What to write down.
            seconds: Time limit of everything.
        """
        deadline = time.monotonic() + seconds
        body: JsonObject = {"model": recording.model, "response_format": "json"}
        answer = self._post(_TRANSCRIPTIONS, body, deadline, file=recording.form)
        if isinstance(answer, ModelFault):
            raise answer.as_error()
        with closing(answer), _cut_off(answer, deadline - time.monotonic()):
            read = bytearray()
            for chunk in _read_chunks(answer, deadline):
                read += chunk
                if len(read) > _TRANSCRIPT_BYTES:
                    raise PermanentError("model-flood", "the model API's transcript is too long")
        return read_transcript(bytes(read))

    def _attempt(self, request: ModelRequest, deadline: float) -> ModelEvents:
        response = self._open(request, deadline)
        if isinstance(response, Finished):
            yield response
            return
        with closing(response), _cut_off(response, deadline - time.monotonic()):
            chunks = _read_chunks(response, deadline)
            request_id = response.headers.get("x-request-id")
            for event in read_answer(request.api_kind, chunks, model=request.model, request_id=request_id):
                if isinstance(event, Finished):
                    _drain(response, chunks)
                yield event

    def _open(self, request: ModelRequest, deadline: float) -> "httpx2.Response | Finished":
        """The answer's head once the API has accepted the request; the end where its filter has not."""
        while True:
            body = self._dialect.write(request)
            answer = self._post(_PATHS[request.api_kind], body, deadline)
            if not isinstance(answer, ModelFault):
                return answer
            if answer.is_filtered:
                return Finished("content_filter", None, request.model, answer.request_id)
            # An older deployment, a proxy or the model may not take a parameter. It ends: what is left out is not sent
            # again.
            parameter = answer.refused_parameter
            if parameter is None or parameter not in body or not self._dialect.leave_out(parameter, request.model):
                raise answer.as_error()

    def _post(
        self, path: str, body: JsonObject, deadline: float, *, file: tuple[str, bytes, str] | None = None
    ) -> "httpx2.Response | ModelFault":
        import httpx2
        import openai

        client = self._get_client()
        left = deadline - time.monotonic()
        if left <= 0:
            raise ModelTimeoutError("no time is left to ask the model")
        connect, read = min(_CONNECT_SECONDS, left), min(self._read_seconds, left)
        # The first header is how the package's own `with_streaming_response` asks for an unread answer.
        headers = {"X-Stainless-Raw-Response": "stream"}
        headers |= {"Content-Type": "multipart/form-data"} if file else {"Accept": "text/event-stream"}
        try:
            return client.post(
                path,
                cast_to=httpx2.Response,
                body=body,
                files={"file": file} if file else None,
                options={
                    "headers": headers,
                    "timeout": httpx2.Timeout(connect=connect, read=read, write=read, pool=connect),
                },
            )
        # `from None`: the vendor's error holds the answer's body and the request with its key and its prompt.
        except openai.APIStatusError as exc:
            return _read_fault(exc)
        except openai.APITimeoutError as exc:
            if isinstance(exc.__cause__, httpx2.ConnectTimeout):
                raise RetryableError("model-unreachable", "the model API takes no connection in time") from None
            raise ModelTimeoutError("the model API gave no answer in time") from None
        except openai.APIConnectionError:
            raise RetryableError("model-unreachable", "no connection to the model API") from None

    def _get_client(self) -> "openai.OpenAI":
        with self._lock:
            if self._client is None:
                self._client = self._build_client()
            return self._client

    def _build_client(self) -> "openai.OpenAI":
        import httpx2
        import openai

        limits = httpx2.Limits(
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
        )
        # No redirects: a prompt goes where ops said. No environment: proxies and the like are settings, if ever.
        http_client = httpx2.Client(limits=limits, follow_redirects=False, trust_env=False)
        return openai.OpenAI(api_key=self._read_key, base_url=self._base_url, max_retries=0, http_client=http_client)

    def _read_key(self) -> str:
        key = self._api_key().strip()
        if not key or not key.isascii() or not key.isprintable():
            # Sent as it is it would fail deep in the HTTP client, with the key in the error's text.
            raise PermanentError(
                "model-unauthorized", "the model's key is empty or not printable ASCII: set its secret"
            )
        return key


def _read_fault(exc: "openai.APIStatusError") -> ModelFault:
    headers = {name.lower(): value for name, value in exc.response.headers.items()}
    return ModelFault(
        status=exc.status_code,
        code=exc.code,
        kind=exc.type if isinstance(exc.type, str) else None,
        param=exc.param if isinstance(exc.param, str) else None,
        retry_after=read_retry_after(headers),
        request_id=exc.request_id,
    )


def _quick_wait(exc: RetryableError) -> float | None:
    """Seconds after which one more try makes sense here and now; None where it does not."""
    jitter = random.uniform(*_JITTER_SECONDS)  # noqa: S311 - spreads load, hides nothing
    if isinstance(exc, ModelTimeoutError) or (exc.code == "model-rate-limited" and exc.retry_after is None):
        return None
    asked = exc.retry_after.total_seconds() if exc.retry_after else 0.0
    return asked + jitter if asked <= _QUICK_RETRY_SECONDS else None


def _read_chunks(response: "httpx2.Response", deadline: float) -> Iterator[bytes]:
    """The body as it arrives; a connection that breaks and a limit that passes are our errors."""
    import httpx2

    try:
        yield from response.iter_bytes()
    except httpx2.ReadTimeout:
        raise ModelTimeoutError("the model fell silent for too long") from None
    except (
        httpx2.HTTPError,
        httpx2.StreamError,
        OSError,
    ):  # OSError: TLS ends in some errors that httpx2 leaves as they are
        if time.monotonic() < deadline:
            raise RetryableError("model-stream-broken", "the connection to the model broke off") from None
    if time.monotonic() >= deadline:
        raise ModelTimeoutError("the model's answer took longer than its time limit")


@contextmanager
def _cut_off(response: "httpx2.Response", seconds: float) -> Iterator[None]:
    """Ends `response` after `seconds`, even while a read waits: the client's own limits hold for one read only."""
    connection = response.extensions["network_stream"].get_extra_info("socket")
    timer = threading.Timer(max(seconds, 0), _shut_down, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # closed already
        # Not the TLS socket's own method: that one drops its TLS state under a reader's feet.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _drain(response: "httpx2.Response", chunks: Iterator[bytes]) -> None:
    """Read what follows the answer: only a connection that was read to its end is used again."""
    with _cut_off(response, _DRAIN_SECONDS), suppress(RetryableError):
        for _ in chunks:
            pass
