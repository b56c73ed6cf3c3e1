"""The one way to the table: sends items and conditions to DynamoDB.

Time limits, retries and region are set here; PynamoDB's own are made for long-lived servers. Each Table has a client
of its own, made when the Table is: PynamoDB would make it lazily, in whichever thread comes first.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import TableConnection
from pynamodb.connection.base import MetaTable
from pynamodb.exceptions import PynamoDBException
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from core.errors import RetryableError
from core.store.expiry import read_clock
from core.store.faults import ConditionFailedError, ConflictError, translate
from core.store.items import Item, RawItem
from core.store.keys import Key

_CONNECT_SECONDS = 1
_READ_SECONDS = 3
_RETRIES = 2  # after the first try: a queue's redelivery is the longer patience
_CONNECTIONS = 50
_BATCH_LIMIT = 100  # keys in one BatchGetItem
_BATCH_WRITE_LIMIT = 25  # items in one BatchWriteItem
_BATCH_TRIES = 5
_CONFLICT_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.7)  # seconds at most before each further try: two seconds in all

_KEY_NAMES = ("PK", "SK")
_INDEXES = ("GSI1", "GSI2")


@dataclass(frozen=True, slots=True)
class Put:
    """Write an item, whole."""

    item: Item
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Change an item's attributes; makes the item where there is none."""

    key: Key
    actions: Sequence[Action]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an item; with a condition, one that fulfils it."""

    key: Key
    condition: Condition | None = None


class Table:
    """The table, for the rooms of the store. Safe to share between threads.

    No read shows an item whose time is over, though DynamoDB may take days to delete it.
    """

    def __init__(
        self,
        name: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = read_clock,
    ) -> None:
        self._name = name
        self._pause = pause
        self._clock = clock
        self._rows = TableConnection(
            name,
            region=region,
            host=endpoint_url,
            connect_timeout_seconds=_CONNECT_SECONDS,
            read_timeout_seconds=_READ_SECONDS,
            max_retry_attempts=_RETRIES,
            max_pool_connections=_CONNECTIONS,
            meta_table=MetaTable(_describe(name)),
        )
        _ = self._rows.connection.client  # made now, by one thread

    def get[I: Item](self, kind: type[I], key: Key, *, consistent: bool = False) -> I | None:
        """The item, or None where there is none."""
        answer = self._call(partial(self._rows.get_item, *key, consistent_read=consistent))
        live = self._live([answer["Item"]] if answer.get("Item") else [])
        return kind.from_raw(live[0]) if live else None

    def _live(self, found: Sequence[RawItem]) -> list[RawItem]:
        now = self._clock().timestamp()
        return [raw for raw in found if "ttl" not in raw or int(raw["ttl"]["N"]) > now]

    def get_many[I: Item](self, kind: type[I], keys: Iterable[Key]) -> list[I]:
        """The items that are there, in the order of `keys`."""
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, I] = {}
        for start in range(0, len(wanted), _BATCH_LIMIT):
            for raw in self._live(self._get_batch(wanted[start : start + _BATCH_LIMIT])):
                item = kind.from_raw(raw)
                found[item.pk, item.sk] = item
        return [found[key] for key in wanted if key in found]

    def _get_batch(self, keys: Sequence[Key]) -> list[RawItem]:
        pending = [{name: {"S": part} for name, part in zip(_KEY_NAMES, key, strict=True)} for key in keys]
        found: list[RawItem] = []
        for tries in range(_BATCH_TRIES):
            if tries:
                self._pause(random.uniform(0, 0.1 * 2**tries))  # noqa: S311 - jitter
            arguments = {"RequestItems": {self._name: {"Keys": pending}}}
            answer = self._call(partial(self._rows.connection.dispatch, "BatchGetItem", arguments))
            found.extend(answer["Responses"].get(self._name, ()))
            pending = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            if not pending:
                return found
        raise RetryableError("table-throttled", "the table left keys unread")

    def query[I: Item](
        self,
        kind: type[I],
        partition: str,
        places: Condition | None = None,
        *,
        limit: int | None = None,
        newest_first: bool = False,
        consistent: bool = False,
        with_expired: bool = False,
    ) -> list[I]:
        """A partition's items in the order of their sort keys, all of them or the first `limit`."""
        answers = self._pages(partition, places, None, limit, newest_first=newest_first, consistent=consistent)
        return [kind.from_raw(raw) for raw in (answers if with_expired else self._live(answers))]

    def query_keys(self, partition: str, places: Condition | None = None) -> list[Key]:
        """The keys of everything in a partition, what has expired included."""
        answers = self._pages(partition, places, None, None, newest_first=False, consistent=True)
        return [(raw["PK"]["S"], raw["SK"]["S"]) for raw in answers]

    def query_index(
        self,
        index: str,
        partition: str,
        places: Condition | None = None,
        *,
        limit: int | None = None,
        newest_first: bool,
    ) -> list[Key]:
        """The keys of the items that an index has in a partition, in its order. Follows writes within a second."""
        answers = self._pages(partition, places, index, limit, newest_first=newest_first, consistent=False)
        return [(raw["PK"]["S"], raw["SK"]["S"]) for raw in answers]

    def _pages(
        self,
        partition: str,
        places: Condition | None,
        index: str | None,
        limit: int | None,
        *,
        newest_first: bool,
        consistent: bool,
    ) -> list[RawItem]:
        found: list[RawItem] = []
        start: Mapping[str, Any] | None = None  # DynamoDB's own key, handed back as it came
        while limit is None or len(found) < limit:
            read_page = partial(
                self._rows.query,
                partition,
                places,
                index_name=index,
                limit=None if limit is None else limit - len(found),
                scan_index_forward=not newest_first,
                consistent_read=consistent,
                exclusive_start_key=start,
            )
            answer = self._call(read_page)
            found.extend(answer["Items"])
            start = answer.get("LastEvaluatedKey")
            if not start:
                break
        return found

    def put(self, item: Item, condition: Condition | None = None) -> None:
        """Write an item, whole.

        Raises:
            ConditionFailedError: `condition` does not hold; it carries the item that stands.
        """
        self._write("PutItem", self._put_arguments(Put(item, condition)))

    def put_new(self, item: Item) -> bool:
        """Write an item unless its key has one; True where it was written."""
        try:
            self.put(item, Item.pk.does_not_exist())
        except ConditionFailedError:
            return False
        return True

    def change[I: Item](
        self, kind: type[I], key: Key, actions: Sequence[Action], condition: Condition | None = None
    ) -> I:
        """Change an item's attributes, making it where there is none, and return it as it is now.

        Raises:
            ConditionFailedError: `condition` does not hold; it carries the item that stands.
        """
        arguments = self._change_arguments(Change(key, actions, condition))
        answer = self._write("UpdateItem", {**arguments, "ReturnValues": "ALL_NEW"})
        return kind.from_raw(answer["Attributes"])

    def change_known[I: Item](
        self, kind: type[I], key: Key, actions: Sequence[Action], condition: Condition | None = None
    ) -> bool:
        """Change an item that is there and fulfils `condition`; False where there is none such."""
        exists = kind.pk.exists()
        try:
            self.change(kind, key, actions, exists if condition is None else exists & condition)
        except ConditionFailedError:
            return False
        return True

    def delete(self, delete: Delete) -> bool:
        """Remove an item; False where there is none that fulfils the condition."""
        try:
            self._write("DeleteItem", self._delete_arguments(delete))
        except ConditionFailedError:
            return False
        return True

    def write_batch(self, writes: Sequence[Item | Key]) -> None:
        """Write items, whole, and remove those of keys: twenty-five a request, each for itself, unconditionally."""
        for batch in batched(map(self._batch_entry, writes), _BATCH_WRITE_LIMIT, strict=False):
            self._write_pending(list(batch))

    def _batch_entry(self, write: Item | Key) -> dict[str, object]:
        if isinstance(write, Item):
            return {"PutRequest": {"Item": write.serialize()}}
        return {"DeleteRequest": {"Key": {name: {"S": part} for name, part in zip(_KEY_NAMES, write, strict=True)}}}

    def _write_pending(self, pending: list[dict[str, object]]) -> None:
        for tries in range(_BATCH_TRIES):
            if tries:
                self._pause(random.uniform(0, 0.1 * 2**tries))  # noqa: S311 - jitter
            answer = self._write("BatchWriteItem", {"RequestItems": {self._name: pending}})
            pending = answer.get("UnprocessedItems", {}).get(self._name, [])
            if not pending:
                return
        raise RetryableError("table-throttled", "the table left items unwritten")

    def transact(self, writes: Sequence[Put | Change | Delete]) -> None:
        """Make all of `writes`, or none.

        One request token covers every try, so that a try whose answer was lost is not taken for a refusal.

        Raises:
            ConditionFailedError: A condition does not hold; `places` says of which writes.
        """
        token = str(uuid4())
        arguments = {"TransactItems": [self._transact_item(write) for write in writes], "ClientRequestToken": token}
        self._write("TransactWriteItems", arguments)

    def _transact_item(self, write: Put | Change | Delete) -> dict[str, object]:
        match write:
            case Put():
                return {"Put": self._put_arguments(write, is_asking_back=False)}
            case Change():
                return {"Update": self._change_arguments(write, is_asking_back=False)}
            case Delete():
                return {"Delete": self._delete_arguments(write)}

    def _put_arguments(self, put: Put, *, is_asking_back: bool = True) -> dict[str, Any]:
        attributes = put.item.serialize()
        partition, place = (attributes.pop(name)["S"] for name in _KEY_NAMES)
        return self._rows.get_operation_kwargs(
            partition,
            place,
            key="Item",
            attributes=attributes,
            condition=put.condition,
            return_values_on_condition_failure=_asked_back(put.condition, is_asking_back=is_asking_back),
        )

    def _delete_arguments(self, delete: Delete) -> dict[str, Any]:
        return self._rows.get_operation_kwargs(*delete.key, condition=delete.condition)

    def _change_arguments(self, change: Change, *, is_asking_back: bool = True) -> dict[str, Any]:
        return self._rows.get_operation_kwargs(
            *change.key,
            actions=change.actions,
            condition=change.condition,
            return_values_on_condition_failure=_asked_back(change.condition, is_asking_back=is_asking_back),
        )

    def _write(self, operation: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        """Send a write; where it met a transaction of somebody else, again after a random pause."""
        for longest in (*_CONFLICT_PAUSES, None):
            try:
                return self._call(partial(self._rows.connection.dispatch, operation, arguments))
            except ConflictError:
                if longest is None:
                    break
                self._pause(random.uniform(longest / 2, longest))  # noqa: S311 - jitter
        raise RetryableError("table-conflict", "other writes to the same items kept coming")

    def _call(self, send: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        try:
            return send()
        except PynamoDBException as exc:
            raise translate(exc.cause or exc) from exc
        except (ClientError, BotoCoreError) as exc:
            raise translate(exc) from exc


def _asked_back(condition: Condition | None, *, is_asking_back: bool) -> str | None:
    return "ALL_OLD" if is_asking_back and condition is not None else None


def _describe(name: str) -> dict[str, object]:
    """What PynamoDB must know of the table, in the form of DescribeTable; template.yaml defines it."""
    indexes = [{"IndexName": index, "KeySchema": _key_schema(f"{index}PK", f"{index}SK")} for index in _INDEXES]
    names = [*_KEY_NAMES, *(key for index in _INDEXES for key in (f"{index}PK", f"{index}SK"))]
    return {
        "TableName": name,
        "KeySchema": _key_schema(*_KEY_NAMES),
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in names],
        "GlobalSecondaryIndexes": indexes,
    }


def _key_schema(partition: str, place: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": place, "KeyType": "RANGE"}]
