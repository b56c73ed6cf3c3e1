"""What the reply tests say in one line: a question in a thread, a reply to it, what a person sees."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.models import Address
from core.platforms import Outbound, Posted, Reply, ReplyTarget
from local.fake_slack import DEMO, FakeSlack, SeenMessage

NOW = datetime.fromtimestamp(1_767_225_600.0, UTC)  # when the fake Slack's clock begins


def address_of(thread: str, *, is_direct: bool = False) -> Address:
    """A thread of the demo's channel, or its direct message."""
    channel_id = DEMO.dm_channel_id if is_direct else DEMO.channel_id
    return Address(
        platform="slack", workspace_id=DEMO.team_id, channel_id=channel_id, thread_id=thread, is_direct=is_direct
    )


class Clock:
    """Time that passes only when it is told to, or slept."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.naps: list[float] = []

    def wall(self) -> float:
        """The same for the fake Slack, as a time of day."""
        return 1_767_225_600.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds


class DiedError(Exception):
    """The process ended here."""


@dataclass
class Stage:
    """One channel of the fake Slack with our outbound half before it."""

    slack: FakeSlack
    outbound: Outbound
    clock: Clock
    recorded: list[tuple[str, ...]] = field(default_factory=list)

    def ask(self, text: str = "What is the plan?", *, thread_ts: str | None = None) -> str:
        """The id of a new question in the channel."""
        return self.slack.post_as(DEMO.user_id, text, channel=DEMO.channel_id, thread_ts=thread_ts).ts

    def reply(
        self,
        question: str,
        *,
        thread: str | None = None,
        ids: tuple[str, ...] = (),
        search_from: str | None = None,
        answered: Iterable[str] = (),
        posted: Posted | None = None,
    ) -> Reply:
        """A reply to `question` in the channel; `thread` names the thread where the question did not start it."""
        address = Address(
            platform="slack",
            workspace_id=DEMO.team_id,
            channel_id=DEMO.channel_id,
            thread_id=question if thread is None else thread,
        )
        return self.reply_at(address, question, ids=ids, search_from=search_from, answered=answered, posted=posted)

    def reply_direct(self, question: str, *, ids: tuple[str, ...] = (), search_from: str | None = None) -> Reply:
        """A reply in the direct message, outside of threads."""
        address = Address(
            platform="slack", workspace_id=DEMO.team_id, channel_id=DEMO.dm_channel_id, thread_id="", is_direct=True
        )
        return self.reply_at(address, question, ids=ids, search_from=search_from)

    def reply_at(
        self,
        address: Address,
        question: str,
        *,
        ids: tuple[str, ...] = (),
        search_from: str | None = None,
        answered: Iterable[str] = (),
        is_alone: bool = True,
        posted: Posted | None = None,
    ) -> Reply:
        target = ReplyTarget(
            address=address,
            in_reply_to=question,
            external_user_id=DEMO.user_id,
            external_user_workspace_id=DEMO.team_id,
            outgoing_ids=ids,
            search_from=search_from,
            answered_ids=frozenset(answered),
            is_alone=is_alone,
        )
        return self.outbound.open_reply(target, posted=posted or self.recorded.append)

    def speak(self, reply: Reply, pieces: Iterable[str], *, every: float = 2.0) -> str:
        """Append the pieces with that much time between them; the whole text."""
        said = list(pieces)
        for piece in said:
            reply.append(piece)
            self.clock.pass_by(every)
        return "".join(said)

    def answers(self, thread: str) -> list[SeenMessage]:
        """Our messages in a thread, as a person sees them now."""
        return self._ours(self.slack.messages(DEMO.channel_id, thread))

    def direct_answers(self) -> list[SeenMessage]:
        """Our messages in the direct message."""
        return self._ours(self.slack.messages(DEMO.dm_channel_id))

    def methods(self) -> list[str]:
        """The methods called, without repetitions in a row."""
        return [name for name, _ in itertools.groupby(call.method for call in self.slack.calls)]

    def _ours(self, messages: Iterable[SeenMessage]) -> list[SeenMessage]:
        return [message for message in messages if message.user == DEMO.bot_user_id]
