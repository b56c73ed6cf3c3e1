"""Every item of the table as a PynamoDB class, private to the store.

Keys are built in `keys`; each class says which it has. Attributes are stored under the camelCase names of the values
they come from. What is empty or a default is not stored: write units count bytes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

from pydantic.alias_generators import to_camel
from pynamodb.attributes import JSONAttribute, UnicodeAttribute
from pynamodb.models import Model

from core.models import Value
from core.store.attributes import (
    DecimalAttribute,
    DocumentsAttribute,
    InstantAttribute,
    make_document,
    make_flag,
    make_number,
    make_text,
    make_texts,
    make_time,
)

type RawItem = Mapping[str, Mapping[str, Any]]  # DynamoDB's JSON: {"title": {"S": "Hello"}}

_NOT_FIELDS = frozenset({"pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk", "ttl"})


class Item(Model):
    """The keys of the one table, and when an item is gone. The two indexes are sparse and hold keys alone."""

    pk = UnicodeAttribute(hash_key=True, attr_name="PK")
    sk = UnicodeAttribute(range_key=True, attr_name="SK")
    gsi1pk = make_text("GSI1PK")
    gsi1sk = make_text("GSI1SK")
    gsi2pk = make_text("GSI2PK")
    gsi2sk = make_text("GSI2SK")
    ttl = make_number("ttl")

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

    id = make_text("id")
    name = make_text("name")
    retention_days = make_number("retentionDays")
    created_at = make_time("createdAt")


class UserItem(Item):
    """PK `C#co#P`, SK user; GSI1 `C#co#P` by e-mail."""

    id = make_text("id")
    company_id = make_text("companyId")
    email = make_text("email")
    name = make_text("name")
    enabled = make_flag("enabled")
    created_at = make_time("createdAt")


class EmailItem(Item):
    """PK `C#co#P#e-mail`, SK `#`: the e-mail address is this user's."""

    user_id = make_text("userId")


class IdentityItem(Item):
    """PK `C#co#X#platform#workspace`, SK external user id; GSI1 `C#co#X`, GSI2 `C#co#X#U#user` where it is known."""

    company_id = make_text("companyId")
    platform = make_text("platform")
    workspace_id = make_text("workspaceId")
    external_user_id = make_text("externalUserId")
    user_id = make_text("userId")
    email = make_text("email")
    refused_for = make_text("refusedFor")
    created_at = make_time("createdAt")


class InstallationItem(Item):
    """PK `C#co#N`, SK `platform#workspace`."""

    id = make_text("id")
    company_id = make_text("companyId")
    platform = make_text("platform")
    workspace_id = make_text("workspaceId")
    enabled = make_flag("enabled")
    settings = JSONAttribute(null=True, attr_name="settings")
    secret_name = make_text("secretName")
    status = make_text("status")
    created_at = make_time("createdAt")
    token_expires_at = make_time("tokenExpiresAt")
    rotating_until = make_time("rotatingUntil")
    updated_at = make_time("updatedAt")


class WorkspaceItem(Item):
    """PK `X#platform#workspace`, SK `#`: the workspace is this company's."""

    company_id = make_text("companyId")


class OnceItem(Item):
    """PK `O#nonce`, SK `#`: a state that was used. Gone some time after its end."""


class SettingsItem(Item):
    """PK `C#co#S#id`, SK `v#nnnnnn`; GSI1 `C#co#S` by id, for the first version alone.

    What has parts of its own (tools, schema, limits) is one JSON text each.
    """

    apart = frozenset({"prompt", "tools", "output_configuration", "limits"})

    id = make_text("id")
    company_id = make_text("companyId")
    version = make_number("version")
    name = make_text("name")
    model = make_text("model")
    fallback_model = make_text("fallbackModel")
    api_kind = make_text("apiKind")
    temperature = make_number("temperature")
    transcription_model = make_text("transcriptionModel")  # empty: recordings are not listened to
    prompt = make_text("prompt")
    tools = make_text("tools")
    output_configuration = make_text("outputConfiguration")
    limits = make_text("limits")
    created_at = make_time("createdAt")
    overflow = make_document("overflow")


class InputItem(Item):
    """PK `C#co#K#sha256`, SK `#`. Never changes. What has parts of its own is one JSON text each."""

    apart = frozenset({"prompts", "knowledge_base", "tools", "sub_agents", "output_configuration", "limits"})

    settings_id = make_text("settingsId")
    settings_version = make_number("settingsVersion")
    prompts = make_text("prompts")
    knowledge_base = make_text("knowledgeBase")
    tools = make_text("tools")
    sub_agents = make_text("subAgents")
    output_configuration = make_text("outputConfiguration")
    model = make_text("model")
    fallback_model = make_text("fallbackModel")
    api_kind = make_text("apiKind")
    temperature = make_number("temperature")
    transcription_model = make_text("transcriptionModel")
    limits = make_text("limits")
    overflow = make_document("overflow")


class ThreadItem(Item):
    """PK `C#co#H#platform#channel#thread`, SK `#`: the thread's conversation; `earlier` ones, the last one first."""

    earlier = make_texts("earlier")
    conversation_id = make_text("conversationId")


class ConversationItem(Item):
    """PK `C#co#V#conv`, SK `#META`; GSI1 `C#co#U#user` by the last finished turn, GSI2 `C#co#E#type#id`.

    Stays below 1 KB, because every turn writes it three times: `currentTaskId` and `streamingTaskId` are stored
    without the conversation's id before them. `cancelRequested` is the `currentTaskId` that is to stop: a flag that
    the next turn finds left over means nothing. `questionChanged` is a task and when its question was edited or deleted
    (`ulid@time`), `stopBefore` a time in milliseconds: what was asked before it and still waits is not answered.
    """

    id = make_text("id")
    user_id = make_text("userId")
    user_company_id = make_text("userCompanyId")
    title = make_text("title")
    entity_type = make_text("entityType")
    entity_id = make_text("entityId")
    session_id = make_text("sessionId")
    conversation_source = make_text("conversationSource")
    address = make_document("address")
    status = make_text("status")
    input = make_text("input")
    message_count = make_number("messageCount")
    total_input_tokens = make_number("totalInputTokens")
    total_output_tokens = make_number("totalOutputTokens")
    total_tokens = make_number("totalTokens")
    total_cost = DecimalAttribute(null=True, attr_name="totalCost")
    cancel_requested = make_text("cancelRequested")
    question_changed = make_text("questionChanged")
    stop_before = InstantAttribute(null=True, attr_name="stopBefore")
    current_task_id = make_text("currentTaskId")
    streaming_task_id = make_text("streamingTaskId")
    outgoing_ids = make_texts("outgoingIds")
    fencing_token = make_number("fencingToken")
    lease_until = InstantAttribute(null=True, attr_name="leaseUntil")
    summary_until = make_text("summaryUntil")
    rewritten_at = make_time("rewrittenAt")
    created_at = make_time("createdAt")
    updated_at = make_time("updatedAt")


class MessageItem(Item):
    """PK `C#co#V#conv`, SK `M#ulid`.

    `structuredPart` (`first character:length`) stands for a structured prompt that is a piece of the user prompt.
    """

    apart = frozenset({"content", "tool_digests"})

    id = make_text("id")
    llm_conversation_id = make_text("llmConversationId")
    external_message_id = make_text("externalMessageId")
    parent_message_id = make_text("parentMessageId")
    role = make_text("role")
    user_prompt = make_text("userPrompt")
    structured_user_prompt = make_text("structuredUserPrompt")
    llm_parsed_output = make_text("llmParsedOutput")
    llm_task_id = make_text("llmTaskId")
    entity_type = make_text("entityType")
    entity_id = make_text("entityId")
    language = make_text("language")
    user_id = make_text("userId")
    content = DocumentsAttribute(null=True, attr_name="content")
    tool_digests = DocumentsAttribute(null=True, attr_name="toolDigests")
    outgoing_ids = make_texts("outgoingIds")
    finish_reason = make_text("finishReason")
    edited_at = make_time("editedAt")
    deleted_at = make_time("deletedAt")
    created_at = make_time("createdAt")
    structured_part = make_text("structuredPart")
    overflow = make_document("overflow")


class FeedbackItem(Item):
    """PK `C#co#V#conv`, SK `F#ulid of its answer#user`."""

    message_id = make_text("messageId")
    user_id = make_text("userId")
    value = make_text("value")
    comment = make_text("comment")
    created_at = make_time("createdAt")


class TaskItem(Item):
    """PK `C#co#V#conv`, SK `T#ulid of its question`; GSI1 `C#co#F` only while FAILED.

    `sameAsReply` names the outputs that are, to the letter, the text of the reply: they are stored there alone.
    """

    id = make_text("id")
    llm_conversation_id = make_text("llmConversationId")
    message_id = make_text("messageId")
    parent_task_id = make_text("parentTaskId")
    status = make_text("status")
    llm_settings_id = make_text("llmSettingsId")
    llm_raw_prompt = make_text("llmRawPrompt")
    llm_structured_prompt = make_text("llmStructuredPrompt")
    llm_raw_output = make_text("llmRawOutput")
    llm_structured_output = make_text("llmStructuredOutput")
    total_input_tokens = make_number("totalInputTokens")
    total_output_tokens = make_number("totalOutputTokens")
    total_tokens = make_number("totalTokens")
    cached_tokens = make_number("cachedTokens")
    reasoning_tokens = make_number("reasoningTokens")
    cost = DecimalAttribute(null=True, attr_name="cost")
    price_version = make_text("priceVersion")
    model = make_text("model")
    provider_request_id = make_text("providerRequestId")
    time_to_first_token_ms = make_number("timeToFirstTokenMs")
    duration_ms = make_number("durationMs")
    attempt = make_number("attempt")
    hand_overs = make_number("handOvers")
    error_class = make_text("errorClass")
    error_message = make_text("errorMessage")
    outgoing_ids = make_texts("outgoingIds")
    created_at = make_time("createdAt")
    updated_at = make_time("updatedAt")
    same_as_reply = make_texts("sameAsReply")
    overflow = make_document("overflow")


class ToolUsageItem(Item):
    """PK `C#co#V#conv`, SK `U#ulid of the question#nnnnnn`: three digits of the step, three of the place in it.

    What a sub-agent uses is below the use that asked it: `U#ulid#nnnnnn#nnnnnn`. `duration` is in milliseconds. Of a
    call that needs one, `approval` is its status (GSI1 `C#co#W` while it waits); `approvalBy` who decides, asker first.
    """

    apart = frozenset({"said", "request", "response", "error", "step_usage", "spent", "approval"})

    name = make_text("name")
    call_id = make_text("callId")
    type = make_text("type")
    under = make_text("under")
    step = make_number("step")
    place = make_number("place")
    said = make_text("said")
    step_usage = make_document("stepUsage")
    spent = make_document("spent")
    spent_cost = DecimalAttribute(null=True, attr_name="spentCost")
    request = make_text("request")
    response = make_text("response")
    message_id = make_text("messageId")
    status = make_text("status")
    started_at = make_time("startedAt")
    duration_ms = make_number("duration")
    idempotency_key = make_text("idempotencyKey")
    edition = make_time("edition")
    error = make_text("error")
    approval = make_text("approval")
    approval_by = make_texts("approvalBy")
    approval_until = make_time("approvalUntil")
    approval_message_ids = make_texts("approvalMessageIds")
    approval_asked_alone = make_document("approvalAskedAlone")
    decided_by = make_text("decidedBy")
    decided_at = make_time("decidedAt")
    parked_message = make_text("parkedMessage")
    overflow = make_document("overflow")


class SummaryItem(Item):
    """PK `C#co#V#conv`, SK `S#ulid of the last message in it`. Never changes; the conversation names the latest one."""

    apart = frozenset({"until"})  # in its key

    text = make_text("text")
    since = make_time("since")
    created_at = make_time("createdAt")


class UsageItem(Item):
    """PK `C#co#Q#yyyymm`, SK `D#dd#U#user` (a person's day) or `M#nn` (a sixteenth of the company's month)."""

    messages = make_number("messages")
    input_tokens = make_number("inputTokens")
    output_tokens = make_number("outputTokens")
    total_tokens = make_number("totalTokens")
    cost = DecimalAttribute(null=True, attr_name="cost")
