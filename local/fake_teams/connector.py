"""The connector API: activities posted, streamed, edited and deleted, and members read.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference and
https://learn.microsoft.com/microsoftteams/platform/bots/streaming-ux
"""

import json
from collections.abc import Mapping

from local.fake_teams.state import Posted, TeamsState

STREAM_SECONDS = 120.0
_STREAM_PAUSE = 0.999  # seconds between two pieces; a clock of floats may miss a second by a hair
MAX_BYTES = 100 * 1024  # of an activity, encoded as UTF-16


class ConnectorError(Exception):
    """A refusal, as the connector words it."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message or code


class Connector:
    """The API for one bot; who calls was checked before."""

    def __init__(self, state: TeamsState, bot_id: str, *, stream_seconds: float) -> None:
        self._state = state
        self._bot_id = bot_id
        self._stream_seconds = stream_seconds
        self.is_streaming_allowed = True
        self.cancelled: set[str] = set()  # streams that their reader ended

    def post(self, conversation: str, fields: Mapping[str, object]) -> tuple[int, dict[str, object]]:
        """A new activity, or the next piece of a stream."""
        self._check(conversation, fields)
        info = _stream_info(fields)
        if info is not None:
            return self._stream(conversation, dict(fields), info)
        if fields.get("type") == "typing":
            self._state.typing.append(conversation)
            self._state.touch()
            return 202, {}
        if fields.get("type") != "message":
            raise ConnectorError(400, "BadSyntax", "Unknown activity type")
        return 201, {"id": self._state.add(conversation, self._bot_id, dict(fields)).id}

    def put(self, conversation: str, activity_id: str, fields: Mapping[str, object]) -> tuple[int, dict[str, object]]:
        """Another content for a message."""
        self._check(conversation, fields)
        posted = self._find(conversation, activity_id)
        age = self._state.clock() - posted.started_at
        if posted.is_streaming and (age <= self._stream_seconds or posted.id in self.cancelled):
            raise ConnectorError(400, "BadRequest", "The message is being streamed")
        posted.fields, posted.is_streaming = dict(fields), False
        posted.edits += 1
        posted.change = self._state.touch()
        return 200, {"id": activity_id}

    def delete(self, conversation: str, activity_id: str) -> tuple[int, dict[str, object]]:
        """Remove a message."""
        posted = self._find(conversation, activity_id)
        posted.is_deleted = True
        posted.change = self._state.touch()
        return 200, {}

    def open(self, fields: Mapping[str, object]) -> tuple[int, dict[str, object]]:
        """The personal chat with one person; there is one, however often it is asked for."""
        members, bot = fields.get("members"), fields.get("bot")
        wanted = members[0].get("id") if isinstance(members, list) and len(members) == 1 else None
        member = self._state.find_member(wanted) if isinstance(wanted, str) else None
        if member is None or not isinstance(bot, dict) or bot.get("id") != self._bot_id or not fields.get("tenantId"):
            raise ConnectorError(400, "BadSyntax", "Incorrect conversation creation parameters")
        return 201, {"id": self._state.personal.setdefault(member.id, f"a:1personal-chat-of-{member.id}")}

    def member(self, conversation: str, user_id: str) -> tuple[int, dict[str, object]]:
        """Who somebody in the conversation is."""
        self._check(conversation, {})
        member = self._state.find_member(user_id)
        if member is None:
            raise ConnectorError(404, "MemberNotFoundInConversation")
        return 200, member.as_json()

    def _check(self, conversation: str, fields: Mapping[str, object]) -> None:
        if conversation in self._state.closed:
            code = self._state.closed[conversation]
            raise ConnectorError(404 if code == "ConversationNotFound" else 403, code)
        if len(json.dumps(fields, ensure_ascii=False).encode("utf-16-le")) > MAX_BYTES:
            raise ConnectorError(413, "MessageSizeTooBig", "RequestEntityTooLarge")

    def _find(self, conversation: str, activity_id: str) -> Posted:
        posted = self._state.activities.get(activity_id)
        if posted is None or posted.conversation != conversation or posted.is_deleted:
            raise ConnectorError(404, "ActivityNotFoundInConversation")
        return posted

    def _stream(
        self, conversation: str, fields: dict[str, object], info: Mapping[str, object]
    ) -> tuple[int, dict[str, object]]:
        if not self.is_streaming_allowed or not conversation.startswith("a:"):
            raise ConnectorError(403, "ContentStreamNotAllowed", "Content stream is not allowed")
        if not fields.get("text"):
            raise ConnectorError(400, "BadRequest", "Start streaming activities should include text")
        is_final, sequence = info.get("streamType") == "final", info.get("streamSequence")
        if is_final != (fields["type"] == "message") or is_final != (sequence is None):
            raise ConnectorError(400, "BadRequest", "Only end streaming type is allowed as a message activity")
        if not info.get("streamId"):
            if sequence != 1:
                raise ConnectorError(400, "BadRequest", "The sequence starts with 1")
            posted = self._state.add(conversation, self._bot_id, fields)
            posted.is_streaming, posted.sequence, posted.shown_at = True, 1, self._state.clock()
            return 201, {"id": posted.id}
        return self._continue(self._find(conversation, str(info["streamId"])), fields, sequence)

    def _continue(self, posted: Posted, fields: dict[str, object], sequence: object) -> tuple[int, dict[str, object]]:
        now = self._state.clock()
        if posted.id in self.cancelled:
            raise ConnectorError(403, "ContentStreamNotAllowed", "Content stream was canceled by user.")
        if not posted.is_streaming:
            message = "Content stream is not allowed on an already completed streamed message"
            raise ConnectorError(403, "ContentStreamNotAllowed", message)
        if now - posted.started_at > self._stream_seconds:
            message = "Content stream finished due to exceeded streaming time."
            raise ConnectorError(403, "ContentStreamNotAllowed", message)
        if not str(fields["text"]).startswith(posted.text):
            raise ConnectorError(400, "BadRequest", "Streamed content should contain the previously streamed content")
        if isinstance(sequence, int):
            if sequence <= posted.sequence:
                return 202, {}  # out of order: it is dropped
            if now - posted.shown_at < _STREAM_PAUSE:
                raise ConnectorError(429, "", "API calls quota exceeded")
            posted.sequence = sequence
        else:
            posted.is_streaming = False
        posted.fields, posted.shown_at = fields, now
        posted.change = self._state.touch()
        return 202, {}


def _stream_info(fields: Mapping[str, object]) -> Mapping[str, object] | None:
    entities = fields.get("entities")
    for each in entities if isinstance(entities, list) else []:
        if isinstance(each, dict) and each.get("type") == "streaminfo":
            return each
    return None
