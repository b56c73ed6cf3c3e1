"""What the fake Teams knows: people, files, and the activities of each conversation, streams included."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a tenant."""

    id: str
    object_id: str
    tenant_id: str
    email: str | None
    name: str
    user_role: str = "user"

    def as_json(self) -> dict[str, object]:
        """As the members API answers."""
        mail = {"email": self.email, "userPrincipalName": self.email} if self.email else {}
        return {
            "id": self.id,
            "name": self.name,
            "objectId": self.object_id,
            "aadObjectId": self.object_id,
            "tenantId": self.tenant_id,
            "userRole": self.user_role,
            **mail,
        }


@dataclass(slots=True)
class Posted:
    """A message in a conversation, or a stream that becomes one."""

    id: str
    conversation: str
    sender: str
    fields: dict[str, object]
    change: int
    started_at: float
    is_streaming: bool = False
    is_deleted: bool = False
    sequence: int = 0
    shown_at: float = 0.0
    edits: int = 0

    @property
    def text(self) -> str:
        """What it says."""
        return str(self.fields.get("text") or "")


@dataclass(frozen=True, slots=True)
class SeenActivity:
    """A message as a person sees it."""

    id: str
    conversation: str
    sender: str
    text: str
    change: int
    is_streaming: bool = False
    is_streamed: bool = False
    is_deleted: bool = False
    edits: int = 0
    attachments: list[dict[str, object]] = field(default_factory=list)
    fields: dict[str, object] = field(default_factory=dict)


def seen(posted: Posted) -> SeenActivity:
    """The message as it stands."""
    attachments = posted.fields.get("attachments")
    return SeenActivity(
        id=posted.id,
        conversation=posted.conversation,
        sender=posted.sender,
        text=posted.text,
        change=posted.change,
        is_streaming=posted.is_streaming,
        is_streamed=posted.sequence > 0,
        is_deleted=posted.is_deleted,
        edits=posted.edits,
        attachments=[dict(each) for each in attachments] if isinstance(attachments, list) else [],
        fields=dict(posted.fields),
    )


class TeamsState:
    """Everything, guarded by one condition that tells of each change."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.changed = threading.Condition(threading.RLock())
        self.members: dict[str, Member] = {}
        self.activities: dict[str, Posted] = {}
        self.files: dict[str, bytes] = {}
        self.closed: dict[str, str] = {}  # conversation to the code it is refused with
        self.personal: dict[str, str] = {}  # of people, where the assistant talks to them alone
        self.typing: list[str] = []  # conversations in which the assistant showed that it types
        self.change = 0
        self._last_id = 0

    def new_id(self) -> str:
        """The id of a new message: its time in milliseconds, never twice."""
        with self.changed:
            self._last_id = max(self._last_id + 1, int(self.clock() * 1000))
            return str(self._last_id)

    def touch(self) -> int:
        """Count a change and tell whoever waits."""
        with self.changed:
            self.change += 1
            self.changed.notify_all()
            return self.change

    def add(self, conversation: str, sender: str, fields: dict[str, object], activity_id: str | None = None) -> Posted:
        """A new message."""
        with self.changed:
            made = activity_id or self.new_id()
            posted = Posted(made, conversation, sender, fields, self.touch(), self.clock())
            self.activities[made] = posted
            return posted

    def find_member(self, given: str) -> Member | None:
        """By any of the ids that the API takes."""
        return next((each for each in self.members.values() if given in (each.id, each.object_id)), None)
