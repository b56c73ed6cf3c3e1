"""What conversations started with: each content once in the table, and once in memory, since it never changes."""

import hashlib
import json

from core.configuration import Input
from core.errors import PermanentError
from core.store import keys
from core.store.configurations import pack_input, unpack_input
from core.store.items import InputItem
from core.store.overflow import Overflow
from core.store.table import Table

_KEPT = 256


class Inputs:
    """Inputs by the hash of their content. Safe to share between threads."""

    def __init__(self, table: Table, overflow: Overflow) -> None:
        self._table = table
        self._overflow = overflow
        self._kept: dict[tuple[str, str], Input] = {}

    def save(self, company_id: str, input_: Input) -> str:
        """Store an input unless its content is there, and return the hash of its content."""
        content = json.dumps(input_.model_dump(mode="json", by_alias=True), sort_keys=True)
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        if (company_id, sha256) not in self._kept:
            self._table.put_new(pack_input(company_id, sha256, input_, self._overflow))
            self._keep(company_id, sha256, input_)
        return sha256

    def get(self, company_id: str, sha256: str) -> Input:
        """The input with this content hash.

        Raises:
            PermanentError: There is none.
        """
        kept = self._kept.get((company_id, sha256))
        if kept:
            return kept
        item = self._table.get(InputItem, keys.input_key(company_id, sha256))
        if item is None:
            raise PermanentError("input-missing", "the configuration that this conversation started with is gone")
        input_ = unpack_input(item, self._overflow)
        self._keep(company_id, sha256, input_)
        return input_

    def _keep(self, company_id: str, sha256: str, input_: Input) -> None:
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[company_id, sha256] = input_
