"""The records of a turn's tools, written with its claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.models import ToolUsage
from core.store import Claim, Store


@dataclass(frozen=True, slots=True)
class ClaimRecords:
    """Writes down what the tools of one claim are asked and what they give."""

    store: Store
    claim: Claim
    edition: datetime | None = None

    def start(self, usages: Sequence[ToolUsage]) -> None:
        """Before they run: one request for all tools of a step."""
        self.store.start_tool_usages(self.claim, self._marked(usages))

    def finish(self, usages: Sequence[ToolUsage]) -> None:
        """Before their results are used."""
        self.store.finish_tool_usages(self.claim, self._marked(usages))

    def _marked(self, usages: Sequence[ToolUsage]) -> Sequence[ToolUsage]:
        """For which form of the question they were: what an edit left behind is not replayed."""
        if self.edition is None:
            return usages
        return [usage.model_copy(update={"edition": self.edition}) for usage in usages]
