"""A valid instance of a JSON schema, the same one every time.

Understands type (also lists of types), properties, required, items, prefixItems, minItems, uniqueItems, enum, const,
anyOf, oneOf, allOf, $ref into the same document, bounds and multiples of numbers, length, format and common patterns of
strings. Recursive schemas end after a few levels. `not`, conditions and dependencies are not looked at.
"""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property

from local.standin_model.values import ApiError, Json, JsonObject, as_list, as_object, as_text, dump

_COMFORTABLE_DEPTH = 8  # deeper than this, whatever may be left out is left out
_COMFORTABLE_VALUES = 2_000  # and also from so many values on
_MOST_VALUES = 50_000
_DEEPEST = 40
_MOST_ITEMS = 1_000
_LONGEST_STRING = 100_000

_FORMATS = {
    "date": "2024-01-{day:02d}",
    "date-time": "2024-01-{day:02d}T12:00:00Z",
    "time": "12:{day:02d}:00Z",
    "duration": "P{day}D",
    "email": "stand-in-{day}@example.com",
    "hostname": "stand-in-{day}.example.com",
    "ipv4": "192.0.2.{day}",
    "ipv6": "2001:db8::{day}",
    "uri": "https://example.com/stand-in/{day}",
    "uuid": "00000000-0000-4000-8000-0000000000{day:02d}",
}
# Simplest first: where the depth is used up, the first of these that a schema allows is taken.
_SIMPLEST_FIRST = ("null", "boolean", "integer", "number", "string", "array", "object")


def fill(schema: JsonObject) -> Json:
    """A valid instance of `schema`.

    Raises:
        ApiError: The schema has no finite instance, or refers to something outside itself.
    """
    try:
        return _Filler(schema).value(schema, depth=0, variant=0)
    except RecursionError as exc:
        raise _UnusableError("it is nested too deeply") from exc


class _UnusableError(ApiError):
    def __init__(self, why: str) -> None:
        super().__init__(400, f"The JSON schema cannot be filled: {why}.", code="invalid_json_schema", param="schema")


def _references(node: Json) -> Iterator[str]:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if isinstance(reference := each.get("$ref"), str):
                yield reference
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


class _Filler:
    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._values = 0

    def value(self, node: Json, *, depth: int, variant: int) -> Json:
        """An instance of `node`; another `variant` is another instance where the schema has several."""
        self._values += 1
        if depth > _DEEPEST or self._values > _MOST_VALUES:
            raise _UnusableError("its instances are endless, or too large")
        schema = self._resolved(node)
        if "const" in schema:
            return schema["const"]
        if choices := as_list(schema.get("enum")):
            return choices[variant % len(choices)]
        if alternatives := as_list(schema.get("anyOf")) or as_list(schema.get("oneOf")):
            rest: JsonObject = {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf"}}
            chosen = self._chosen(alternatives, depth)
            return self.value(
                {"allOf": [rest, chosen]} if rest.keys() & {"properties"} else chosen, depth=depth + 1, variant=variant
            )
        match _type_of(schema, is_deep=self._is_deep(depth)):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number" as kind:
                return _number(schema, is_whole=kind == "integer", variant=variant)
            case "boolean":
                return variant % 2 == 0
            case "null":
                return None
            case _:
                return _string(schema, variant)

    def _is_deep(self, depth: int) -> bool:
        return depth > _COMFORTABLE_DEPTH or self._values > _COMFORTABLE_VALUES

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        required = as_list(schema.get("required"))
        properties = as_object(schema.get("properties"))
        filled: JsonObject = {
            name: self.value(node, depth=depth + 1, variant=0)
            for name, node in properties.items()
            if name in required or not self._is_deep(depth)
        }
        extra = schema.get("additionalProperties")
        for name in required:
            if isinstance(name, str) and name not in filled:
                filled[name] = self.value(extra if isinstance(extra, dict) else {}, depth=depth + 1, variant=0)
        for number in range(len(filled), _count(schema, "minProperties", 0)):
            node = extra if isinstance(extra, dict) else {}
            filled[f"stand-in-{number + 1}"] = self.value(node, depth=depth + 1, variant=number)
        return filled

    def _array(self, schema: JsonObject, depth: int) -> list[Json]:
        first = as_list(schema.get("prefixItems"))
        values = [self.value(node, depth=depth + 1, variant=0) for node in first]
        fewest = _count(schema, "minItems", 0)
        wanted = fewest if self._is_deep(depth) or first else max(fewest, 1)
        wanted = min(wanted, _count(schema, "maxItems", wanted))
        items = schema.get("items")
        node = items if isinstance(items, dict) else {}
        return values + [self.value(node, depth=depth + 1, variant=n) for n in range(wanted - len(values))]

    def _chosen(self, alternatives: list[Json], depth: int) -> Json:
        """The first alternative that says something; where the depth is used up, the one that ends soonest."""
        if self._is_deep(depth):
            return min(alternatives, key=lambda node: self._height(node, self._heights))
        kinds = [_type_of(self._resolved(node), is_deep=False) for node in alternatives]
        return next((node for kind, node in zip(kinds, alternatives, strict=True) if kind != "null"), alternatives[0])

    @cached_property
    def _heights(self) -> dict[str, float]:
        """How many levels the smallest instance of each referenced schema has; infinite if it has no end."""
        heights = dict.fromkeys(_references(self._root), math.inf)
        for _ in range(len(heights)):
            lower = {reference: self._height(self._target(reference), heights) for reference in heights}
            if lower == heights:
                break
            heights = lower
        return heights

    def _height(self, node: Json, heights: dict[str, float]) -> float:
        schema = as_object(node)
        if isinstance(reference := schema.get("$ref"), str):
            return heights[reference]
        if "const" in schema or "enum" in schema:
            return 0
        if alternatives := as_list(schema.get("anyOf")) or as_list(schema.get("oneOf")):
            return 1 + min(self._height(each, heights) for each in alternatives)
        parts = as_list(schema.get("allOf"))
        match _type_of(schema, is_deep=True):
            case "object":
                properties = as_object(schema.get("properties"))
                parts = parts + [
                    properties[name]
                    for name in as_list(schema.get("required"))
                    if isinstance(name, str) and name in properties
                ]
            case "array":
                parts = parts + as_list(schema.get("prefixItems"))
                parts += [schema.get("items")] if _count(schema, "minItems", 0) else []
        return 1 + max((self._height(each, heights) for each in parts), default=0)

    def _resolved(self, node: Json) -> JsonObject:
        """`node` with its reference followed and its parts merged."""
        schema = as_object(node)
        for _ in range(_DEEPEST):
            if isinstance(reference := schema.get("$ref"), str):
                schema = self._target(reference) | {key: value for key, value in schema.items() if key != "$ref"}
            elif parts := as_list(schema.get("allOf")):
                schema = _merged(
                    [{key: value for key, value in schema.items() if key != "allOf"}, *map(as_object, parts)]
                )
            else:
                return schema
        raise _UnusableError("its references go in a circle")

    def _target(self, reference: str) -> JsonObject:
        target: Json = self._root
        path = reference.removeprefix("#").strip("/")
        for step in path.split("/") if path else []:
            target = as_object(target).get(step.replace("~1", "/").replace("~0", "~"))
        if not reference.startswith("#") or not isinstance(target, dict):
            why = f"it refers to '{reference}', which it does not hold"
            raise _UnusableError(why)
        return target


def _merged(parts: list[JsonObject]) -> JsonObject:
    merged: JsonObject = {}
    for part in parts:
        for key, value in part.items():
            known = merged.get(key)
            if isinstance(known, dict) and isinstance(value, dict):
                merged[key] = known | value
            elif isinstance(known, list) and isinstance(value, list):
                merged[key] = [*known, *value]
            else:
                merged[key] = value
    return merged


def _type_of(schema: JsonObject, *, is_deep: bool) -> str:
    if "const" in schema or "enum" in schema:
        return "null" if None in [schema.get("const", ""), *as_list(schema.get("enum"))] else "string"
    kinds = [kind for kind in as_list(schema.get("type")) or [schema.get("type")] if kind in _SIMPLEST_FIRST]
    texts = [as_text(kind) for kind in kinds]
    if texts:
        return min(texts, key=_SIMPLEST_FIRST.index) if is_deep else next((k for k in texts if k != "null"), "null")
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _count(schema: JsonObject, name: str, default: int) -> int:
    value = schema.get(name)
    if not isinstance(value, int | float):
        return default
    if value > _MOST_ITEMS:
        why = f"'{name}' is more than {_MOST_ITEMS}"
        raise _UnusableError(why)
    return int(value)


def _number(schema: JsonObject, *, is_whole: bool, variant: int) -> int | float:
    """The allowed number closest above the lower bound or 0, another one per variant where there are several."""
    low, above = _bound(schema, "minimum"), _bound(schema, "exclusiveMinimum")
    high, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")
    step = abs(_bound(schema, "multipleOf") or Decimal(1))
    step = Decimal(step.as_integer_ratio()[0]) if is_whole else step  # the smallest whole multiple
    fits_exactly = is_whole or "multipleOf" in schema
    limits = [bound for bound in (low, above) if bound is not None]
    start = max(limits) if limits else min([Decimal(0), *(bound for bound in (high, below) if bound is not None)])
    rounding = "ROUND_CEILING" if limits else "ROUND_FLOOR"
    number = (start / step).to_integral_value(rounding) * step if fits_exactly else start
    number += step * (number == above) - step * (number == below)
    top = min((bound for bound in (high, below) if bound is not None), default=None)
    if top is not None and not fits_exactly and above is not None and number >= top:
        number = (above + top) / 2
    wished = number + step * variant
    number = wished if top is None or wished < top else number
    return int(number) if number == number.to_integral_value() else float(number)


def _bound(schema: JsonObject, name: str) -> Decimal | None:
    value = schema.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return Decimal(str(value)) if is_number else None


def _string(schema: JsonObject, variant: int) -> str:
    shape = _FORMATS.get(as_text(schema.get("format")))
    text = shape.format(day=variant % 28 + 1) if shape else "stand-in" + (f" {variant + 1}" if variant else "")
    if pattern := as_text(schema.get("pattern")):
        text = _matching(pattern, text, schema)
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if isinstance(shortest, int) and len(text) < shortest:
        if shortest > _LONGEST_STRING:
            why = f"'minLength' is more than {_LONGEST_STRING}"
            raise _UnusableError(why)
        text = text.ljust(shortest, ".")
    return text[:longest] if isinstance(longest, int) else text


def _matching(pattern: str, text: str, schema: JsonObject) -> str:
    try:
        expression = re.compile(pattern)
    except re.error:
        return text
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    low = shortest if isinstance(shortest, int) else 0
    high = longest if isinstance(longest, int) else _LONGEST_STRING
    return next((each for each in _candidates(text) if low <= len(each) <= high and expression.search(each)), text)


def _candidates(text: str) -> Iterator[str]:
    """Texts that common patterns accept: words, codes, numbers, phone numbers, prices, dates."""
    yield from (text, "standin", "stand_in", "Standin", "Stand-In")
    yield from (shape.format(day=1) for shape in _FORMATS.values())
    for length in range(1, 41):
        yield from (character * length for character in "1Aa0")
    yield from (
        "A1",
        "AA11",
        "AAA111",
        "A-1",
        "AA-11",
        "AAA-111",
        "AB-1234",
        "1.0",
        "10.00",
        "+10",
        "+491234567890",
        "#000000",
    )
    yield ""


def fill_as_text(schema: JsonObject) -> str:
    """A valid instance of `schema` as JSON text."""
    return dump(fill(schema))
