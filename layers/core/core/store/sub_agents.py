"""Settings that name other settings as sub-agents: whether those exist, and whether the circle would close."""

from collections.abc import Callable, Iterator

from core.configuration import Settings, SubAgentTool
from core.errors import PermanentError

type Find = Callable[[str, int | None], Settings | None]

_MOST_SETTINGS = 1_000  # that are looked through


def check_sub_agents(settings: Settings, find: Find) -> None:
    """Return if `settings`, once stored, have sub-agents that exist and none that asks one that asks it.

    Args:
        settings: The version that is to be stored.
        find: Settings of the same company by id and version; a version of None is the current one.

    Raises:
        PermanentError: `settings-invalid`, with the place in the settings.
    """
    for number, tool in enumerate(settings.tools):
        if not isinstance(tool, SubAgentTool):
            continue
        named = tool.settings_id if tool.settings_version is None else f"{tool.settings_id} v{tool.settings_version}"
        if tool.settings_id != settings.id and find(tool.settings_id, tool.settings_version) is None:
            raise PermanentError("settings-invalid", f"tools[{number}].settingsId: there are no settings {named}")
        if circle := _find_circle(settings, tool, find):
            path = " → ".join(circle)
            raise PermanentError(
                "settings-invalid", f"tools[{number}].settingsId: a sub-agent would ask itself: {path}"
            )


def _find_circle(settings: Settings, tool: SubAgentTool, find: Find) -> tuple[str, ...]:
    """The way from `settings` through `tool` back to one that is on it already; empty where there is none.

    A pinned version of the settings themselves closes the circle, too: what asks what is said by ids.
    """
    waiting: list[tuple[tuple[str, ...], SubAgentTool]] = [((settings.id,), tool)]
    seen: set[tuple[str, int | None]] = set()
    while waiting and len(seen) < _MOST_SETTINGS:
        path, asked = waiting.pop()
        if asked.settings_id in path:
            return (*path, asked.settings_id)
        key = asked.settings_id, asked.settings_version
        if key in seen:
            continue
        seen.add(key)
        found = find(*key)
        if found:
            waiting += [((*path, found.id), each) for each in _sub_agents(found)]
    return ()


def _sub_agents(settings: Settings) -> Iterator[SubAgentTool]:
    return (tool for tool in settings.tools if isinstance(tool, SubAgentTool))
