"""The AI configuration of a company: model, prompts, tools and limits, validated before it is stored."""

from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic.alias_generators import to_camel

from core.models import ApiKind, Time, ToolType, Value

DEFAULT_TRANSCRIPTION_MODEL = "gpt-transcribe"


class Limits(Value):
    """What one turn may take, and what people and the company may take together. None: no limit.

    Money is in US dollars. A daily limit counts one person's UTC day, a monthly limit the company's UTC month.
    Bytes and seconds of files are counted together: of a prompt's pictures, of a message's texts or recordings.
    """

    max_output_tokens: int = Field(default=4096, ge=16, le=200_000)
    history_messages: int = Field(default=20, ge=0, le=200)
    history_tokens: int = Field(default=12_000, ge=250, le=500_000)  # estimated; the question's are part of them
    session_idle_minutes: int | None = Field(default=720, ge=1, le=525_600)  # after so long a new session begins
    max_steps: int = Field(default=8, ge=1, le=50)  # model calls of one turn
    max_sub_agent_depth: int = Field(default=2, ge=0, le=4)  # how far below the first agent others may be asked
    max_seconds: int = Field(default=240, ge=5, le=840)
    max_files: int = Field(default=10, ge=0, le=20)  # of a message; what comes after them is named
    max_images: int = Field(default=6, ge=0, le=20)  # of a message; 0 for a model that takes none
    max_image_bytes: int = Field(default=8_000_000, ge=1, le=20_000_000)
    history_images: int = Field(default=2, ge=0, le=20)  # of earlier messages, shown again
    max_text_file_bytes: int = Field(default=64_000, ge=1, le=1_000_000)
    max_audio_bytes: int = Field(default=10_000_000, ge=1, le=25_000_000)
    max_audio_seconds: int = Field(default=900, ge=1, le=7_200)
    max_import_bytes: int = Field(default=200_000_000, ge=0, le=5_000_000_000)  # of a file; 0: the chat imports none
    max_turn_tokens: int | None = Field(default=None, ge=1)
    max_turn_cost: Decimal | None = Field(default=None, gt=0)
    max_user_day_messages: int | None = Field(default=None, ge=1)
    max_user_day_tokens: int | None = Field(default=None, ge=1)
    max_user_day_cost: Decimal | None = Field(default=None, gt=0)
    max_company_month_tokens: int | None = Field(default=None, ge=1)
    max_company_month_cost: Decimal | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _read_characters(cls, given: object) -> object:
        """What was stored before tokens were counted limits characters: four of them stand for a token."""
        if not isinstance(given, dict) or not given.keys() & {"historyCharacters", "history_characters"}:
            return given
        rest = dict(given)
        old = [rest.pop(name, None) for name in ("historyCharacters", "history_characters")]
        characters = next((number for number in old if number is not None), None)
        if characters is None or rest.keys() & {"historyTokens", "history_tokens"}:
            return rest
        if not isinstance(characters, int) or not 1_000 <= characters <= 2_000_000:
            message = "historyCharacters is a number from 1,000 to 2,000,000; historyTokens takes its place"
            raise ValueError(message)
        return rest | {"history_tokens": characters // 4}


ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}$")]
SettingsId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


# A tool's credential lies where the tools' credentials are: no other secret of the stack can be named by mistake.
SecretName = Annotated[str, StringConstraints(pattern=r"^parley/[a-z][a-z0-9-]{1,19}/tools/[A-Za-z0-9/_+=.@-]{1,200}$")]


_Approver = Annotated[str, StringConstraints(min_length=1, max_length=254)]


class EntityMapping(Value):
    """What a tool's result says about the subject of the conversation: an entity of this type, its id at a place.

    `id_pointer` is the JSON Pointer (RFC 6901) of the id in the result.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid", hide_input_in_errors=True
    )

    type: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")]
    id_pointer: Annotated[str, StringConstraints(pattern=r"^(/[^/]{1,64}){1,8}$")]


class _ToolDefinition(Value):
    """What every tool of the settings has."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid", hide_input_in_errors=True
    )

    name: ToolName
    description: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    timeout_seconds: float = Field(default=20.0, gt=0, le=120)
    is_write: bool = False  # runs alone, never at the same time as another tool
    requires_approval: bool = False  # each call waits until the person, or one of `approvers`, agrees to it
    approvers: Annotated[tuple[_Approver, ...], Field(max_length=20)] = ()  # user ids or e-mail addresses
    entity: EntityMapping | None = None  # the entity that the conversation is about once the tool has given it


class ActionFlowTool(_ToolDefinition):
    """A flow of the company: a Lambda function or a Step Functions state machine, by ARN."""

    type: Literal[ToolType.ACTION_FLOW] = ToolType.ACTION_FLOW
    parameters: dict[str, Any]  # JSON Schema of the arguments
    arn: Annotated[
        str,
        StringConstraints(
            pattern=r"^arn:aws[a-z-]*:(lambda:[^:]+:\d{12}:function|states:[^:]+:\d{12}:stateMachine):.+$"
        ),
    ]
    is_write: bool = True


class ThirdPartyTool(_ToolDefinition):
    """Operations of a third-party HTTP API, from its OpenAPI 3 document; each becomes a tool `<name>_<operationId>`.

    `operations` names the operation ids to offer (empty: all). The base URL is the document's first server unless
    `base_url` is given. `secret_name` names the credential; `auth` says how it is sent.
    """

    type: Literal[ToolType.TPA] = ToolType.TPA
    openapi: dict[str, Any]
    operations: tuple[str, ...] = ()
    base_url: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = None
    auth: Literal["none", "bearer", "basic", "header", "query"] = "none"
    auth_name: str | None = None  # of the header or the query parameter
    secret_name: SecretName | None = None

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if self.auth != "none" and not self.secret_name:
            message = f"auth {self.auth!r} needs a secretName"
            raise ValueError(message)
        if self.auth in {"header", "query"} and not self.auth_name:
            message = f"auth {self.auth!r} needs an authName: of the header or the query parameter"
            raise ValueError(message)
        return self


class McpTool(_ToolDefinition):
    """A server of the Model Context Protocol (streamable HTTP); each of its tools becomes `<name>_<tool>`."""

    type: Literal["MCP"] = "MCP"
    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    secret_name: SecretName | None = None  # sent as a bearer token
    allowed: tuple[str, ...] = ()  # names of the server's tools to offer; empty: all


class SearchConversationsTool(_ToolDefinition):
    """Looks through the person's own earlier conversations."""

    type: Literal[ToolType.OBTAIN_MORE_INFORMATION] = ToolType.OBTAIN_MORE_INFORMATION
    subject: Literal["conversations"] = "conversations"


class AskPersonTool(_ToolDefinition):
    """Asks the person a question back; the turn ends with it, and the person's next message is the tool's result."""

    type: Literal[ToolType.OBTAIN_MORE_INFORMATION] = ToolType.OBTAIN_MORE_INFORMATION
    subject: Literal["person"]


class SubAgentTool(_ToolDefinition):
    """Another of the company's AI configurations as a sub-agent, with prompts, tools and limits of its own.

    `settings_version` pins it; else it is the current one when a conversation begins, and stays that for it.
    """

    type: Literal[ToolType.AI] = ToolType.AI
    settings_id: SettingsId
    settings_version: int | None = Field(default=None, ge=1)
    timeout_seconds: float = Field(default=120.0, gt=0, le=600)


def _kind_of(definition: object) -> str | None:
    """Which definition it is: its type and, where something is looked up, its subject."""
    get = definition.get if isinstance(definition, dict) else partial(getattr, definition)
    kind = get("type", None)
    if kind == ToolType.OBTAIN_MORE_INFORMATION:
        return f"{kind}/{get('subject', 'conversations')}"
    return str(kind) if kind else None


ToolDefinition = Annotated[
    Annotated[ActionFlowTool, Tag("ACTION_FLOW")]
    | Annotated[ThirdPartyTool, Tag("TPA")]
    | Annotated[McpTool, Tag("MCP")]
    | Annotated[SubAgentTool, Tag("AI")]
    | Annotated[SearchConversationsTool, Tag("OBTAIN_MORE_INFORMATION/conversations")]
    | Annotated[AskPersonTool, Tag("OBTAIN_MORE_INFORMATION/person")],
    Discriminator(_kind_of),
]


class Settings(Value):
    """One version of a company's AI configuration (LLMSettings). An edit makes a new version."""

    id: SettingsId
    company_id: str
    version: int
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    fallback_model: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    api_kind: ApiKind
    temperature: float | None = Field(default=None, ge=0, le=2)
    transcription_model: Annotated[str, StringConstraints(max_length=200)] | None = DEFAULT_TRANSCRIPTION_MODEL
    prompt: Annotated[str, StringConstraints(max_length=60_000)]
    tools: Annotated[tuple[ToolDefinition, ...], Field(max_length=32)] = ()
    output_configuration: dict[str, Any] | None = None  # a JSON Schema, where the answer has a fixed shape
    limits: Limits = Limits()
    created_at: Time


class Input(Value):
    """The AI configuration a conversation started with. Immutable; stored once per content hash (`sha256`).

    `sub_agents` gives the content hash of the input of each sub-agent by its tool's name. One that is not in it is not
    offered: inputs are made from the innermost outwards, so none can be, directly or not, its own sub-agent.
    """

    settings_id: str
    settings_version: int
    prompts: tuple[str, ...]
    knowledge_base: dict[str, Any] = Field(default_factory=dict)  # no knowledge base is configured: empty
    tools: tuple[ToolDefinition, ...] = ()
    sub_agents: dict[str, str] = Field(default_factory=dict)
    output_configuration: dict[str, Any] | None = None  # a JSON Schema, where the answer has a fixed shape
    model: str
    fallback_model: str | None = None
    api_kind: ApiKind
    temperature: float | None = None
    transcription_model: str | None = None  # None: recordings are not listened to
    limits: Limits = Limits()
