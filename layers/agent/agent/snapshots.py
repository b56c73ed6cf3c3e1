"""What a conversation keeps of a company's settings: an input, and one for each sub-agent below it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.entries import make_input
from core.configuration import Input, Settings, SubAgentTool
from core.telemetry import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Makes inputs from the innermost sub-agent outwards, each of them once.

    Attributes:
        find: Settings by id and version; a version of None is the current one.
        save: Stores an input and gives its hash.
    """

    find: Callable[[str, int | None], Settings | None]
    save: Callable[[Input], str]
    _made: dict[tuple[str, int, int], Input] = field(default_factory=dict)

    def take(self, settings: Settings) -> Input:
        """The input of a conversation that starts with `settings`; its sub-agents' inputs are stored.

        What is deeper than the settings' own limit allows, or would ask one of those that ask it, is left out.
        """
        return self._take(settings, settings.limits.max_sub_agent_depth, (settings.id,))

    def _take(self, settings: Settings, depth: int, asking: tuple[str, ...]) -> Input:
        made = make_input(settings)
        sub_agents = {}
        for tool in settings.tools:
            if not isinstance(tool, SubAgentTool):
                continue
            found = self.find(tool.settings_id, tool.settings_version)
            if depth < 1 or found is None or found.id in asking:
                logger.warning("sub-agent left out", extra={"tool": tool.name, "settings": tool.settings_id})
                continue
            sub_agents[tool.name] = self.save(self._take_once(found, depth - 1, (*asking, found.id)))
        return made.model_copy(update={"sub_agents": sub_agents}) if sub_agents else made

    def _take_once(self, settings: Settings, depth: int, asking: tuple[str, ...]) -> Input:
        key = settings.id, settings.version, depth
        if key not in self._made:
            self._made[key] = self._take(settings, depth, asking)
        return self._made[key]
