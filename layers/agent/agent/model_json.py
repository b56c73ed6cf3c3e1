"""JSON as a model's server sends it: of any shape, looked at without trusting it."""

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type JsonObject = dict[str, Json]


def as_object(value: Json) -> JsonObject:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """`value` if it is a JSON list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""
