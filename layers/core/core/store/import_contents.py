"""Imports as items and back: what has parts of its own is one JSON text, a long text is in S3."""

from collections.abc import Mapping
from datetime import datetime

from pynamodb.expressions.update import Action

from core.imports import Import, ImportNotice, ImportOptions, ImportOrigin, ImportProgress, ImportStatus
from core.store import keys
from core.store.import_items import ImportItem
from core.store.items import to_stored_name
from core.store.overflow import Overflow, Pointer
from core.values import Value, to_iso

_PARTS: Mapping[str, type[Value]] = {
    "options": ImportOptions,
    "progress": ImportProgress,
    "origin": ImportOrigin,
    "notice": ImportNotice,
}
_LONG = frozenset({"output_content", "mapping", "questions", "preview"})  # in S3 where they are long


class ImportContents:
    """The texts of imports. Safe to share between threads."""

    def __init__(self, overflow: Overflow) -> None:
        self._overflow = overflow

    def pack_new(self, import_: Import) -> ImportItem:
        """The item of a new import."""
        fields = {name: getattr(import_, name) for name in type(import_).model_fields}
        item = ImportItem(*keys.import_key(import_.user_company_id, import_.id))
        for name, stored in self._pack(import_.user_company_id, import_.id, fields).items():
            if stored not in (None, [], False):
                setattr(item, name, stored)
        item.gsi1pk, item.gsi1sk = keys.imports_partition(import_.user_company_id), to_iso(import_.updated_at)
        return item

    def forget_texts(self, company_id: str, import_id: str) -> None:
        """Remove an import's long texts."""
        self._overflow.delete_place(place_of(company_id, import_id))

    def _pack(self, company_id: str, import_id: str, fields: Mapping[str, object]) -> dict[str, object]:
        """The attributes that hold these fields; a long text is in S3 when this returns."""
        packed: dict[str, object] = {}
        for name, field in fields.items():
            if isinstance(field, Value):
                packed[name] = field.model_dump_json(by_alias=True, exclude_defaults=True)
            elif name in _LONG:
                text = str(field) if field is not None else None
                pointer = (
                    self._overflow.keep(place_of(company_id, import_id), to_stored_name(name), text) if text else None
                )
                packed[name] = None if pointer else text
                packed[f"{name}_at"] = pointer.model_dump(by_alias=True) if pointer else None
            else:
                plain = field.value if isinstance(field, ImportStatus) else field
                packed[name] = list(plain) if isinstance(plain, tuple) else plain  # PynamoDB takes a tuple for an entry
        return packed

    def changes(self, company_id: str, import_id: str, changes: Mapping[str, object]) -> list[Action]:
        """What stores these fields of an import; None removes one. Long texts are in S3 when this returns."""
        packed = self._pack(company_id, import_id, changes)
        attributes = ImportItem.get_attributes()
        return [
            attributes[name].remove() if stored is None else attributes[name].set(stored)
            for name, stored in packed.items()
        ]

    def unpack(self, item: ImportItem) -> Import:
        """The import in an item, its long texts filled in."""
        stored = item.fields()
        for name in _LONG:
            if pointer := stored.pop(f"{name}_at", None):
                stored[name] = self._overflow.read(Pointer.model_validate(pointer))
        for name, kind in _PARTS.items():
            if name in stored:
                stored[name] = kind.model_validate_json(stored[name])
        return Import.model_validate(stored)


def place_of(company_id: str, import_id: str) -> tuple[str, ...]:
    """Where the long texts of an import are."""
    return ("C", company_id, "I", import_id)


def touch(now: datetime) -> list[Action]:
    """What moves an import to the front of its company's list."""
    return [ImportItem.updated_at.set(now), ImportItem.gsi1sk.set(to_iso(now))]
