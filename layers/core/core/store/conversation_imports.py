"""Imports that conversations began: made before their file comes, told of once, gone with their conversation."""

from collections.abc import Callable
from datetime import datetime

from core.imports import Import, ImportNotice, ImportStatus
from core.models import Company, Message
from core.store import keys
from core.store.expiry import Expiry, expiry_after
from core.store.faults import ConditionFailedError
from core.store.import_contents import ImportContents, touch
from core.store.import_items import ConversationImportItem, ImportItem
from core.store.messages import Messages
from core.store.table import Put, Table


class ConversationImports:
    """The imports of every conversation. Safe to share between threads.

    Args:
        table: The table.
        contents: Imports as items.
        messages: Where what a conversation was told is one of its messages.
        forget: Removes an import of a company and a person, with its files.
    """

    def __init__(
        self, table: Table, contents: ImportContents, messages: Messages, *, forget: Callable[[str, str, str], None]
    ) -> None:
        self._table = table
        self._contents = contents
        self._messages = messages
        self._forget = forget

    def create(self, conversation_id: str, import_: Import, expiry: Expiry | None) -> Import:
        """Store a new import of a conversation, before its file comes; the one that stands under its id."""
        company_id = import_.user_company_id
        key = keys.conversation_import_key(company_id, conversation_id, import_.id)
        mark = ConversationImportItem(*key, import_id=import_.id, ttl=expiry and expiry.ttl)
        try:
            self._table.transact([Put(self._contents.pack_new(import_), ImportItem.pk.does_not_exist()), Put(mark)])
        except ConditionFailedError:
            standing = self._table.get(ImportItem, keys.import_key(company_id, import_.id), consistent=True)
            return self._contents.unpack(standing) if standing else import_
        return import_

    def abandon(self, import_: Import, code: str, message: str, *, now: datetime) -> bool:
        """End an import whose file did not come; False where it has come, and the import goes on."""
        ended = {"processing_status": ImportStatus.FAILED, "error_code": code, "error_message": message}
        actions = [*self._contents.changes(import_.user_company_id, import_.id, ended), *touch(now)]
        is_untouched = (ImportItem.processing_status == ImportStatus.PENDING.value) & (
            ImportItem.fencing_token.does_not_exist() | (ImportItem.fencing_token == 0)
        )
        return self._table.change_known(
            ImportItem, keys.import_key(import_.user_company_id, import_.id), actions, is_untouched
        )

    def list_of(self, company_id: str, conversation_id: str) -> tuple[Import, ...]:
        """The imports that came from a conversation."""
        marks = self._marks(company_id, conversation_id)
        wanted = [keys.import_key(company_id, place.removeprefix(keys.IMPORTS)) for _, place in marks]
        return tuple(self._contents.unpack(item) for item in self._table.get_many(ImportItem, wanted))

    def forget(self, company_id: str, conversation_id: str) -> int:
        """Remove the imports that came from a conversation with all their files; how many there were."""
        found = self.list_of(company_id, conversation_id)
        for import_ in found:
            self._forget(company_id, import_.user_id, import_.id)
        return len(found)

    def _marks(self, company_id: str, conversation_id: str) -> list[keys.Key]:
        partition = keys.conversation_partition(company_id, conversation_id)
        return self._table.query_keys(partition, ConversationImportItem.sk.startswith(keys.IMPORTS))

    def note(self, import_: Import, notice: ImportNotice) -> None:
        """Remember what the conversation was told; when the import was changed last stays as it is."""
        actions = self._contents.changes(import_.user_company_id, import_.id, {"notice": notice})
        self._table.change_known(ImportItem, keys.import_key(import_.user_company_id, import_.id), actions)

    def add_message(self, company: Company, message: Message) -> None:
        """Let what the conversation was told be one of its messages, once."""
        self._messages.add(company.id, message, expiry_after(company.retention_days, message.created_at))
