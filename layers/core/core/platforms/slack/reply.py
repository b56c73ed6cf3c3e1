"""One answer on its way into Slack: streamed where Slack streams, else posted and edited; whole in the end.

https://docs.slack.dev/reference/methods/chat.startStream. A stream that Slack refuses, loses or ends becomes ordinary
edits of the same message. A message is posted again only after looking whether an earlier call posted it unseen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from core.errors import PermanentError, RetryableError, ServiceError
from core.platforms import Posted, ReplyTarget
from core.platforms.slack.api import SlackApi, SlackRefusedError
from core.platforms.slack.blocks import Block
from core.platforms.slack.format import defuse, held_back
from core.platforms.slack.thread import MARKDOWN, SECTION_LIMIT, TEXT, Thread
from core.splitting import Cut, cut, size, split

_APPEND_SECONDS = 1.0  # Slack allows about 100 appends a minute
_EDIT_SECONDS = 1.2  # Slack allows 50 edits a minute
_AFTER_FAULT_SECONDS = 2.0
# A stream dies after about 300 seconds: from the first on a line's end is awaited to go on in a new message, at the
# second any border will do.
_ROTATION_DUE_SECONDS = 240.0
_ROTATION_OVERDUE_SECONDS = 280.0
_ROTATION_DUE_SIZE = 10_000  # characters; Slack refuses what makes a streamed message longer than 12,000
_SMALLEST_LIMIT = 400  # characters; what is too long even so has another reason
_MAX_CHANGES = 12  # of dialect, limit or lost messages while one text is delivered
_EMPTY = "…"  # Slack takes no empty message

_TOO_LONG = frozenset({"msg_too_long", "msg_blocks_too_long"})
_BAD_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format"})
_NO_MARKDOWN = _BAD_BLOCKS | frozenset({"no_text", "invalid_arguments", "invalid_arg_name", "markdown_text_conflict"})
_NOT_EDITABLE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_STREAM_OVER = "message_not_in_streaming_state"
_STILL_STREAMING = "streaming_state_conflict"


@dataclass(frozen=True, slots=True)
class Buttons:
    """What stands around an answer: below it while it arrives, above it in a stream, below it in the end."""

    arriving: list[Block] = field(default_factory=list)
    streaming: list[Block] = field(default_factory=list)
    finished: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class _Message:
    """A message of ours and what it says, None where that is not known; `below` are its buttons."""

    id: str
    shown: str | None = None
    below: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class _Stream:
    """The open stream: when it began, how much of the current part went into it, and how that looked."""

    id: str
    started_at: float
    sent: int
    text: str


class SlackReply:
    """An answer that is being delivered into one thread or direct message."""

    def __init__(
        self,
        api: SlackApi,
        target: ReplyTarget,
        *,
        posted: Posted,
        monotonic: Callable[[], float],
        buttons: Buttons | None = None,
        part: str | None = "",
    ) -> None:
        has_blocks = buttons is not None
        self._buttons = buttons or Buttons()
        self._below = self._buttons.arriving
        self._thread = Thread(api, target, part=part, has_blocks=has_blocks)
        self._text_limit = SECTION_LIMIT if has_blocks else TEXT.limit
        self._posted = posted
        self._monotonic = monotonic
        self._messages = [_Message(message_id) for message_id in target.outgoing_ids]
        self._must_look = part is not None and bool(target.outgoing_ids or target.search_from)
        can_stream = self._thread.can_stream
        self._is_native = can_stream and not target.outgoing_ids and part == ""
        self._dialect = MARKDOWN if can_stream else TEXT
        self._limit = MARKDOWN.limit if can_stream else self._text_limit
        self._stream: _Stream | None = None
        self._maybe_open = target.outgoing_ids[-1] if can_stream and target.outgoing_ids else None
        self._raw = ""
        self._done: list[str] = []  # parts that stand, as Markdown
        self._done_text = ""  # the answer's beginning that is in them
        self._carry = ""  # the fence that the next part opens again
        self._next_at = -math.inf
        self._is_recording = False  # while `posted` runs: what it raises is not Slack's
        self._finished: str | None = None

    @property
    def outgoing_ids(self) -> tuple[str, ...]:
        """Ids of the platform messages posted so far, in order."""
        return tuple(message.id for message in self._messages)

    def append(self, text: str) -> None:
        """Show more of the answer: the first piece at once, later ones about once a second.

        A failure of Slack's is no error yet: what could not be shown is shown later, or by `finish`.
        """
        self._raw = (self._raw + _clean(text)) if self._raw else _clean(text).lstrip()
        if self._monotonic() < self._next_at or not self._raw:
            return
        self._is_recording = False
        pause = 0.0
        try:
            self._show()
        except RetryableError as exc:
            if self._is_recording:
                raise
            pause = exc.retry_after.total_seconds() if exc.retry_after else _AFTER_FAULT_SECONDS
        except PermanentError:
            if self._is_recording:
                raise
            pause = math.inf  # `finish` tries once more and says why
        self._next_at = self._monotonic() + max(pause, _APPEND_SECONDS if self._stream else _EDIT_SECONDS)

    def finish(self, text: str) -> tuple[str, ...]:
        """Make Slack show exactly `text`, whole, and return the ids of the messages that hold it.

        Raises:
            RetryableError: Slack cannot take it now; calling again, also with the recorded ids, continues.
            PermanentError: Slack will never take it: the token is revoked or the channel is closed.
        """
        text = _clean(text).strip()
        if text == self._finished:
            return self.outgoing_ids
        self._finished = None
        self._thread.is_patient = True
        self._is_recording = False
        try:
            self._conclude(text)
        except RetryableError as exc:
            if self._is_recording or not exc.is_outcome_unknown:
                raise
            self._conclude(text)  # it may have been done: look, or edit, which is harmless twice
        self._finished = text
        return self.outgoing_ids

    def _show(self) -> None:
        self._look()
        if self._is_native:
            try:
                self._stream_on()
            except SlackRefusedError as exc:
                self._leave_stream(exc.word)
            else:
                return
        self._deliver(self._raw)

    def _conclude(self, text: str) -> None:
        self._look()
        self._below = self._buttons.finished
        stream = self._stream
        if stream is not None:
            streamed = len(self._done_text) + stream.sent - len(self._carry)
            try:
                if text.startswith(self._raw[:streamed]):
                    self._raw = text
                    self._finish_stream(stream)
                else:
                    self._leave_stream("")
            except SlackRefusedError as exc:
                self._leave_stream(exc.word)
        self._is_native = False
        count = self._deliver(text)
        self._remove_after(count)

    def _look(self) -> None:
        """Take over messages that an earlier try posted without anybody having written down their ids."""
        if not self._must_look:
            return
        try:
            found = self._thread.find_own(self.outgoing_ids)
        except SlackRefusedError:
            found = []  # no right to look: an answer that may stand twice is better than none
        self._must_look = False
        if found:
            self._is_native = False
            self._maybe_open = found[-1] if self._thread.can_stream else None
            self._messages += [_Message(message_id) for message_id in found]
            self._record()

    def _record(self, *, is_new: bool = False) -> None:
        """Have the ids noted; a message just made that nobody noted is taken back, for nobody would ever end it."""
        self._is_recording = True
        try:
            self._posted(self.outgoing_ids)
        except ServiceError:
            if is_new:
                self._withdraw()
            raise
        self._is_recording = False

    def _withdraw(self) -> None:
        message = self._messages.pop()
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                self._thread.stop_stream(message.id)
            self._thread.delete(message.id)
        except ServiceError:
            return  # a successor finds it, if there is one

    def _add(self, make: Callable[[], str], shown: str, below: list[Block] | None = None) -> str:
        """The id of a message just made, which is to be recorded before anything else is sent."""
        try:
            message_id = make()
        except RetryableError as exc:
            self._must_look = self._must_look or exc.is_outcome_unknown
            raise
        self._messages.append(_Message(message_id, shown, below or []))
        return message_id

    def _stream_on(self) -> None:
        """Bring the stream up to date, going on in a new message as often as it takes."""
        while True:
            current = self._carry + self._raw[len(self._done_text) :]
            ready = current[: len(current) - held_back(current)].rstrip()
            sent = self._stream.sent if self._stream else len(self._carry)
            if len(ready) <= sent or not ready[len(self._carry) :].strip():
                return
            found = self._rotation(ready, sent)
            head = found.head if found else ready
            self._feed(head, sent=found.end if found else len(ready), is_last=found is not None)
            if found is None:
                return
            self._advance(found)

    def _rotation(self, ready: str, sent: int) -> Cut | None:
        """Where the streamed message ends and a new one goes on, None while it need not."""
        age = self._monotonic() - self._stream.started_at if self._stream else 0.0
        length = size(ready)
        if length <= _ROTATION_DUE_SIZE and age < _ROTATION_DUE_SECONDS:
            return None
        is_overdue = length > self._limit or age >= _ROTATION_OVERDUE_SECONDS
        if not is_overdue and "\n" not in ready[sent:]:
            return None
        return cut(ready, self._limit, defuse, at_least=max(sent, len(self._carry) + 1), goes_on=True)

    def _feed(self, part: str, *, sent: int, is_last: bool, below: list[Block] | None = None) -> None:
        """Let the streamed message say `part`; with `is_last` it ends there, with the blocks `below` it."""
        shown = defuse(part)
        stream, above = self._stream, self._buttons.streaming
        below = None if above else below  # what stands above is to go: an edit does both
        try:
            if stream is None:
                started_at = self._monotonic()
                message_id = self._add(partial(self._thread.start_stream, shown, above), shown)
                stream = self._stream = _Stream(message_id, started_at, sent, shown)
                self._record(is_new=True)
                if is_last:
                    self._thread.stop_stream(stream.id, below=below)
            elif not shown.startswith(stream.text):
                raise SlackRefusedError("chat.appendStream", "streamed_text_changed")
            elif is_last:
                self._thread.stop_stream(stream.id, shown[len(stream.text) :], below)
            else:
                self._thread.append_stream(stream.id, shown[len(stream.text) :])
        except RetryableError as exc:
            if exc.is_outcome_unknown and self._stream is not None:
                self._leave_stream("")  # the piece may be there: only an edit cannot double it
            raise
        stream.sent, stream.text, self._messages[-1].shown = sent, shown, shown
        if is_last:
            self._stream = None
            self._messages[-1].shown = None if above else shown
            self._messages[-1].below = below or []

    def _advance(self, found: Cut) -> None:
        """Count a part as done and go on after it."""
        self._done.append(found.head)
        self._done_text = self._raw[: len(self._done_text) + found.end - len(self._carry)]
        self._carry = found.carry

    def _finish_stream(self, stream: _Stream) -> None:
        current = self._carry + self._raw[len(self._done_text) :]
        if size(defuse(current)) <= self._limit:
            self._feed(current, sent=len(current), is_last=True, below=self._below)
            return
        found = cut(current, self._limit, defuse, at_least=max(stream.sent, len(self._carry) + 1))
        self._feed(found.head, sent=found.end, is_last=True)
        self._advance(found)

    def _leave_stream(self, word: str) -> None:
        """Go on with edits; `word` is why Slack refused, where it did."""
        self._is_native = False
        if self._stream is not None:
            self._maybe_open = None if word == _STREAM_OVER else self._stream.id
            self._messages[-1].shown = None
            self._stream = None
        elif not self._messages:
            self._use_text()  # a Slack that offers no streams may know no Markdown either

    def _deliver(self, text: str) -> int:
        """Make the messages say `text`; how many it takes. What stood behind them is left alone."""
        if self._maybe_open is not None:
            self._close_stream(self._maybe_open)
            self._maybe_open = None
        for _ in range(_MAX_CHANGES):
            parts = self._parts(text)
            try:
                if self._put(parts):
                    return len(parts)
            except SlackRefusedError as exc:
                self._adapt(exc)
        raise RetryableError("slack-inconsistent", "Slack keeps refusing what it accepted before")

    def _close_stream(self, message_id: str) -> None:
        try:
            self._thread.stop_stream(message_id)
        except (SlackRefusedError, RetryableError):
            return  # it is no stream any more, or the edit that follows finds out

    def _parts(self, text: str) -> list[str]:
        if self._done and text.startswith(self._done_text):
            rest = text[len(self._done_text) :]
            return self._done + (split(self._carry + rest, self._limit, self._dialect.render) if rest.strip() else [])
        return split(text, self._limit, self._dialect.render)

    def _put(self, parts: list[str]) -> bool:
        """Edit and post until each part has its message; False where a message is lost and it has to start again."""
        for place, part in enumerate(parts):
            shown = self._dialect.render(part) if part.strip() else _EMPTY
            below = self._below if place == len(parts) - 1 else []
            if place >= len(self._messages):
                self._add(partial(self._thread.post, self._dialect, shown, below), shown, below)
                self._record(is_new=True)
                continue
            message = self._messages[place]
            if (message.shown, message.below) != (shown, below) and not self._edit(message, shown, below):
                return False
        return True

    def _edit(self, message: _Message, shown: str, below: list[Block]) -> bool:
        message.shown = None
        try:
            self._thread.edit(message.id, self._dialect, shown, below)
        except SlackRefusedError as exc:
            if exc.word == _STILL_STREAMING:
                self._thread.stop_stream(message.id)
                return False
            if exc.word not in _NOT_EDITABLE:
                raise
            self._messages.remove(message)  # somebody deleted it: its text goes into another one
            self._record()
            return False
        message.shown, message.below = shown, below
        return True

    def _adapt(self, exc: SlackRefusedError) -> None:
        """Change what Slack refused, or raise it."""
        if exc.word in _BAD_BLOCKS and self._below:
            self._buttons, self._below = Buttons(), []  # an answer without buttons is an answer
        elif exc.word in _TOO_LONG and self._limit > _SMALLEST_LIMIT:
            self._limit //= 2
        elif exc.word in _NO_MARKDOWN and self._dialect is MARKDOWN:
            self._use_text()
        else:
            raise exc
        self._done, self._done_text, self._carry = [], "", ""

    def _use_text(self) -> None:
        self._dialect = TEXT
        self._limit = min(self._limit, self._text_limit)

    def _remove_after(self, count: int) -> None:
        surplus = self._messages[count:]
        for message in reversed(surplus):
            self._thread.delete(message.id)
            self._messages.remove(message)
        if surplus:
            self._record()


def _clean(text: str) -> str:
    """`text` without halves of characters, which no request can carry."""
    return text.encode("utf-8", "replace").decode()
