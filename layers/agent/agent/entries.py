"""What a turn writes: the conversation's opening, the question, the task and the reply, as values."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from agent.attachments import safe_name
from agent.digests import make_digests
from agent.handing_on import took_before
from agent.model_values import ModelMessage
from agent.prices import PRICE_VERSION
from core.configuration import Input, Limits, Settings
from core.events import MessageReceived
from core.models import (
    ApiKind,
    ContentPart,
    ContentType,
    Conversation,
    Message,
    Role,
    Task,
    TaskStatus,
    ToolUsage,
    Usage,
    User,
)
from core.prompts import PromptManifest
from core.store import Entity, Opening, keys

_TITLE_CHARACTERS = 80
_ABOUT_QUOTE = "(The person asks about this message without adding anything: say what it means and what to do.)"
_NO_TEXT = "(The person mentioned you without writing anything.)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the model gave, and how long it took (milliseconds).

    Attributes:
        text: The answer; of a fixed shape as JSON, where `is_json`.
        raw: What the model wrote, word for word.
        usage: What all model calls of the task took; None where the server does not say.
        cost: What they cost in US dollars; None where one of them has no known price.
    """

    text: str
    raw: str
    is_json: bool = False
    finish_reason: str
    usage: Usage | None
    cost: Decimal | None
    model: str
    request_id: str | None
    time_to_first_token_ms: int
    duration_ms: int


def default_settings(model: str, api_kind: ApiKind, *, created_at: datetime) -> Settings:
    """The AI configuration of a company that has none of its own: the deployed model and the prompt in this room."""
    return Settings(
        id="default",
        company_id="",
        version=0,
        name="Default",
        model=model,
        api_kind=api_kind,
        prompt=(Path(__file__).parent / "prompts" / "default.md").read_text(encoding="utf-8"),
        created_at=created_at,
    )


def make_input(settings: Settings) -> Input:
    """The configuration as a new conversation keeps it."""
    return Input(
        settings_id=settings.id,
        settings_version=settings.version,
        prompts=(settings.prompt,),
        tools=settings.tools,
        output_configuration=settings.output_configuration,
        model=settings.model,
        fallback_model=settings.fallback_model,
        api_kind=settings.api_kind,
        temperature=settings.temperature,
        transcription_model=settings.transcription_model,
        limits=settings.limits,
    )


def make_opening(message: MessageReceived, user: User, *, text: str, input_hash: str, session_id: str) -> Opening:
    """What the conversation is created with, if it does not exist yet."""
    address = message.address
    return Opening(
        user_id=user.id,
        title=" ".join(text.split())[:_TITLE_CHARACTERS],
        entity_type="DIRECT_MESSAGE" if address.is_direct else "CHANNEL",
        entity_id=f"{address.platform}:{address.workspace_id}:{address.channel_id}",
        session_id=session_id,
        address=address,
        input=input_hash,
    )


def read_question(message: MessageReceived, text: str) -> str:
    """What was written, below the message it is about; where nothing was written, what was attached, by name."""
    written = text or ", ".join(f"[{safe_name(file.name)}]" for file in message.files)
    if not message.quoted_text:
        return written or _NO_TEXT
    quote = "\n".join(f"> {line}" for line in message.quoted_text.splitlines())
    return f"{quote}\n\n{written or _ABOUT_QUOTE}"


def make_system_message(opening: Opening, *, conversation_id: str, ulid: str, prompt: str, now: datetime) -> Message:
    """The first message of a conversation: its instructions."""
    message_id = keys.message_id(conversation_id, keys.opening_ulid(ulid))
    return Message(
        id=message_id,
        llm_conversation_id=conversation_id,
        role=Role.SYSTEM,
        entity_type=opening.entity_type,
        entity_id=opening.entity_id,
        user_id=opening.user_id,
        content=(_text_part(prompt, message_id),),
        created_at=now,
    )


def make_question(
    message: MessageReceived,
    conversation: Conversation,
    *,
    user_id: str,
    ulid: str,
    text: str,
    parent_id: str | None,
    language: str | None,
    edited_at: datetime | None = None,
) -> Message:
    """What the person wrote, as it is stored before the model is asked; about what the conversation is about."""
    message_id = keys.message_id(conversation.id, ulid)
    return Message(
        id=message_id,
        llm_conversation_id=conversation.id,
        external_message_id=message.external_message_id,
        parent_message_id=parent_id,
        role=Role.USER,
        user_prompt=message.text,
        structured_user_prompt=text,
        llm_task_id=keys.task_id(conversation.id, ulid),
        entity_type=conversation.entity_type,
        entity_id=conversation.entity_id,
        language=language,
        user_id=user_id,
        content=(_text_part(text, message_id),),
        edited_at=edited_at,
        created_at=message.sent_at,
    )


def make_task(question: Message, input_: Input, manifest: PromptManifest, *, now: datetime) -> Task:
    """The run of the model for `question`, as it starts."""
    return Task(
        id=question.llm_task_id or "",
        llm_conversation_id=question.llm_conversation_id,
        message_id=question.id,
        status=TaskStatus.IN_PROGRESS,
        llm_settings_id=f"{input_.settings_id}:v{input_.settings_version}",
        llm_raw_prompt=manifest.model_dump_json(by_alias=True, exclude_defaults=True),
        model=input_.model,
        created_at=now,
        updated_at=now,
    )


def hash_prompt(messages: Sequence[ModelMessage]) -> str:
    """What proves that a prompt was rendered again as it was."""
    plain = [_plain(message) for message in messages]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def _plain(message: ModelMessage) -> list[object]:
    calls = [[call.call_id, call.name, call.arguments] for call in message.calls]
    tools = [calls, message.call_id] if calls or message.call_id else []
    return [message.role, message.text, *tools, *(image.url for image in message.images)]


def make_reply(
    question: Message,
    answered: Answered,
    *,
    used: Sequence[ToolUsage] = (),
    entity: Entity | None = None,
    outgoing_ids: tuple[str, ...],
    now: datetime,
    notice: str | None = None,
) -> Message:
    """The answer to `question`, above a `notice` of our own; its key follows the question's: there is only one.

    It carries in short what the tools `used` for it gave, and is about the `entity` that they named.
    """
    message_id = keys.message_id(question.llm_conversation_id, keys.reply_ulid(keys.ulid_of(question.id)))
    return Message(
        id=message_id,
        llm_conversation_id=question.llm_conversation_id,
        parent_message_id=question.id,
        role=Role.ASSISTANT,
        llm_parsed_output=answered.text,
        llm_task_id=question.llm_task_id,
        entity_type=entity.type if entity else question.entity_type,
        entity_id=entity.id if entity else question.entity_id,
        language=question.language,
        user_id=question.user_id,
        content=(_answer_part(answered, message_id), *([_text_part(notice, message_id)] if notice else [])),
        outgoing_ids=outgoing_ids,
        finish_reason=answered.finish_reason,
        tool_digests=make_digests(used),
        created_at=now,
    )


def renew_session(conversation: Conversation, limits: Limits, new_id: Callable[[str], str]) -> str | None:
    """Another session's id where nothing was said for long enough; None where the session goes on."""
    idle = limits.session_idle_minutes
    last = conversation.last_turn_at
    is_over = idle is not None and last is not None and conversation.updated_at - last > timedelta(minutes=idle)
    return new_id("ses") if is_over else None


def complete_task(task: Task, answered: Answered, *, now: datetime) -> Task:
    """`task` with what the run gave. Token counts stay None where the provider sent none."""
    return task.model_copy(
        update={
            "status": TaskStatus.COMPLETED,
            "llm_raw_output": answered.raw,
            "llm_structured_output": answered.text,
            **_count(answered.usage, answered.cost),
            "model": answered.model or task.model,
            "provider_request_id": answered.request_id,
            "time_to_first_token_ms": answered.time_to_first_token_ms,
            "duration_ms": answered.duration_ms + took_before(task),
            "error_class": None,
            "error_message": None,
            "updated_at": now,
        }
    )


def make_stopped(said: str, task: Task, finish_reason: str) -> Answered:
    """What stands of an answer that somebody stopped, or that nobody approved."""
    return Answered(
        text=said.rstrip(),
        raw=said,
        finish_reason=finish_reason,
        usage=None,
        cost=None,
        model=task.model or "",
        request_id=None,
        time_to_first_token_ms=0,
        duration_ms=0,
    )


def count_spent(task: Task, usage: Usage | None, cost: Decimal | None) -> Task:
    """`task` with the tokens and the cost of the model calls that ended, though the task itself came to nothing."""
    return task.model_copy(update=_count(usage, cost))


def fail_task(task: Task, *, code: str, reason: str, now: datetime) -> Task:
    """`task` as failed, with why; one that is tried anew some day has all its time again."""
    failed = {"status": TaskStatus.FAILED, "error_class": code, "error_message": reason, "updated_at": now}
    return task.model_copy(update={**failed, "hand_overs": None})


def usage_of(task: Task) -> Usage | None:
    """The tokens that a task took; None where nobody said."""
    if task.total_tokens is None:
        return None
    return Usage(
        input_tokens=task.total_input_tokens or 0,
        output_tokens=task.total_output_tokens or 0,
        total_tokens=task.total_tokens,
        cached_tokens=task.cached_tokens or 0,
        reasoning_tokens=task.reasoning_tokens or 0,
    )


def _count(usage: Usage | None, cost: Decimal | None) -> dict[str, object]:
    if usage is None:
        return {}
    return {
        "total_input_tokens": usage.input_tokens,
        "total_output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost": cost,
        "price_version": PRICE_VERSION if cost is not None else None,
    }


def _text_part(text: str, message_id: str) -> ContentPart:
    return ContentPart(type=ContentType.TEXT, text=text, message_id=message_id)


def _answer_part(answered: Answered, message_id: str) -> ContentPart:
    if not answered.is_json:
        return _text_part(answered.text, message_id)
    value = json.loads(answered.text)
    json_value = value if isinstance(value, dict) else {"value": value}
    return ContentPart(type=ContentType.JSON, json_value=json_value, message_id=message_id)
