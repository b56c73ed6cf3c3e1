"""What holding a conversation means: the claim, what a conversation opens with, and the two ways to be refused."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from core.errors import RetryableError
from core.models import Address, Conversation, Time, Value
from core.store.expiry import Expiry


class Entity(Value):
    """What a conversation is about."""

    type: str
    id: str


class Summary(Value):
    """What a conversation remembers of its messages up to `until` (a ULID), in place of them. Never changes.

    `since` is the time of the first of them: a summary is kept no longer than that message.
    """

    until: str
    text: str
    since: Time
    created_at: Time


class Spent(Value):
    """What a model call took that belongs to no task."""

    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    total_tokens: int | None = None
    cost: Decimal | None = None


class Opening(Value):
    """What a conversation is made with where there is none yet; `input` is the content hash of its Input.

    Without a title, the first question gives it one.
    """

    user_id: str
    title: str = ""
    entity_type: str
    entity_id: str | None = None
    session_id: str
    address: Address
    input: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to write into a conversation until the lease is over or a later processor claims it.

    Attributes:
        conversation: As it stands after the claim. `streaming_task_id` and `outgoing_ids` are what a processor left
            behind that died in the middle of its answer.
        fencing_token: Grows with every claim; a write that carries an older one is refused.
        task_id: What the conversation was claimed for.
        expiry: When what is written with this claim is gone; None where it is kept for good.
    """

    conversation: Conversation
    fencing_token: int
    task_id: str
    expiry: Expiry | None = None


class ConversationBusyError(RetryableError):
    """Another processor answers in this conversation; `retry_after` is what is left of its lease."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("conversation-busy", "another turn runs in this conversation", retry_after=retry_after)


class ClaimLostError(RetryableError):
    """A later processor took the conversation over, or its turn is over; nothing was written."""

    def __init__(self) -> None:
        super().__init__("claim-lost", "this claim no longer holds the conversation; nothing was written")
