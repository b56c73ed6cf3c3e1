"""How the tests of tables read a file and make a mapping."""

from collections.abc import Mapping, Sequence
from typing import Any

from importer.engine import convert, stream_of
from importer.problems import Reject
from importer.readers import ReadOptions, table_reader
from importer.rows import RowMaker
from importer.source import BytesSource, Source
from importer.template import Template
from importer.values import Checkpoint, FieldMapping, Operation, OperationName, Origin, Part, TableMapping
from importer.writers import load_writer

type Operations = Mapping[str, Sequence[tuple[str, dict[str, str]]]]


def source(content: bytes | str, name: str = "file") -> Source:
    return BytesSource(name, content.encode() if isinstance(content, str) else content)


def read(
    format_name: str, content: bytes | str, **options: Any
) -> tuple[tuple[str, ...], list[list[object]], list[Reject]]:
    """Columns, rows and rejects of the first table."""
    with table_reader(format_name).open(source(content), ReadOptions(**options)) as file:
        table = file.tables[0]
        chunks = list(file.read(table, table.start))
    rows = [list(row) for chunk in chunks for row in chunk.rows]
    return table.columns, rows, [reject for chunk in chunks for reject in chunk.rejects]


def template(properties: Mapping[str, Any], *required: str, **more: Any) -> Template:
    return Template(
        name="t", record={"type": "object", "properties": dict(properties), "required": list(required)}, **more
    )


def mapping(columns: Mapping[str, str | Sequence[str]], operations: Operations | None = None) -> TableMapping:
    """Fields from columns, with operations by field."""
    return TableMapping(
        fields=tuple(
            FieldMapping(
                target=target,
                columns=(names,) if isinstance(names, str) else tuple(names),
                operations=tuple(
                    Operation(name=OperationName(name), arguments=arguments)
                    for name, arguments in (operations or {}).get(target, ())
                ),
                origin=Origin.EXACT,
            )
            for target, names in columns.items()
        )
    )


def parts(
    content: bytes | str,
    target: Template,
    fields: TableMapping,
    *,
    format_name: str = "csv",
    output: str = "jsonl",
    start: Checkpoint | None = None,
    part_bytes: int = 8 * 1024 * 1024,
) -> list[Part]:
    """All parts of an import of the first table."""
    file_source = source(content)
    with table_reader(format_name).open(file_source, ReadOptions()) as file:
        table = file.tables[0]
        return list(
            convert(
                file,
                table,
                template=target,
                maker=RowMaker(target, fields, table.columns),
                writer=stream_of(load_writer(output)),
                start=start or Checkpoint(etag=file_source.etag),
                part_bytes=part_bytes,
            )
        )
