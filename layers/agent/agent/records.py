"""The records of a turn's tools, written with its claim."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.models import ToolUsage
from core.store import Claim, Store


@dataclass(frozen=True, slots=True)
class ClaimRecords:
    """Writes down what the tools of one claim are asked and what they give."""

    store: Store
    claim: Claim

    def start(self, usages: Sequence[ToolUsage]) -> None:
        """Before they run: one request for all tools of a step."""
        self.store.start_tool_usages(self.claim, usages)

    def finish(self, usages: Sequence[ToolUsage]) -> None:
        """Before their results are used."""
        self.store.finish_tool_usages(self.claim, usages)
