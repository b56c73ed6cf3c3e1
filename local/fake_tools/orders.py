"""The book of orders behind the API and the MCP server, and what was asked of it."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came in: `path` is as it stood on the wire, with its query; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        """The body as a JSON object; an empty one where it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(slots=True)
class Orders:
    """The orders. `effects` has one entry per order that was placed: the idempotency key it came with."""

    calls: list[Call] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _orders: dict[str, dict[str, object]] = field(default_factory=dict)
    _by_key: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._orders["A-1"] = {"id": "A-1", "item": "tea", "quantity": 2, "status": "shipped"}

    def find(self, order_id: str) -> dict[str, object] | None:
        """The order of that id."""
        with self.lock:
            return self._orders.get(order_id)

    def list(self, status: str | None) -> list[dict[str, object]]:
        """All orders, or those of one status."""
        with self.lock:
            return [order for order in self._orders.values() if status in (None, order["status"])]

    def place(self, item: str, quantity: int, key: str) -> dict[str, object]:
        """A new order, or the one that was placed with this key before."""
        with self.lock:
            if key and key in self._by_key:
                return self._orders[self._by_key[key]]
            order_id = f"B-{len(self.effects) + 1}"
            order: dict[str, object] = {"id": order_id, "item": item, "quantity": quantity, "status": "open"}
            self._orders[order_id] = order
            self._by_key[key] = order_id
            self.effects.append(key)
            return order
