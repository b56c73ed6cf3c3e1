"""Templates in versions, the mappings that headers were given, and a company's commercial API."""

import json
from collections.abc import Mapping

from core.errors import PermanentError
from core.imports import CommercialApi, ImportTemplate
from core.store import keys
from core.store.import_items import CommercialApiItem, MappingItem, TemplateItem
from core.store.overflow import Overflow, Place, Pointer
from core.store.table import Delete, Table


class Templates:
    """What the imports of a company are made into, and what was learned on the way. Safe to share between threads."""

    def __init__(self, table: Table, overflow: Overflow) -> None:
        self._table = table
        self._overflow = overflow

    def put_template(self, template: ImportTemplate) -> None:
        """Store the next version of a template.

        Raises:
            PermanentError: `version`, it is not the one after the current version.
        """
        current = self.current_template(template.company_id, template.name)
        following = current.version + 1 if current else 1
        if template.version != following:
            raise PermanentError("version", f"the next version of this template is {following}")
        key = keys.template_partition(template.company_id, template.name), keys.settings_place(template.version)
        place = ("C", template.company_id, "L", template.name, str(template.version))
        document = json.dumps(template.document, ensure_ascii=False, separators=(",", ":"))
        item = TemplateItem(*key)
        item.company_id, item.name, item.version = template.company_id, template.name, template.version
        item.created_at = template.created_at
        item.document, item.document_at = self._keep(place, "document", document)
        if template.version == 1:
            item.gsi1pk, item.gsi1sk = keys.templates_partition(template.company_id), template.name
        if not self._table.put_new(item):
            raise PermanentError("version", "somebody else stored this version of the template just now")

    def current_template(self, company_id: str, name: str) -> ImportTemplate | None:
        """The latest version of a template."""
        items = self._table.query(
            TemplateItem, keys.template_partition(company_id, name), limit=1, newest_first=True, consistent=True
        )
        return self._unpack_template(items[0]) if items else None

    def get_template(self, company_id: str, name: str, version: int) -> ImportTemplate | None:
        """One version of a template."""
        key = keys.template_partition(company_id, name), keys.settings_place(version)
        item = self._table.get(TemplateItem, key, consistent=True)
        return self._unpack_template(item) if item else None

    def list_templates(self, company_id: str) -> tuple[ImportTemplate, ...]:
        """The latest version of each template, by name."""
        first = self._table.query_index("GSI1", keys.templates_partition(company_id), newest_first=False)
        items = self._table.get_many(TemplateItem, first)
        return tuple(current for item in items if (current := self.current_template(company_id, item.name)))

    def list_template_versions(self, company_id: str, name: str) -> tuple[ImportTemplate, ...]:
        """Every version of a template, the latest first."""
        partition = keys.template_partition(company_id, name)
        items = self._table.query(TemplateItem, partition, newest_first=True, consistent=True)
        return tuple(map(self._unpack_template, items))

    # Mappings that were made before

    def find_mapping(self, company_id: str, template: str, version: int, fingerprint: str) -> str | None:
        """The mapping that this header was given before, as JSON."""
        item = self._table.get(MappingItem, keys.mapping_key(company_id, template, version, fingerprint))
        return self._read(item.mapping, item.mapping_at) if item else None

    def save_mapping(self, company_id: str, template: str, version: int, fingerprint: str, mapping: str) -> None:
        """Remember the mapping of this header, in place of an earlier one."""
        key = keys.mapping_key(company_id, template, version, fingerprint)
        place = ("C", company_id, "L", template, str(version), fingerprint)
        item = MappingItem(*key)
        item.mapping, item.mapping_at = self._keep(place, "mapping", mapping)
        self._table.put(item)

    # The commercial API

    def set_commercial_api(self, company_id: str, api: CommercialApi | None) -> None:
        """Where a company's imports are handed to; None: nowhere."""
        key = keys.commercial_api_key(company_id)
        if api is None:
            self._table.delete(Delete(key))
        else:
            self._table.put(CommercialApiItem(*key, document=api.model_dump_json(by_alias=True)))

    def get_commercial_api(self, company_id: str) -> CommercialApi | None:
        """Where a company's imports are handed to."""
        item = self._table.get(CommercialApiItem, keys.commercial_api_key(company_id), consistent=True)
        return CommercialApi.model_validate_json(item.document) if item else None

    def _unpack_template(self, item: TemplateItem) -> ImportTemplate:
        document = json.loads(self._read(item.document, item.document_at))
        return ImportTemplate.model_validate(
            {
                "company_id": item.company_id,
                "name": item.name,
                "version": item.version,
                "document": document,
                "created_at": item.created_at,
            }
        )

    def _keep(self, place: Place, name: str, text: str) -> tuple[str | None, Mapping[str, object] | None]:
        """The text, or where it is in S3 because it is long."""
        pointer = self._overflow.keep(place, name, text)
        return (None, pointer.model_dump(by_alias=True)) if pointer else (text, None)

    def _read(self, text: str | None, pointer: Mapping[str, object] | None) -> str:
        return self._overflow.read(Pointer.model_validate(pointer)) if pointer else text or ""
