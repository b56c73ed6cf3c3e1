"""What the suite has to be told of a platform: the one class that `tests/contract/<name>.py` brings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, Self

from core.events import FileReference, MessageReceived
from tests.unit.platforms.slack.stage import Clock

ROOT = Path(__file__).parents[2]

type Place = Literal["channel", "direct"]


class What(StrEnum):
    """What a call to the platform is for, as faults name it."""

    SAY = "say"  # a new message, whole
    IDENTIFY = "identify"
    FETCH = "fetch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP call of the platform to our webhook; without a proof until it is signed."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, **headers: str) -> "Call":
        """The same with other headers, whose names are written with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message of ours as a person sees it now; `raw` is the fake's own."""

    id: str
    text: str
    is_arriving: bool
    buttons: Sequence[str]
    raw: object


class Platform(Protocol):
    """A platform with its fake server, which runs while the object is entered.

    Attributes:
        cannot: Cases that the platform cannot have, each with the reason that is printed.
        secrets: The secrets that its webhook reads, by name.
        proof: The header that carries the signature or the token, in lower case.
        workspace_id: Where the demo person belongs to; the installation's.
        token: The installation's secret.
        person: The demo person's id and e-mail address.
        unknown_user: An id that nobody has.
        bot_user: The id of a bot that exists on the fake.
        broadcasts: Texts that would ring many people if they stood in a message as they are.
        foreign_files: URLs that look like the platform's own and are not.
    """

    cannot: Mapping[str, str]
    secrets: Mapping[str, str]
    proof: str
    workspace_id: str
    token: str
    person: tuple[str, str]
    unknown_user: str
    bot_user: str
    broadcasts: Sequence[str]
    foreign_files: Sequence[str]

    def __init__(self, clock: Clock) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    # The platform calls us.

    def webhook_settings(self) -> Mapping[str, str]:
        """Variables of its webhook, beside those that every webhook has."""

    def processor_settings(self) -> Mapping[str, str]:
        """Variables of the functions that answer, beside those that every such function has."""

    def signed(self, call: Call, *, at: float, is_forged: bool = False) -> Call:
        """`call` with the proof made at that time of day; forged: by somebody who does not know the secret."""

    def sent_again(self, call: Call) -> Call:
        """The same delivery as the platform repeats it."""

    def handshake(self) -> tuple[Call, Mapping[str, object]]:
        """The call with which the platform checks our address, and what it wants to hear."""

    def question(self, text: str, place: Place, *, thread: MessageReceived | None = None) -> Call:
        """The person says something to the assistant, which the fake shows from now on."""

    def twin(self, question: Call) -> Call:
        """What the platform sends beside `question` for the same message."""

    def chatter(self) -> Call:
        """People talk to each other in a channel."""

    def own_message(self) -> Call:
        """The assistant's own message, as the platform tells everybody of it."""

    def other_bot(self) -> Call:
        """Another bot says something to the assistant."""

    def edited(self, question: Call, text: str) -> Call:
        """The person changed the message of `question`."""

    def deleted(self, question: Call) -> Call:
        """The person took it back."""

    def pressed(self, message: MessageReceived, shown: Shown, label: str) -> Call:
        """The person pressed a button that the fake shows."""

    def judged(self, message: MessageReceived, shown: Shown, value: Literal["up", "down"]) -> Call:
        """The person judged an answer with what stands below it."""

    def installed(self) -> Call:
        """The app came to the workspace."""

    def uninstalled(self) -> Call:
        """It was removed."""

    # We call the platform.

    def shown(self, message: MessageReceived) -> list[Shown]:
        """Our messages where `message` was said, oldest first."""

    def fail(
        self, what: What, status: int, *, retry_after: int | None = None, times: int = 1, is_done: bool = False
    ) -> None:
        """Let the next calls fail; `is_done`: they take effect and only their answer is lost."""

    def calls(self) -> int:
        """How many calls the fake took."""

    def revoke(self) -> None:
        """The installation's token is no longer good."""

    def remove(self, message: MessageReceived, shown: Shown) -> None:
        """Somebody deletes a message of ours."""

    def stop(self, shown: Shown) -> None:
        """The reader ends an arriving answer with a button of the platform's own, of which nobody tells us."""

    def file(self, content: bytes) -> FileReference:
        """A file that the person attached; its size is told where the platform tells it."""

    def trusting(self, url: str) -> Mapping[str, str]:
        """The adapter's options where the platform itself is at `url`."""


def names() -> list[str]:
    """Every platform that has a folder."""
    folder = ROOT / "layers" / "core" / "core" / "platforms"
    return sorted(path.name for path in folder.iterdir() if (path / "__init__.py").is_file())


def load(name: str) -> type[Platform]:
    """The class that a platform brings.

    Raises:
        LookupError: It brings none; the text says what to add.
    """
    title = name.title().replace("_", "")
    if not (Path(__file__).parent / f"{name}.py").is_file():
        missing = (
            f"core/platforms/{name} is a platform without its part of the contract suite: add tests/contract/{name}.py "
            f"with a class `{title}` that fulfils tests.contract.platform.Platform (tests/contract/slack.py is one): "
            "how to sign a call, what the platform sends, and its fake server"
        )
        raise LookupError(missing)
    found: type[Platform] = getattr(import_module(f"tests.contract.{name}"), title)
    return found
