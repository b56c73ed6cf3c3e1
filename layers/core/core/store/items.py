"""Every item of the table as a PynamoDB class, private to the store.

Keys are built in `keys`; each class says which it has. Attributes are stored under the camelCase names of the values
they come from. What is empty or a default is not stored: write units count bytes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

from pydantic.alias_generators import to_camel
from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from core.models import Value
from core.store.attributes import (
    DecimalAttribute,
    DocumentAttribute,
    DocumentsAttribute,
    InstantAttribute,
    TextsAttribute,
    TimeAttribute,
)

type RawItem = Mapping[str, Mapping[str, Any]]  # DynamoDB's JSON: {"title": {"S": "Hello"}}

_NOT_FIELDS = frozenset({"pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk", "ttl"})


def _text(name: str) -> UnicodeAttribute:
    return UnicodeAttribute(null=True, attr_name=name)


def _number(name: str) -> NumberAttribute:
    return NumberAttribute(null=True, attr_name=name)


def _time(name: str) -> TimeAttribute:
    return TimeAttribute(null=True, attr_name=name)


def _flag(name: str) -> BooleanAttribute:
    return BooleanAttribute(null=True, attr_name=name)


def _texts(name: str) -> TextsAttribute:
    return TextsAttribute(null=True, attr_name=name)


def _document(name: str) -> DocumentAttribute:
    return DocumentAttribute(null=True, attr_name=name)


class Item(Model):
    """The keys of the one table, and when an item is gone. The two indexes are sparse and hold keys alone."""

    pk = UnicodeAttribute(hash_key=True, attr_name="PK")
    sk = UnicodeAttribute(range_key=True, attr_name="SK")
    gsi1pk = _text("GSI1PK")
    gsi1sk = _text("GSI1SK")
    gsi2pk = _text("GSI2PK")
    gsi2sk = _text("GSI2SK")
    ttl = _number("ttl")

    apart: ClassVar[frozenset[str]] = frozenset()  # fields that the class's user encodes

    @classmethod
    def from_value(cls, value: Value, key: tuple[str, str], **more: object) -> Self:
        """The item that stores `value` under `key`, with `more` attributes."""
        given = {name: field for name, field in stored_fields(value).items() if name not in cls.apart}
        item = cls(*key)
        for name, field in {**given, **more}.items():
            if name not in cls.get_attributes():  # would be lost in silence
                raise NotImplementedError(cls.__name__, name)
            setattr(item, name, field)
        return item

    @classmethod
    def from_raw(cls, raw: RawItem) -> Self:
        """The item in an answer of DynamoDB."""
        return cls.from_raw_data(cast("dict[str, Any]", raw))  # PynamoDB reads it only, and asks for a dict

    def fields(self) -> dict[str, Any]:
        """What is stored, under the names of the value's fields; keys and ttl are left out."""
        return {
            name: field
            for name in self.get_attributes()
            if name not in _NOT_FIELDS and (field := getattr(self, name)) is not None
        }


def stored_fields(value: Value) -> dict[str, Any]:
    """The fields of a value that are worth storing: all but the empty ones whose default says the same."""
    stored = {}
    for name, field in type(value).model_fields.items():
        given = getattr(value, name)
        if given or given != field.get_default(call_default_factory=True):
            stored[name] = given
    return stored


def to_stored_name(name: str) -> str:
    """A field's name in the table."""
    return to_camel(name)


class CompanyItem(Item):
    """PK `C#co`, SK `#META`; GSI1 `C` by id."""

    id = _text("id")
    name = _text("name")
    retention_days = _number("retentionDays")
    created_at = _time("createdAt")


class UserItem(Item):
    """PK `C#co#P`, SK user; GSI1 `C#co#P` by e-mail."""

    id = _text("id")
    company_id = _text("companyId")
    email = _text("email")
    name = _text("name")
    enabled = _flag("enabled")
    created_at = _time("createdAt")


class EmailItem(Item):
    """PK `C#co#P#e-mail`, SK `#`: the e-mail address is this user's."""

    user_id = _text("userId")


class IdentityItem(Item):
    """PK `C#co#X#platform#workspace`, SK external user id; GSI1 `C#co#X`, GSI2 `C#co#X#U#user` where it is known."""

    company_id = _text("companyId")
    platform = _text("platform")
    workspace_id = _text("workspaceId")
    external_user_id = _text("externalUserId")
    user_id = _text("userId")
    email = _text("email")
    refused_for = _text("refusedFor")
    created_at = _time("createdAt")


class InstallationItem(Item):
    """PK `C#co#N`, SK `platform#workspace`."""

    id = _text("id")
    company_id = _text("companyId")
    platform = _text("platform")
    workspace_id = _text("workspaceId")
    enabled = _flag("enabled")
    settings = JSONAttribute(null=True, attr_name="settings")
    secret_name = _text("secretName")
    status = _text("status")
    created_at = _time("createdAt")
    token_expires_at = _time("tokenExpiresAt")
    rotating_until = _time("rotatingUntil")
    updated_at = _time("updatedAt")


class WorkspaceItem(Item):
    """PK `X#platform#workspace`, SK `#`: the workspace is this company's."""

    company_id = _text("companyId")


class OnceItem(Item):
    """PK `O#nonce`, SK `#`: a state that was used. Gone some time after its end."""


class SettingsItem(Item):
    """PK `C#co#S#id`, SK `v#nnnnnn`; GSI1 `C#co#S` by id, for the first version alone.

    What has parts of its own (tools, schema, limits) is one JSON text each.
    """

    apart = frozenset({"prompt", "tools", "output_configuration", "limits"})

    id = _text("id")
    company_id = _text("companyId")
    version = _number("version")
    name = _text("name")
    model = _text("model")
    fallback_model = _text("fallbackModel")
    api_kind = _text("apiKind")
    temperature = _number("temperature")
    transcription_model = _text("transcriptionModel")  # empty: recordings are not listened to
    prompt = _text("prompt")
    tools = _text("tools")
    output_configuration = _text("outputConfiguration")
    limits = _text("limits")
    created_at = _time("createdAt")
    overflow = _document("overflow")


class InputItem(Item):
    """PK `C#co#K#sha256`, SK `#`. Never changes. What has parts of its own is one JSON text each."""

    apart = frozenset({"prompts", "knowledge_base", "tools", "sub_agents", "output_configuration", "limits"})

    settings_id = _text("settingsId")
    settings_version = _number("settingsVersion")
    prompts = _text("prompts")
    knowledge_base = _text("knowledgeBase")
    tools = _text("tools")
    sub_agents = _text("subAgents")
    output_configuration = _text("outputConfiguration")
    model = _text("model")
    fallback_model = _text("fallbackModel")
    api_kind = _text("apiKind")
    temperature = _number("temperature")
    transcription_model = _text("transcriptionModel")
    limits = _text("limits")
    overflow = _document("overflow")


class ThreadItem(Item):
    """PK `C#co#H#platform#channel#thread`, SK `#`: the thread's conversation; `earlier` ones, the last one first."""

    earlier = _texts("earlier")
    conversation_id = _text("conversationId")


class ConversationItem(Item):
    """PK `C#co#V#conv`, SK `#META`; GSI1 `C#co#U#user` by the last finished turn, GSI2 `C#co#E#type#id`.

    Stays below 1 KB, because every turn writes it three times: `currentTaskId` and `streamingTaskId` are stored
    without the conversation's id before them. `cancelRequested` is the `currentTaskId` that is to stop: a flag that
    the next turn finds left over means nothing. `questionChanged` is a task and when its question was edited or deleted
    (`ulid@time`), `stopBefore` a time in milliseconds: what was asked before it and still waits is not answered.
    """

    id = _text("id")
    user_id = _text("userId")
    user_company_id = _text("userCompanyId")
    title = _text("title")
    entity_type = _text("entityType")
    entity_id = _text("entityId")
    session_id = _text("sessionId")
    conversation_source = _text("conversationSource")
    address = _document("address")
    status = _text("status")
    input = _text("input")
    message_count = _number("messageCount")
    total_input_tokens = _number("totalInputTokens")
    total_output_tokens = _number("totalOutputTokens")
    total_tokens = _number("totalTokens")
    total_cost = DecimalAttribute(null=True, attr_name="totalCost")
    cancel_requested = _text("cancelRequested")
    question_changed = _text("questionChanged")
    stop_before = InstantAttribute(null=True, attr_name="stopBefore")
    current_task_id = _text("currentTaskId")
    streaming_task_id = _text("streamingTaskId")
    outgoing_ids = _texts("outgoingIds")
    fencing_token = _number("fencingToken")
    lease_until = InstantAttribute(null=True, attr_name="leaseUntil")
    summary_until = _text("summaryUntil")
    rewritten_at = _time("rewrittenAt")
    created_at = _time("createdAt")
    updated_at = _time("updatedAt")


class MessageItem(Item):
    """PK `C#co#V#conv`, SK `M#ulid`.

    `structuredPart` (`first character:length`) stands for a structured prompt that is a piece of the user prompt.
    """

    apart = frozenset({"content", "tool_digests"})

    id = _text("id")
    llm_conversation_id = _text("llmConversationId")
    external_message_id = _text("externalMessageId")
    parent_message_id = _text("parentMessageId")
    role = _text("role")
    user_prompt = _text("userPrompt")
    structured_user_prompt = _text("structuredUserPrompt")
    llm_parsed_output = _text("llmParsedOutput")
    llm_task_id = _text("llmTaskId")
    entity_type = _text("entityType")
    entity_id = _text("entityId")
    language = _text("language")
    user_id = _text("userId")
    content = DocumentsAttribute(null=True, attr_name="content")
    tool_digests = DocumentsAttribute(null=True, attr_name="toolDigests")
    outgoing_ids = _texts("outgoingIds")
    finish_reason = _text("finishReason")
    edited_at = _time("editedAt")
    deleted_at = _time("deletedAt")
    created_at = _time("createdAt")
    structured_part = _text("structuredPart")
    overflow = _document("overflow")


class FeedbackItem(Item):
    """PK `C#co#V#conv`, SK `F#ulid of its answer#user`."""

    message_id = _text("messageId")
    user_id = _text("userId")
    value = _text("value")
    comment = _text("comment")
    created_at = _time("createdAt")


class TaskItem(Item):
    """PK `C#co#V#conv`, SK `T#ulid of its question`; GSI1 `C#co#F` only while FAILED.

    `sameAsReply` names the outputs that are, to the letter, the text of the reply: they are stored there alone.
    """

    id = _text("id")
    llm_conversation_id = _text("llmConversationId")
    message_id = _text("messageId")
    parent_task_id = _text("parentTaskId")
    status = _text("status")
    llm_settings_id = _text("llmSettingsId")
    llm_raw_prompt = _text("llmRawPrompt")
    llm_structured_prompt = _text("llmStructuredPrompt")
    llm_raw_output = _text("llmRawOutput")
    llm_structured_output = _text("llmStructuredOutput")
    total_input_tokens = _number("totalInputTokens")
    total_output_tokens = _number("totalOutputTokens")
    total_tokens = _number("totalTokens")
    cached_tokens = _number("cachedTokens")
    reasoning_tokens = _number("reasoningTokens")
    cost = DecimalAttribute(null=True, attr_name="cost")
    price_version = _text("priceVersion")
    model = _text("model")
    provider_request_id = _text("providerRequestId")
    time_to_first_token_ms = _number("timeToFirstTokenMs")
    duration_ms = _number("durationMs")
    attempt = _number("attempt")
    hand_overs = _number("handOvers")
    error_class = _text("errorClass")
    error_message = _text("errorMessage")
    outgoing_ids = _texts("outgoingIds")
    created_at = _time("createdAt")
    updated_at = _time("updatedAt")
    same_as_reply = _texts("sameAsReply")
    overflow = _document("overflow")


class ToolUsageItem(Item):
    """PK `C#co#V#conv`, SK `U#ulid of the question#nnnnnn`: three digits of the step, three of the place in it.

    What a sub-agent uses is below the use that asked it: `U#ulid#nnnnnn#nnnnnn`. `duration` is in milliseconds. Of a
    call that needs one, `approval` is its status (GSI1 `C#co#W` while it waits); `approvalBy` who decides, asker first.
    """

    apart = frozenset({"said", "request", "response", "error", "step_usage", "spent", "approval"})

    name = _text("name")
    call_id = _text("callId")
    type = _text("type")
    under = _text("under")
    step = _number("step")
    place = _number("place")
    said = _text("said")
    step_usage = _document("stepUsage")
    spent = _document("spent")
    spent_cost = DecimalAttribute(null=True, attr_name="spentCost")
    request = _text("request")
    response = _text("response")
    message_id = _text("messageId")
    status = _text("status")
    started_at = _time("startedAt")
    duration_ms = _number("duration")
    idempotency_key = _text("idempotencyKey")
    edition = _time("edition")
    error = _text("error")
    approval = _text("approval")
    approval_by = _texts("approvalBy")
    approval_until = _time("approvalUntil")
    approval_message_ids = _texts("approvalMessageIds")
    approval_asked_alone = _document("approvalAskedAlone")
    decided_by = _text("decidedBy")
    decided_at = _time("decidedAt")
    parked_message = _text("parkedMessage")
    overflow = _document("overflow")


class SummaryItem(Item):
    """PK `C#co#V#conv`, SK `S#ulid of the last message in it`. Never changes; the conversation names the latest one."""

    apart = frozenset({"until"})  # in its key

    text = _text("text")
    since = _time("since")
    created_at = _time("createdAt")


class UsageItem(Item):
    """PK `C#co#Q#yyyymm`, SK `D#dd#U#user` (a person's day) or `M#nn` (a sixteenth of the company's month)."""

    messages = _number("messages")
    input_tokens = _number("inputTokens")
    output_tokens = _number("outputTokens")
    total_tokens = _number("totalTokens")
    cost = DecimalAttribute(null=True, attr_name="cost")
