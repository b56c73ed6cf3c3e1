"""The arguments of one Web API call, read the way Slack reads them: JSON or form, all optional until asked for."""

import json
import re
from collections.abc import Mapping

_TS = re.compile(r"\d{10}\.\d{6}")


class SlackError(Exception):
    """An answer with `ok: false`; `extra` is merged into it."""

    def __init__(self, error: str, **extra: object) -> None:
        super().__init__(error)
        self.error = error
        self.extra = extra


def missing_field(name: str) -> SlackError:
    """The error of a call that left a required argument out."""
    return SlackError("invalid_arguments", response_metadata={"messages": [f"[ERROR] missing required field: {name}"]})


class Arguments:
    """Typed access to what the caller sent. In a form, arrays and objects arrive as JSON in a string."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Whether the caller named it at all."""
        return name in self._values

    def required(self, name: str) -> str:
        """The text of an argument the method cannot do without."""
        value = self.optional(name)
        if value is None:
            raise missing_field(name)
        return value

    def optional(self, name: str) -> str | None:
        """The text of an argument; one that is empty counts as absent."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        return value if isinstance(value, str) else json.dumps(value)

    def text(self, name: str) -> str:
        """The text of an argument that may be present and empty, as a status that is cleared."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise missing_field(name)
        return value

    def ts(self, name: str, *, error: str) -> str | None:
        """A message's timestamp; `error` answers a number or a malformed one, which Slack does not take."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not _TS.fullmatch(value):
            raise SlackError(error)
        return value

    def flag(self, name: str) -> bool:
        """Whether a switch is on, in any of the spellings a form has for it."""
        return str(self._values.get(name, "")).lower() in {"1", "true"}

    def number(self, name: str, default: int, *, highest: int) -> int:
        """A count between 1 and `highest`."""
        try:
            value = int(str(self._values.get(name) or default))
        except ValueError as exc:
            raise SlackError("invalid_arguments") from exc
        if not 1 <= value <= highest:
            raise SlackError("invalid_limit")
        return value

    def objects(self, name: str, *, error: str) -> list[dict[str, object]]:
        """A list of objects, empty where absent; `error` answers anything else."""
        value = self._parsed(name, error)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise SlackError(error)
        return [dict(item) for item in value]

    def object_or_none(self, name: str, *, error: str) -> dict[str, object] | None:
        """One object; `error` answers anything else."""
        value = self._parsed(name, error)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise SlackError(error)
        return dict(value)

    def _parsed(self, name: str, error: str) -> object:
        value = self._values.get(name)
        if not isinstance(value, str) or value == "":
            return value or None
        try:
            parsed: object = json.loads(value)
        except ValueError as exc:
            raise SlackError(error) from exc
        return parsed
