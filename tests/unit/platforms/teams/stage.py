"""What the outbound tests say in one line: a question somewhere, a reply to it, what a person sees."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.models import Address
from core.platforms import Outbound, Posted, Reply, ReplyTarget
from local.fake_teams import DEMO, FakeTeams, SeenActivity
from tests.unit.platforms.slack.stage import Clock

ROOT = "1767225600000"
CHANNEL = f"{DEMO.channel_id};messageid={ROOT}"


def personal() -> Address:
    """The chat of the demo person with the assistant."""
    return Address(platform="teams", workspace_id=DEMO.tenant_id, channel_id=DEMO.personal_id, is_direct=True)


def channel() -> Address:
    """A thread in the demo channel."""
    return Address(platform="teams", workspace_id=DEMO.tenant_id, channel_id=DEMO.channel_id, thread_id=ROOT)


@dataclass
class Stage:
    """The fake Teams with our outbound half before it."""

    teams: FakeTeams
    outbound: Outbound
    clock: Clock
    recorded: list[tuple[str, ...]] = field(default_factory=list)

    def target(self, address: Address | None = None, **known: object) -> ReplyTarget:
        said: dict[str, object] = {
            "address": address or personal(),
            "in_reply_to": "1767225599000",
            "external_user_id": DEMO.user_object_id,
            "external_user_workspace_id": DEMO.tenant_id,
            "reply_url": self.teams.service_url,
            **known,
        }
        return ReplyTarget(**said)  # type: ignore[arg-type] # each test names real fields

    def reply(self, address: Address | None = None, *, posted: Posted | None = None, **known: object) -> Reply:
        return self.outbound.open_reply(self.target(address, **known), posted=posted or self.recorded.append)

    def speak(self, reply: Reply, pieces: Iterable[str], *, every: float = 2.0) -> str:
        """Append the pieces with that much time between them; the whole text."""
        said = list(pieces)
        for piece in said:
            reply.append(piece)
            self.clock.pass_by(every)
        return "".join(said)

    def answers(self, conversation: str = DEMO.personal_id) -> list[SeenActivity]:
        return self.teams.answers(conversation)

    def texts(self, conversation: str = DEMO.personal_id) -> list[str]:
        return [each.text for each in self.answers(conversation)]
