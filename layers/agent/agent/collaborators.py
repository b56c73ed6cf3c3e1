"""What the turns of one process work with."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.attachments import HearingModel
from agent.budget import check_budget
from agent.people import People
from agent.tools import Tool
from agent.tools.import_file import ChatImports
from core.configuration import Input, Settings
from core.models import Installation
from core.platforms import Outbound
from core.store import Store, keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Collaborators:
    """What a turn works with; built once per cold start.

    Attributes:
        connect: Binds the platform adapter to an installation.
        open_tools: Makes the tools that a conversation's input names.
        imports: Lets a conversation import what is attached in it.
        default_settings: The AI configuration of a company that has none of its own.
        new_id: Makes an opaque id that starts with the given word.
    """

    store: Store
    people: People
    model: HearingModel
    connect: Callable[[Installation], Outbound]
    open_tools: Callable[[Input], Mapping[str, Tool]]
    default_settings: Settings
    imports: ChatImports
    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[str], str] = keys.new_id

    def check_budget(self, company_id: str, user_id: str) -> None:
        """Return if the person's day and the company's month leave room for one more call of the model.

        By the settings as they are now, whatever those were that a conversation began with: a limit holds everywhere.

        Raises:
            PermanentError: `limit-user-day` or `limit-company-month`.
        """
        limits = self.people.find_settings(company_id, self.default_settings).limits
        check_budget(limits, self.store, company_id=company_id, user_id=user_id, now=self.clock())
