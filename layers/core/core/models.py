"""Domain values: what the rooms hand to each other. Frozen, validated, named as they are stored.

What a webhook needs of them, too, is in `core.values`, and handed on from here.
"""

import json
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from core.values import Address as Address
from core.values import ApiKind as ApiKind
from core.values import Time as Time
from core.values import Value as Value
from core.values import to_iso as to_iso


class ConversationStatus(StrEnum):
    """CREATED → IN_PROGRESS → STREAMING → COMPLETED | FAILED | CANCELED; a new message leads back to IN_PROGRESS."""

    CREATED = "CREATED"
    IN_PROGRESS = "IN_PROGRESS"
    STREAMING = "STREAMING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class TaskStatus(StrEnum):
    """PENDING → IN_PROGRESS → STREAMING → COMPLETED | FAILED | CANCELED."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    STREAMING = "STREAMING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class Role(StrEnum):
    """Who a message is from: `system` for prompts and tool results, `user` for people, `assistant` for replies."""

    SYSTEM = "system"
    ASSISTANT = "assistant"
    USER = "user"


class ContentType(StrEnum):
    """What a content part holds."""

    TEXT = "text"
    IMAGE = "image"
    JSON = "JSON"


class Company(Value):
    """A tenant of ours.

    `retention_days` is for how many whole days what its people say is kept; None keeps it until somebody deletes it.
    """

    id: str
    name: str
    retention_days: int | None = Field(default=None, ge=1, le=3650)
    created_at: Time


class User(Value):
    """A person in a company's directory."""

    id: str
    company_id: str
    email: str
    name: str
    enabled: bool = True
    created_at: Time


class Identity(Value):
    """Who a platform's user is in our directory.

    `user_id` is None for a person whom no directory entry matched; `refused_for` then names the platform message that
    was answered with the refusal, so that it is said once.
    """

    company_id: str
    platform: str
    workspace_id: str
    external_user_id: str
    user_id: str | None = None
    email: str | None = None
    refused_for: str | None = None
    created_at: Time


class Installation(Value):
    """A workspace that belongs to a company. The bot token is in Secrets Manager under `secret_name`, never here."""

    id: str
    company_id: str
    platform: str
    workspace_id: str
    enabled: bool = True
    settings: dict[str, Any] = Field(default_factory=dict)  # JSON whose shape the platform's adapter validates
    secret_name: str
    status: str = "ACTIVE"
    token_expires_at: Time | None = None  # of a token that is rotated
    rotating_until: Time | None = None  # somebody exchanges it now
    created_at: Time
    updated_at: Time


class ToolType(StrEnum):
    """A flow of the company, a third-party HTTP API, another AI configuration, or a way to find something out."""

    ACTION_FLOW = "ACTION_FLOW"
    TPA = "TPA"
    AI = "AI"
    OBTAIN_MORE_INFORMATION = "OBTAIN_MORE_INFORMATION"


class ToolStatus(StrEnum):
    """STARTED → COMPLETED | FAILED."""

    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class ImageReference(Value):
    """Where an image's bytes are."""

    url: str
    media_type: str
    size: int


class ContentPart(Value):
    """One part of a message, in order: a text, an image, or JSON."""

    type: ContentType
    text: str | None = None
    image: ImageReference | None = None
    json_value: dict[str, Any] | None = Field(default=None, alias="JSON")
    message_id: str


class Usage(Value):
    """Tokens that one or more model calls took. `cached` is part of `input`, `reasoning` part of `output`."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class ApprovalStatus(StrEnum):
    """WAITING → APPROVED | DENIED | CANCELED (stopped) | EXPIRED."""

    WAITING = "WAITING"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class Approval(Value):
    """What a call waits for, and what was decided. The first decision stands.

    Attributes:
        user_id: Who asked; may decide, as may `approvers` (user ids or e-mail addresses).
        message: The MessageReceived to be delivered again, as JSON; empty once the call has its result.
        message_ids: Platform messages of the question with the buttons.
        asked_alone: By channel, the messages in which approvers were asked alone; empty before those are known.
    """

    status: ApprovalStatus = ApprovalStatus.WAITING
    user_id: str
    approvers: tuple[str, ...] = ()
    until: Time
    message: str = ""
    message_ids: tuple[str, ...] = ()
    asked_alone: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    decided_by: str | None = None
    decided_at: Time | None = None


class ToolUsage(Value):
    """One use of a tool: what was asked of it and what it gave. Written before its result is used.

    Attributes:
        call_id: The model's id of the call, unique within the task.
        step: Which model call of the turn asked for it, from 0.
        place: Which of its step's calls it is, from 0.
        under: The use by which a sub-agent was asked that asks for this one, as `place_of_use` says; empty: none.
        said: What the model said in that step beside its calls; with the step's first use.
        step_usage: The tokens of that step, so that a successor counts them; with the step's first use.
        spent: What a sub-agent's model calls took, those of its own sub-agents included; `spent_cost` is their cost.
        request: The arguments, as JSON.
        response: What the model was told, as text.
        idempotency_key: The same for every try of this call, and sent along with it.
        edition: When the question was edited that this was for; None for the question as it was asked.
    """

    name: str
    call_id: str
    type: ToolType | None = None  # None: the model named a tool that does not exist
    under: str = ""
    step: int = 0
    place: int = 0
    said: str = ""
    step_usage: Usage | None = None
    spent: Usage | None = None
    spent_cost: Decimal | None = None
    request: str
    response: str | None = None
    message_id: str  # of the question
    status: ToolStatus
    started_at: Time
    duration_ms: int | None = None
    idempotency_key: str
    error: str | None = None
    approval: Approval | None = None
    edition: Time | None = None

    @property
    def place_of_use(self) -> str:
        """Where it stands among all uses for its question: `001000`, below it `001000#000002`."""
        return f"{self.under}#{self.step:03}{self.place:03}".removeprefix("#")


class ToolDigest(Value):
    """A use of a tool in short, as later turns remember it; `request` is empty where it was too long."""

    name: str
    request: str = ""
    response: str


class Conversation(Value):
    """A conversation (LLMConversation) as it stands in the table.

    `title` is empty until its first question, `summary_until` the ULID of the last message that its summary covers, and
    `last_turn_at` when its last turn ended or, before that, when it was made.
    """

    id: str
    user_id: str
    user_company_id: str
    title: str = ""
    entity_type: str
    entity_id: str | None = None
    session_id: str
    conversation_source: str
    address: Address
    status: ConversationStatus
    input: str  # content hash of its Input
    message_count: int = 0
    total_input_tokens: int = 0
    total_output_tokens: int = 0
    total_tokens: int = 0
    total_cost: Decimal | None = None
    cancel_requested: bool = False
    stop_before: Time | None = None  # what was asked before and still waits is not answered
    current_task_id: str | None = None
    streaming_task_id: str | None = None  # whose answer is arriving; None while none is
    outgoing_ids: tuple[str, ...] = ()  # platform messages of the answer that is arriving
    fencing_token: int = 0
    lease_until: Time | None = None
    summary_until: str | None = None
    rewritten_at: Time | None = None  # when a question in it was last edited or deleted
    last_turn_at: Time | None = None
    created_at: Time
    updated_at: Time


def _read_part(part: ContentPart) -> str:
    if part.json_value is not None:
        return json.dumps(part.json_value, ensure_ascii=False, indent=2)
    return part.text or ""


# Why a reply ends that no model ended.
STOPPED = "canceled"  # somebody said stop
UNDECIDED = "undecided"  # nobody approved or denied a call in time


class Message(Value):
    """One message of a conversation (LLMConversationMessage) with its content parts."""

    id: str
    llm_conversation_id: str
    external_message_id: str | None = None
    parent_message_id: str | None = None
    role: Role
    user_prompt: str | None = None
    structured_user_prompt: str | None = None
    llm_parsed_output: str | None = None
    llm_task_id: str | None = None
    entity_type: str
    entity_id: str | None = None
    language: str | None = None
    user_id: str
    content: tuple[ContentPart, ...] = ()
    outgoing_ids: tuple[str, ...] = ()
    finish_reason: str | None = None
    tool_digests: tuple[ToolDigest, ...] = ()  # of a reply: the uses of tools that it rests on
    edited_at: Time | None = None  # the person changed it then; the platform's time
    deleted_at: Time | None = None  # the person took it back then; its text is erased
    created_at: Time

    @property
    def text(self) -> str:
        """What is read of this message: its text and JSON parts, joined. A question's JSON is our note on its files."""
        is_question = self.role is Role.USER
        read = (part for part in self.content if not (is_question and part.type is ContentType.JSON))
        return "\n".join(filter(None, map(_read_part, read)))


class Feedback(Value):
    """What a person thinks of an answer: one word of each person, the last one said, with a comment or without."""

    message_id: str  # of the answer
    user_id: str
    value: Literal["up", "down"]
    comment: str | None = None
    created_at: Time


class Task(Value):
    """One run of the model for one message (LLMTask). Tokens and cost include its sub-agents', whose parent it is."""

    id: str
    llm_conversation_id: str
    message_id: str
    parent_task_id: str | None = None
    status: TaskStatus
    llm_settings_id: str
    llm_raw_prompt: str | None = None  # a PromptManifest as JSON: the prompt is rendered again on demand
    llm_structured_prompt: str | None = None
    llm_raw_output: str | None = None
    llm_structured_output: str | None = None
    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: Decimal | None = None  # None where the price is unknown, never 0
    price_version: str | None = None
    model: str | None = None
    provider_request_id: str | None = None
    time_to_first_token_ms: int | None = None
    duration_ms: int | None = None
    attempt: int = 1
    hand_overs: int | None = None  # of a running turn to later deliveries; duration_ms is what it took until then
    error_class: str | None = None
    error_message: str | None = None
    outgoing_ids: tuple[str, ...] = ()  # platform messages of its failure notice, to be edited by a redrive
    created_at: Time
    updated_at: Time
