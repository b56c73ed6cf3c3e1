"""Counts what DynamoDB would bill: requests, and units computed from the sizes of items.

The rules are those of AWS's developer guide ("DynamoDB item sizes and formats", "DynamoDB read and write operations",
"Using Global Secondary Indexes"): a write unit per 1 KB begun of the larger of the old and the new item, twice that
within a transaction; a read unit per 4 KB begun, half of it where a read may lag; an index entry is written where its
keys appear, twice where they change.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Self
from unittest.mock import patch

from botocore.client import BaseClient

type Item = Mapping[str, Mapping[str, Any]]

_WRITE_UNIT = 1024
_READ_UNIT = 4096
_ELEMENT_OVERHEAD = 1
_DOCUMENT_OVERHEAD = 3
_KEYS = ("PK", "SK")
_INDEXES = {"GSI1": ("GSI1PK", "GSI1SK"), "GSI2": ("GSI2PK", "GSI2SK")}


def item_size(item: Item) -> int:
    """An item's size in bytes as DynamoDB counts it: names and values in UTF-8."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    [(kind, plain)] = value.items()
    match kind:
        case "S":
            return len(plain.encode())
        case "N":
            digits: str = plain.strip("-").replace(".", "").strip("0")
            return math.ceil(len(digits) / 2) + 1 + (1 if plain.startswith("-") else 0)
        case "M":
            return _DOCUMENT_OVERHEAD + item_size(plain) + _ELEMENT_OVERHEAD * len(plain)
        case "L":
            return _DOCUMENT_OVERHEAD + sum(_value_size(element) + _ELEMENT_OVERHEAD for element in plain)
        case "BOOL" | "NULL":
            return 1
    msg = f"the meter does not know the size of type {kind}"
    raise AssertionError(msg)


def _index_entry(item: Item, index: str) -> Item | None:
    names = (*_KEYS, *_INDEXES[index])
    return {name: item[name] for name in names} if all(name in item for name in names) else None


def _write_units(before: Item, after: Item, *, factor: int) -> int:
    size = max(item_size(before), item_size(after), 1)
    return factor * math.ceil(size / _WRITE_UNIT) + sum(_index_units(before, after, index) for index in _INDEXES)


def _index_units(before: Item, after: Item, index: str) -> int:
    old, new = _index_entry(before, index), _index_entry(after, index)
    if old == new:
        return 0
    return sum(math.ceil(item_size(entry) / _WRITE_UNIT) for entry in (old, new) if entry)


class Meter:
    """Counts while its block runs, over every client of the process; requests wait for each other meanwhile.

    Attributes:
        requests: How many requests were sent.
        write_units: What they wrote.
        read_units: What they read.
        by_operation: Requests by name of the operation.
        largest: The largest item written, in bytes, by the first letters of its keys.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.write_units = 0.0
        self.read_units = 0.0
        self.by_operation: Counter[str] = Counter()
        self.largest: dict[str, int] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self._send: Callable[[BaseClient, str, Any], Any] = vars(BaseClient)["_make_api_call"]
        meter = self

        def count(client: BaseClient, operation: str, arguments: Any) -> Any:
            if client.meta.service_model.service_name != "dynamodb":
                return meter._send(client, operation, arguments)
            with meter._lock:
                return meter._count(client, operation, arguments)

        self._patch = patch.object(BaseClient, "_make_api_call", count)
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    def _count(self, client: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        self.requests += 1
        self.by_operation[operation] += 1
        match operation:
            case "PutItem" | "UpdateItem" | "DeleteItem":
                return self._count_writes(client, operation, arguments, [arguments], factor=1)
            case "TransactWriteItems":
                writes = [write for entry in arguments["TransactItems"] for write in entry.values()]
                return self._count_writes(client, operation, arguments, writes, factor=2)
            case "BatchWriteItem":
                writes = [_as_write(name, entry) for name, each in arguments["RequestItems"].items() for entry in each]
                return self._count_writes(client, operation, arguments, writes, factor=1)
            case "GetItem" | "Query" | "BatchGetItem":
                answer = self._send(client, operation, arguments)
                self.read_units += _read_units(operation, arguments, answer)
                return answer
        msg = f"the meter does not know {operation}"
        raise AssertionError(msg)

    def _count_writes(
        self,
        client: BaseClient,
        operation: str,
        arguments: dict[str, Any],
        writes: list[dict[str, Any]],
        *,
        factor: int,
    ) -> Any:
        before = [self._look(client, write) for write in writes]
        try:
            return self._send(client, operation, arguments)
        finally:  # a refused write is billed, too
            for write, old in zip(writes, before, strict=True):
                new = self._look(client, write)
                self.write_units += _write_units(old, new, factor=factor)
                kind = new["SK"]["S"][:2] if new else ""
                self.largest[kind] = max(self.largest.get(kind, 0), item_size(new))

    def _look(self, client: BaseClient, write: dict[str, Any]) -> Item:
        key = write.get("Key") or {name: write["Item"][name] for name in _KEYS}
        asked = {"TableName": write["TableName"], "Key": key, "ConsistentRead": True}
        found: Item = self._send(client, "GetItem", asked).get("Item", {})
        return found


def _as_write(table_name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    [request] = entry.values()
    return {"TableName": table_name, **request}


def _read_units(operation: str, arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> float:
    assert "FilterExpression" not in arguments, "what a filter drops is billed: the meter does not see it"
    assert "ProjectionExpression" not in arguments, "what a projection leaves out is billed: the meter does not see it"
    factor = 1.0 if arguments.get("ConsistentRead") else 0.5
    match operation:
        case "GetItem":
            return factor * _read_blocks(item_size(answer.get("Item", {})))
        case "Query":
            return factor * _read_blocks(sum(item_size(item) for item in answer["Items"]))
        case _:
            asked = sum(len(table["Keys"]) for table in arguments["RequestItems"].values())
            found = [item for items in answer["Responses"].values() for item in items]
            missing = asked - len(found)
            return 0.5 * (sum(_read_blocks(item_size(item)) for item in found) + missing)


def _read_blocks(size: int) -> int:
    return max(1, math.ceil(size / _READ_UNIT))
