"""One answer on its way into Teams: streamed in personal chats, elsewhere posted once it is whole.

https://learn.microsoft.com/microsoftteams/platform/bots/streaming-ux. A stream that Teams refuses, ends or loses is
finished by editing its message; one that its reader stopped stays as it is. Bots cannot read a conversation: a message
whose posting had no answer is not posted again by the same delivery, and by the next one only because silence would be
worse than saying it twice.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from core.errors import PermanentError, RetryableError, ServiceError
from core.platforms import Posted, ReplyStoppedError, ReplyTarget
from core.platforms.teams import cards
from core.platforms.teams.api import STREAM_STOPPED, TOO_BIG, Json, TeamsApi, TeamsRefusedError, conversation_id
from core.platforms.teams.format import measure, to_teams, to_teams_so_far
from core.splitting import split

# Teams takes about 100 KB of UTF-16 in an activity, older clouds 28 KB: so much of that for the text.
_LIMIT = 12_000  # UTF-16 units as JSON writes them; 24 KB
_SMALLEST_LIMIT = 500
_PIECE_SECONDS = 1.5  # Teams allows one a second and advises to wait longer
_TYPING_SECONDS = 4.0  # for so long the dots are shown
_STREAM_SECONDS = 105.0  # Teams ends a stream after two minutes
_AFTER_FAULT_SECONDS = 3.0
_EMPTY = "…"  # Teams takes no empty message


@dataclass(slots=True)
class _Message:
    """A message of ours and what it says, None where that is not known."""

    id: str
    shown: str | None = None


@dataclass(slots=True)
class _Stream:
    """The open stream: its message, what it shows, and how many pieces that took."""

    message: _Message
    started_at: float
    text: str
    sequence: int = 1


class TeamsReply:
    """An answer that is being delivered into one conversation."""

    def __init__(self, api: TeamsApi, target: ReplyTarget, *, posted: Posted, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._target = target
        self._posted = posted
        self._monotonic = monotonic
        self._messages = [_Message(message_id) for message_id in target.outgoing_ids]
        self._may_stream = target.address.is_direct and not target.outgoing_ids
        self._stream: _Stream | None = None
        self._maybe_open = target.address.is_direct and bool(target.outgoing_ids)
        self._limit = _LIMIT
        self._raw = ""
        self._next_at = -math.inf
        self._noted = target.outgoing_ids
        self._finished: str | None = None
        self._is_stopped = False  # by the reader: Teams lets nobody change what was streamed until then

    @property
    def outgoing_ids(self) -> tuple[str, ...]:
        """Ids of the platform messages posted so far, in order."""
        return tuple(message.id for message in self._messages)

    def append(self, text: str) -> None:
        """Show more of the answer: as a stream in a personal chat, elsewhere that it is being written.

        A failure of Teams's is no error yet: what could not be shown is shown later, or by `finish`.

        Raises:
            ReplyStoppedError: The reader pressed Teams's Stop button, of which only the stream's next piece tells.
        """
        self._raw = (self._raw + clean(text)) if self._raw else clean(text).lstrip()
        if self._monotonic() < self._next_at or not self._raw:
            return
        pause = _TYPING_SECONDS
        try:
            if self._may_stream and (self._stream is not None or to_teams_so_far(self._raw).strip()):
                self._stream_on()
                pause = _PIECE_SECONDS
            else:
                self._call("POST", (), {"type": "typing"})
        except RetryableError as exc:
            pause = exc.retry_after.total_seconds() if exc.retry_after else _AFTER_FAULT_SECONDS
            # A stream may have begun that nobody knows the id of: not another one.
            self._may_stream = self._may_stream and not (exc.is_outcome_unknown and self._stream is None)
        except TeamsRefusedError as exc:
            self._may_stream = False
            if exc.word == STREAM_STOPPED:
                self._is_stopped = True
                raise ReplyStoppedError("reply-stopped", "the reader stopped the stream") from exc
        except PermanentError:
            pause = math.inf  # `finish` tries once more and says why
        self._next_at = self._monotonic() + pause
        self._record()

    def finish(self, text: str) -> tuple[str, ...]:
        """Make Teams show exactly `text`, whole, and return the ids of the messages that hold it.

        Raises:
            RetryableError: Teams cannot take it now; calling again, also with the recorded ids, continues.
            PermanentError: Teams will never take it: the secret is revoked or the conversation is closed.
        """
        text = clean(text).strip()
        if text == self._finished or self._is_stopped:
            return self.outgoing_ids
        self._finished = None
        while True:
            parts = split(text, self._limit, to_teams, measure)
            try:
                self._put([to_teams(part) if part.strip() else _EMPTY for part in parts])
                break
            except TeamsRefusedError as exc:
                if exc.word == STREAM_STOPPED:
                    self._is_stopped = True
                    return self.outgoing_ids
                if exc.word != TOO_BIG or self._limit <= _SMALLEST_LIMIT:
                    raise
                self._limit //= 2
        self._remove_after(len(parts))
        self._finished = text
        return self.outgoing_ids

    def _record(self) -> None:
        """Have the ids noted; a message just made that nobody noted is taken back, for nobody would ever end it."""
        if self._noted == self.outgoing_ids:
            return
        try:
            self._posted(self.outgoing_ids)
        except ServiceError:
            for message in [each for each in self._messages if each.id not in self._noted]:
                self._drop(message)
                self._messages.remove(message)
            raise
        self._noted = self.outgoing_ids

    def _stream_on(self) -> None:
        stream, shown = self._stream, to_teams_so_far(self._raw)
        if stream is None:
            started_at = self._monotonic()
            if measure(shown) > self._limit:
                self._may_stream = False
                return
            made = self._api_id(self._call("POST", (), cards.stream_piece(shown, None, 1)))
            message = _Message(made, shown)
            self._messages.append(message)
            self._stream = _Stream(message, started_at, shown)
            return
        is_late = self._monotonic() - stream.started_at > _STREAM_SECONDS
        if is_late or measure(shown) > self._limit:
            self._may_stream = False  # what is shown stays; `finish` writes the rest
            self._end_stream(stream, stream.text, has_feedback=False)
            return
        if not shown.startswith(stream.text) or shown == stream.text:
            return
        stream.sequence += 1
        self._call("POST", (), cards.stream_piece(shown, stream.message.id, stream.sequence))
        stream.text = shown

    def _end_stream(self, stream: _Stream, text: str, *, has_feedback: bool) -> None:
        """Make the stream a message. Whatever comes of it, from then on the message is edited."""
        self._stream, stream.message.shown = None, None
        self._maybe_open = True
        self._call("POST", (), cards.stream_end(text, stream.message.id, has_feedback=has_feedback), is_patient=True)
        self._maybe_open, stream.message.shown = False, text

    def _put(self, parts: list[str]) -> None:
        """Edit and post until each part has its message; a message that somebody deleted is posted anew."""
        last = len(parts) - 1
        stream = self._stream
        if stream is not None and parts[0].startswith(stream.text):
            try:
                self._end_stream(stream, parts[0], has_feedback=self._has_feedback(is_last=last == 0))
            except TeamsRefusedError as exc:
                if exc.word in (TOO_BIG, STREAM_STOPPED):
                    raise
            except RetryableError as exc:
                if not exc.is_outcome_unknown:
                    raise
        for place, part in enumerate(parts):
            made = cards.answer(part, has_feedback=self._has_feedback(is_last=place == last))
            if place < len(self._messages) and (
                self._messages[place].shown == part or self._edit(self._messages[place], part, made)
            ):
                continue
            posted = self._api_id(self._call("POST", (), made, is_patient=True))
            self._messages[place : place + 1] = [_Message(posted, part)]
            self._record()

    def _has_feedback(self, *, is_last: bool) -> bool:
        return is_last and bool(self._target.feedback_reference)

    def _edit(self, message: _Message, shown: str, made: Json) -> bool:
        """Let a message say `shown`; False where it is gone, or had to go."""
        self._close_stream(message)
        try:
            self._call("PUT", (message.id,), made, is_patient=True)
        except TeamsRefusedError as exc:
            if exc.word == TOO_BIG:
                raise
            if exc.status != 404 and not self._end_earlier(message, shown):
                self._drop(message)
                return False
            if exc.status == 404:
                return False
        message.shown = shown
        return True

    def _end_earlier(self, message: _Message, shown: str) -> bool:
        """Whether the message was an earlier try's stream, still open: it takes no edit, but an end."""
        if not self._maybe_open:
            return False
        self._maybe_open = False
        try:
            end = cards.stream_end(shown, message.id, has_feedback=self._has_feedback(is_last=True))
            self._call("POST", (), end, is_patient=True)
        except TeamsRefusedError as exc:
            if exc.word == STREAM_STOPPED:
                raise
            return False
        return True

    def _drop(self, message: _Message) -> None:
        with suppress(ServiceError):
            self._call("DELETE", (message.id,), is_patient=True)

    def _close_stream(self, message: _Message) -> None:
        """End the stream of a message whose text turned out another than what was streamed: then it can be edited."""
        stream = self._stream
        if stream is None or stream.message is not message:
            return
        with suppress(ServiceError):  # it has ended already, or the edit that follows finds out
            self._end_stream(stream, stream.text, has_feedback=False)

    def _remove_after(self, count: int) -> None:
        surplus = self._messages[count:]
        for message in reversed(surplus):
            try:
                self._call("DELETE", (message.id,), is_patient=True)
            except TeamsRefusedError as exc:
                if exc.status != 404:
                    self._call("PUT", (message.id,), cards.message(_EMPTY), is_patient=True)
            self._messages.remove(message)
        if surplus:
            self._record()

    def _call(
        self, method: str, activity: tuple[str, ...], payload: Json | None = None, *, is_patient: bool = False
    ) -> Json:
        path = (conversation_id(self._target.address), "activities", *activity)
        return self._api.call(method, self._target.reply_url, path, payload, is_patient=is_patient)

    def _api_id(self, answer: Json) -> str:
        made = answer.get("id")
        if not isinstance(made, str) or not made:
            raise RetryableError("answer-malformed", "the connector names no message", is_outcome_unknown=True)
        return made


def clean(text: str) -> str:
    """`text` without halves of characters, which no request can carry."""
    return text.encode("utf-8", "replace").decode()
