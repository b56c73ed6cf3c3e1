"""The place of one answer in Slack: what can be posted, streamed, edited and found there."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from core.errors import RetryableError
from core.platforms import ReplyTarget
from core.platforms.slack.api import Json, SlackApi, SlackRefusedError
from core.platforms.slack.blocks import Block, text_blocks
from core.platforms.slack.format import defuse, to_mrkdwn

_METADATA = "parley_answer"
_PAGE = "100"
_MAX_PAGES = 5  # of messages newer than the question; more than a few is a very busy thread
_LONGEST_SUMMARY = 300  # characters: what a notification shows of a message that is made of blocks


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a message's text is handed to Slack: the argument's name, how it is made, how long it may be."""

    argument: str
    render: Callable[[str], str]
    limit: int


# Slack's limit is 12,000 characters in one call and, in practice, in one message; some room for what it counts itself.
MARKDOWN = Dialect("markdown_text", defuse, 11_500)
# Slack recommends 4,000 and refuses longer texts when a message is edited; entities count as they are written.
TEXT = Dialect("text", to_mrkdwn, 3_900)
SECTION_LIMIT = 2_950  # of a text that stands in a block, which Slack allows 3,000 characters


class Thread:
    """Calls of the Web API for one answer. Every message carries which question it answers, for a later search.

    `part` tells what else belongs to the same question from its answer: an approval, a file. With None messages are
    edited and keep what they carry.
    """

    def __init__(self, api: SlackApi, target: ReplyTarget, *, part: str | None = "", has_blocks: bool = False) -> None:
        self._api = api
        self._target = target
        self._part = part
        self._has_blocks = has_blocks  # then every message is made of them: an edit keeps the blocks it does not name
        payload = {"in_reply_to": target.in_reply_to} | ({"part": part} if part else {})
        metadata = {"event_type": _METADATA, "event_payload": payload}
        self._metadata: dict[str, object] = {} if part is None else {"metadata": metadata}
        self._is_in_chunks = False
        self.is_patient = False  # whether a short rate limit is waited for

    @property
    def can_stream(self) -> bool:
        """Whether Slack streams here at all: only into threads."""
        return bool(self._target.address.thread_id)

    def post(self, dialect: Dialect, text: str, below: list[Block]) -> str:
        """The id of a new message."""
        said = self._say(dialect, text, below)
        return self._make("chat.postMessage", {**said, **self._metadata, "unfurl_links": False, "unfurl_media": False})

    def edit(self, message_id: str, dialect: Dialect, text: str, below: list[Block]) -> None:
        """Let a message say `text`, with the blocks `below` it, and nothing else."""
        self._change("chat.update", message_id, {**self._say(dialect, text, below), **self._metadata})

    def _say(self, dialect: Dialect, text: str, below: list[Block]) -> dict[str, object]:
        if not self._has_blocks:
            return {dialect.argument: text}
        blocks = [*text_blocks(text, is_markdown=dialect is MARKDOWN), *below]
        return {"blocks": blocks, "text": defuse(text[:_LONGEST_SUMMARY])}

    def delete(self, message_id: str) -> None:
        """Remove a message; where that is not allowed, leave next to nothing in it."""
        try:
            self._change("chat.delete", message_id, {})
        except SlackRefusedError as exc:
            if exc.word != "message_not_found":
                self._change("chat.update", message_id, {"text": "…"})

    def start_stream(self, markdown: str, above: list[Block]) -> str:
        """The id of a new message that can be appended to."""
        address = self._target.address
        arguments: dict[str, object] = {"markdown_text": markdown}
        self._is_in_chunks = bool(above)
        if above:
            arguments = {"chunks": [{"type": "blocks", "blocks": above}, _chunk(markdown)]}
        if not address.is_direct:
            arguments["recipient_user_id"] = self._target.external_user_id
            arguments["recipient_team_id"] = self._target.external_user_workspace_id or address.workspace_id
        return self._make("chat.startStream", arguments)

    def append_stream(self, message_id: str, markdown: str) -> None:
        """Add to a streamed message."""
        self._change("chat.appendStream", message_id, self._piece(markdown))

    def _piece(self, markdown: str) -> dict[str, object]:
        """A stream that began with chunks goes on with chunks."""
        return {"chunks": [_chunk(markdown)]} if self._is_in_chunks else {"markdown_text": markdown}

    def stop_stream(self, message_id: str, markdown: str = "", below: list[Block] | None = None) -> None:
        """Add the last piece, if there is one, and the blocks `below` it, and end the stream."""
        last = self._piece(markdown) if markdown else {}
        if below:
            last["blocks"] = below
        self._change("chat.stopStream", message_id, {**last, **self._metadata})

    def find_own(self, known: Collection[str]) -> list[str]:
        """Messages of this answer that are not `known`: an earlier try posted them and died before recording them.

        A message that says which question it answers is taken for this one only. A stream that never ended says
        nothing: of those the oldest is taken, where nobody else can be streaming here.
        """
        target = self._target
        since = max([target.search_from or target.in_reply_to, *known])
        found: list[str] = []
        unsaid: list[str] = []
        own_id = self._api.own_user_id()
        for message in self._newer_than(since):
            ts = message.get("ts")
            if message.get("user") != own_id or not isinstance(ts, str) or ts <= since:
                continue
            if ts in target.answered_ids or not self._is_here(message, ts):
                continue
            question = _question_of(message)
            if question is None:
                unsaid.append(ts)
            elif question == (target.in_reply_to, self._part):
                found.append(ts)
        return sorted(found) or (sorted(unsaid)[:1] if target.is_alone and not self._part else [])

    def _is_here(self, message: Mapping[str, object], ts: str) -> bool:
        return message.get("thread_ts") in ((self._target.address.thread_id,) if self.can_stream else (None, "", ts))

    def _newer_than(self, since: str) -> list[Json]:
        address = self._target.address
        arguments = {"channel": address.channel_id, "oldest": since, "limit": _PAGE, "include_all_metadata": "true"}
        method = "conversations.history"
        if address.thread_id:
            method = "conversations.replies"
            arguments["ts"] = address.thread_id
        messages: list[Json] = []
        for _ in range(_MAX_PAGES):
            answer = self._api.read(method, arguments, is_patient=self.is_patient)
            page = answer.get("messages")
            messages += [each for each in page if isinstance(each, dict)] if isinstance(page, list) else []
            metadata = answer.get("response_metadata")
            cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else None
            if not isinstance(cursor, str) or not cursor:
                break
            arguments["cursor"] = cursor
        return messages

    def _make(self, method: str, arguments: Mapping[str, object]) -> str:
        address = self._target.address
        thread = {"thread_ts": address.thread_id} if address.thread_id else {}
        answer = self._api.call(
            method, {"channel": address.channel_id, **thread, **arguments}, is_patient=self.is_patient
        )
        ts = answer.get("ts")
        if not isinstance(ts, str):
            raise RetryableError(
                "answer-malformed", f"Slack's answer to {method} names no message", is_outcome_unknown=True
            )
        return ts

    def _change(self, method: str, message_id: str, arguments: Mapping[str, object]) -> None:
        channel_id = self._target.address.channel_id
        self._api.call(method, {"channel": channel_id, "ts": message_id, **arguments}, is_patient=self.is_patient)


def _chunk(markdown: str) -> dict[str, object]:
    return {"type": "markdown_text", "text": markdown}


def _question_of(message: Mapping[str, object]) -> tuple[str, str] | None:
    """The question a message says it answers, and which part of the answer it is; None where it does not say."""
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != _METADATA:
        return None
    payload = metadata.get("event_payload")
    if not isinstance(payload, dict):
        return None
    question, part = payload.get("in_reply_to"), payload.get("part", "")
    return (question, part) if isinstance(question, str) and isinstance(part, str) else None
