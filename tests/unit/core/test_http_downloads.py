"""Answers that are read as they arrive: bounded in bytes and in time, and never taken for whole when they are not."""

import socket
import time

import pytest

from core.errors import RetryableError
from core.http import Http
from tests.unit.core.test_http import _FAR_TOO_LONG, _SECONDS, _answering, _raw, _serve, _shows_nothing

_LARGE = b"0123456789abcdef" * 65_536


def _read(url: str, *, seconds: float = 10.0, max_bytes: int = len(_LARGE)) -> tuple[int, list[bytes]]:
    with Http().download(url, headers={"authorization": "Bearer x"}, seconds=seconds, max_bytes=max_bytes) as answer:
        return answer.status, list(answer.pieces)


def test_an_answer_comes_in_small_pieces() -> None:
    with _serve(_answering("200 OK", _LARGE)) as server:
        status, pieces = _read(server.url)

    assert status == 200
    assert b"".join(pieces) == _LARGE
    assert max(map(len, pieces)) <= 65_536
    assert b"authorization: bearer x" in server.requests[0].lower()


def test_an_answer_that_is_longer_than_allowed_ends_in_an_error() -> None:
    with _serve(_answering("200 OK", _LARGE)) as server, pytest.raises(RetryableError) as raised:
        _read(server.url, max_bytes=len(_LARGE) - 1)

    assert raised.value.code == "answer-too-long"
    assert _shows_nothing(raised.value)


def test_an_answer_that_breaks_off_ends_in_an_error() -> None:
    def cut(sock: socket.socket) -> None:
        sock.sendall(_raw("200 OK", _LARGE)[:-1])
        sock.shutdown(socket.SHUT_RDWR)

    with _serve(cut) as server, pytest.raises(RetryableError) as raised:
        _read(server.url)

    assert raised.value.code == "no-answer"


def test_an_answer_that_drips_in_cannot_hold_us() -> None:
    with _serve(lambda sock: server.drip(sock, _raw("200 OK", b"x" * 3000))) as server:
        started = time.monotonic()
        with pytest.raises(RetryableError) as raised:
            _read(server.url, seconds=_SECONDS)

        assert time.monotonic() - started < _FAR_TOO_LONG
    assert raised.value.code == "no-answer"


@pytest.mark.parametrize(("status", "code"), [("429 Slow", "rate-limited"), ("503 Down", "server-error")])
def test_an_answer_that_says_to_come_again_holds_no_file(status: str, code: str) -> None:
    with _serve(_answering(status, b"a page", "Retry-After: 3")) as server, pytest.raises(RetryableError) as raised:
        _read(server.url)

    assert raised.value.code == code
    assert raised.value.retry_after is not None


def test_a_redirect_is_told_and_not_followed() -> None:
    with _serve(_answering("302 Found", b"", "Location: https://elsewhere.example/")) as server:
        status, pieces = _read(server.url)

    assert (status, pieces) == (302, [])
    assert len(server.requests) == 1
