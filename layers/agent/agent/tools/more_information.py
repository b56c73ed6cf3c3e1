"""Looking something up before answering: the person's own earlier conversations."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from agent.tools import ToolContext, ToolResult
from core.configuration import SearchConversationsTool
from core.models import Conversation, Message, Role, ToolType
from core.store import Store

_MOST_CONVERSATIONS = 30  # the latest; each is one Query
_MOST_FOUND = 8
_AROUND = 400  # characters of a message that are shown
_WORD = re.compile(r"\w{2,}")
_SECONDS_KEPT = 2.0


class SearchConversations:
    """Finds what the person asked and was told before. Nobody else's conversations are looked at."""

    type = ToolType.OBTAIN_MORE_INFORMATION
    is_write = False

    def __init__(self, definition: SearchConversationsTool, *, store: Store) -> None:
        self.name = definition.name
        self.description = definition.description
        self.timeout_seconds = definition.timeout_seconds
        self.parameters: Mapping[str, Any] = {
            "type": "object",
            "properties": {"words": {"type": "string", "minLength": 2, "maxLength": 200, "description": "Key words."}},
            "required": ["words"],
            "additionalProperties": False,
        }
        self._store = store

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """The messages that hold most of the words, newest conversation first. Raises as `Tool.run` does."""
        wanted = {word.casefold() for word in _WORD.findall(arguments["words"])}
        found: list[tuple[int, Conversation, Message]] = []
        until = time.monotonic() + min(self.timeout_seconds, context.remaining()) - _SECONDS_KEPT
        for conversation in self._store.list_conversations(context.company_id, context.user_id, _MOST_CONVERSATIONS):
            if conversation.id == context.conversation_id:
                continue
            if time.monotonic() > until:
                break
            for message in self._store.list_messages(context.company_id, conversation.id):
                if message.role is Role.SYSTEM:
                    continue
                words = {word.casefold() for word in _WORD.findall(message.text)}
                if hits := len(wanted & words):
                    found.append((hits, conversation, message))
        best = sorted(found, key=lambda each: (each[0], each[2].created_at), reverse=True)[:_MOST_FOUND]
        return ToolResult(text=_tell(best) if best else "No earlier conversation holds these words.")


def _tell(found: Sequence[tuple[int, Conversation, Message]]) -> str:
    lines = []
    for _, conversation, message in found:
        who = "the person" if message.role is Role.USER else "you"
        text = " ".join(message.text.split())[:_AROUND]
        lines.append(f"- {message.created_at:%Y-%m-%d}, in “{conversation.title}”, {who}: {text}")
    return "\n".join(lines)
