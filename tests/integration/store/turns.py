"""A conversation as the store sees it: what a turn writes, in the order in which it writes, with realistic sizes."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.configuration import Input
from core.models import Address, ApiKind, ContentPart, ContentType, Message, Role, Task, TaskStatus
from core.prompts import PromptManifest
from core.store import Claim, Opening, Store, keys

COMPANY = "acme-industries"
OTHER_COMPANY = "umbrella-trading"
USER = "usr_01JB0000000000000000000003"
CONVERSATION = "cnv_01JB0000000000000000000004"
START = datetime(2026, 11, 3, 9, 30, 15, 250_000, tzinfo=UTC)
LEASE = timedelta(minutes=5)
SHA256 = "0123456789abcdef" * 4
ADDRESS = Address(platform="slack", workspace_id="T0123456789", channel_id="C0123456789", thread_id="1762162215.250000")
OPENING = Opening(
    user_id=USER,
    title="Could you tell me how many days of leave I have left this year, and who a",
    entity_type="CHANNEL",
    entity_id="slack:T0123456789:C0123456789",
    session_id="ses_01JB0000000000000000000005",
    address=ADDRESS,
    input=SHA256,
)
INPUT = Input(
    settings_id="default", settings_version=3, prompts=("You help.",), model="gpt-5-mini", api_kind=ApiKind.RESPONSES
)
SENTENCE = "Could you tell me how many days of leave I have left this year, and who approves it? "
TEXT = (SENTENCE * 4)[:300]


def text_part(text: str, message_id: str) -> ContentPart:
    """A message's text as its one content part."""
    return ContentPart(type=ContentType.TEXT, text=text, message_id=message_id)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One question and what becomes of it; `number` is its place in the conversation, one minute each."""

    number: int = 0
    company_id: str = COMPANY
    conversation_id: str = CONVERSATION
    opening: Opening = OPENING
    text: str = TEXT
    answer: str = "You have twelve days left. " * 11
    lease: timedelta = LEASE
    cost: Decimal | None = Decimal("0.00123")
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "now", START + timedelta(minutes=self.number))

    @property
    def external_id(self) -> str:
        """Slack's id of the question."""
        return f"{self.now.timestamp():.6f}"

    @property
    def ulid(self) -> str:
        """The question's ULID."""
        address = self.opening.address
        return keys.message_ulid("slack", address.workspace_id, address.channel_id, self.external_id, self.now)

    @property
    def question_id(self) -> str:
        """The question's id."""
        return keys.message_id(self.conversation_id, self.ulid)

    @property
    def reply_id(self) -> str:
        """The reply's id."""
        return keys.message_id(self.conversation_id, keys.reply_ulid(self.ulid))

    @property
    def task_id(self) -> str:
        """The task's id."""
        return keys.task_id(self.conversation_id, self.ulid)

    def question(self, *, parent_id: str | None = None) -> Message:
        """What the person wrote; the assistant's mention is not part of the structured prompt."""
        return Message(
            id=self.question_id,
            llm_conversation_id=self.conversation_id,
            external_message_id=self.external_id,
            parent_message_id=parent_id,
            role=Role.USER,
            user_prompt=f"<@U0123456789> {self.text}",
            structured_user_prompt=self.text,
            llm_task_id=self.task_id,
            entity_type=self.opening.entity_type,
            entity_id=self.opening.entity_id,
            user_id=self.opening.user_id,
            content=(text_part(self.text, self.question_id),),
            created_at=self.now,
        )

    def opening_message(self, prompt: str = "You help.") -> Message:
        """The system message of a conversation that begins with this turn."""
        message_id = keys.message_id(self.conversation_id, keys.opening_ulid(self.ulid))
        return Message(
            id=message_id,
            llm_conversation_id=self.conversation_id,
            role=Role.SYSTEM,
            entity_type=self.opening.entity_type,
            user_id=self.opening.user_id,
            content=(text_part(prompt, message_id),),
            created_at=self.now,
        )

    def reply(self) -> Message:
        """The assistant's answer."""
        return Message(
            id=self.reply_id,
            llm_conversation_id=self.conversation_id,
            parent_message_id=self.question_id,
            role=Role.ASSISTANT,
            llm_parsed_output=self.answer,
            llm_task_id=self.task_id,
            entity_type=self.opening.entity_type,
            entity_id=self.opening.entity_id,
            user_id=self.opening.user_id,
            content=(text_part(self.answer, self.reply_id),),
            outgoing_ids=("1762162219.123456",),
            finish_reason="stop",
            created_at=self.now,
        )

    def task(self) -> Task:
        """The run of the model as it starts."""
        manifest = PromptManifest(
            template="conversation@1",
            input=SHA256,
            first_message_id=self.question_id,
            message_count=20,
            sha256=SHA256,
        )
        return Task(
            id=self.task_id,
            llm_conversation_id=self.conversation_id,
            message_id=self.question_id,
            status=TaskStatus.IN_PROGRESS,
            llm_settings_id="default:v3",
            llm_raw_prompt=manifest.model_dump_json(by_alias=True),
            model="gpt-5-mini",
            created_at=self.now,
            updated_at=self.now,
        )

    def completed(self, task: Task) -> Task:
        """`task` with what the run gave."""
        return task.model_copy(
            update={
                "status": TaskStatus.COMPLETED,
                "llm_raw_output": self.answer,
                "llm_structured_output": self.answer,
                "total_input_tokens": 1800,
                "total_output_tokens": 75,
                "total_tokens": 1875,
                "cached_tokens": 1024,
                "reasoning_tokens": 32,
                "cost": self.cost,
                "price_version": "2026-11-01" if self.cost is not None else None,
                "model": "gpt-5-mini-2026-08-07",
                "provider_request_id": "req_0123456789abcdef0123456789abcdef",
                "time_to_first_token_ms": 1234,
                "duration_ms": 5678,
                "updated_at": self.now + timedelta(seconds=7),
            }
        )

    def failed(self, task: Task) -> Task:
        """`task` after the model refused for good."""
        update = {"status": TaskStatus.FAILED, "error_class": "model-refused", "error_message": "no such model"}
        return task.model_copy(update=update)

    def after(self, turns: int = 1) -> "Turn":
        """A later turn of the same conversation."""
        return replace(self, number=self.number + turns)

    # What a worker does

    def claim(self, store: Store, *, now: datetime | None = None) -> Claim:
        """Take the conversation."""
        return store.claim_conversation(
            self.company_id,
            self.conversation_id,
            opening=self.opening,
            task_id=self.task_id,
            lease=self.lease,
            now=now or self.now,
        )

    def begin(self, store: Store) -> tuple[Claim, Task]:
        """Everything up to the model's first word."""
        claim = self.claim(store)
        store.questions.save(claim, self.question(), opening_message=None)
        return claim, store.start_task(claim, self.task())

    def commit(self, store: Store, claim: Claim, task: Task) -> None:
        """Store the answer."""
        store.commit_reply(claim, self.reply(), self.completed(task), now=self.now + timedelta(seconds=7))

    def play(self, store: Store) -> None:
        """The whole turn, as one worker does it."""
        claim, task = self.begin(store)
        self.commit(store, claim, task)
