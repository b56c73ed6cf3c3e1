"""Whatever fails, and wherever the process dies: in the end the thread holds the answer once, whole."""

import re
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import RetryableError
from core.platforms import Connection, Reply
from core.platforms.slack import adapter
from local.fake_slack import Failure, FailureMode, FakeSlack
from tests.unit.platforms.slack.stage import Clock, DiedError, Stage

_STREAM_METHODS = ["chat.appendStream", "chat.stopStream"]
_METHODS = ["chat.startStream", *_STREAM_METHODS, "chat.postMessage", "chat.update", "chat.delete"]
_MAX_TRIES = 40

_lost_answers = st.builds(
    Failure,
    method=st.sampled_from([*_METHODS, "conversations.replies", "auth.test"]),
    error=st.sampled_from(["internal_error", "service_unavailable"]),
    mode=st.sampled_from([FailureMode.ANSWER, FailureMode.DROP, FailureMode.HTML]),
    times=st.integers(1, 2),
    skip=st.integers(0, 3),
    effect_first=st.booleans(),
)
_rate_limits = st.builds(
    Failure,
    method=st.sampled_from([*_METHODS, "conversations.replies"]),
    error=st.just("ratelimited"),
    retry_after=st.sampled_from([None, 1, 20]),
    times=st.integers(1, 5),
    skip=st.integers(0, 3),
)
_ended_streams = st.builds(
    Failure,
    method=st.sampled_from(_STREAM_METHODS),
    error=st.sampled_from(["message_not_in_streaming_state", "msg_too_long", "some_new_error"]),
    skip=st.integers(0, 3),
)
_failures = _lost_answers | _rate_limits | _ended_streams
_pieces = st.lists(
    st.sampled_from(
        ["word ", "a sentence. ", "\n\n", "```py\n", "\n```\n", "<!channel> ", "**bold** ", "line\n" * 700, "日本 "]
    ),
    max_size=12,
)


@dataclass
class _Try:
    """One process at work on the answer."""

    pieces: list[str]
    pauses: list[float]
    dies_at: int | None  # the recording at which the process ends
    recorded: list[tuple[str, ...]] = field(default_factory=list)

    def record(self, ids: tuple[str, ...]) -> None:
        if self.dies_at is not None and len(self.recorded) >= self.dies_at:
            raise DiedError
        self.recorded.append(ids)

    def run(self, reply: Reply, clock: Clock) -> tuple[str, ...] | None:
        """The ids of the whole answer; None where the process did not get that far."""
        try:
            for piece, pause in zip(self.pieces, self.pauses, strict=True):
                reply.append(piece)
                clock.pass_by(pause)
            return reply.finish("".join(self.pieces))
        except (RetryableError, DiedError):
            return None


_tries = st.builds(
    lambda pieces, pause, dies_at: _Try(pieces, [pause] * len(pieces), dies_at),
    _pieces,
    st.sampled_from([0.1, 1.5, 40.0, 330.0]),
    st.sampled_from([None, None, 0, 1]),
)


def _words(text: str) -> str:
    """What has to be there once: everything but white space, fences and the marks of bold."""
    plain = text.replace("\u200b", "").replace("&lt;", "<").replace("&gt;", ">")
    return re.sub(r"\s+|```(py)?|\*", "", plain)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_tries, min_size=1, max_size=3), st.lists(_failures, max_size=5), st.booleans())
def test_answer_stands_once_and_whole(
    connection: Connection, tries: list[_Try], failures: list[Failure], is_streaming_offered: bool
) -> None:
    clock = Clock()
    with FakeSlack(clock=clock.wall) as slack:
        stage = Stage(slack, adapter.connect(_at(connection, slack, clock)), clock)
        if not is_streaming_offered:
            slack.disable("chat.startStream")
        for failure in failures:
            slack.fail(replace(failure))
        question = stage.ask()
        recorded: tuple[str, ...] = ()
        ids = None
        last = _Try(["The final ", "words."], [1.0, 1.0], None)
        for number, attempt in enumerate([*tries, *[last] * _MAX_TRIES]):
            reply = stage.reply(
                question, ids=recorded, search_from=question if number and not recorded else None, posted=attempt.record
            )
            ids = attempt.run(reply, clock)
            recorded = attempt.recorded[-1] if attempt.recorded else recorded
            if ids is not None:
                break
            clock.pass_by(60)
        messages = stage.answers(question)
        assert ids == tuple(message.ts for message in messages)
        text = "".join(attempt.pieces).strip()
        expected = _words(text) if text else "…"
        assert _words("".join(message.text for message in messages)) == expected
        assert not any(message.is_streaming or message.is_expired for message in messages)
        assert not any("<!channel>" in message.text for message in messages)


def _at(connection: Connection, slack: FakeSlack, clock: Clock) -> Connection:
    return replace(connection, options={"api_base_url": slack.base_url}, monotonic=clock.monotonic, sleep=clock.sleep)
