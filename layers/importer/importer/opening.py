"""Opens the file of an import: what it is, which of its tables is meant, or which documents are in it."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from core.imports import ImportOptions
from importer.identify import Shape
from importer.members import Member, walk
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import ReadOptions, TableFile, table_reader
from importer.source import Source
from importer.template import MAX_FIELDS, Template
from importer.values import FieldMapping, Origin, Table, TableMapping

_MOST_NAMED = 10  # tables or files that an error names


@dataclass(frozen=True, slots=True)
class OpenTable:
    """One table of a file, ready to be read; `source` is the file itself, or one that is inside it."""

    format: str
    source: Source
    file: TableFile
    table: Table

    @property
    def notices(self) -> tuple[str, ...]:
        """What people should know of the file."""
        return self.file.notices


@dataclass(frozen=True, slots=True)
class OpenDocuments:
    """The documents in a file, each open until the next one is asked for; files in it that cannot be read are told."""

    format: str
    members: Iterator[Member]


@contextmanager
def open_file(
    source: Source, options: ImportOptions, *, limits: Limits, password: str = ""
) -> Iterator[OpenTable | OpenDocuments]:
    """Open what an import is about: the table it names, the only or largest table, or else the documents.

    Raises:
        PermanentError: The file cannot be used, or it does not say which table is meant.
    """
    reading = ReadOptions(limits=limits, password=password)
    if source.size > limits.max_bytes:
        raise refuse(ProblemCode.FILE_TOO_LARGE, f"a file may have {limits.max_bytes // 1024**3} GB")
    with ExitStack() as stack:
        members = stack.enter_context(closing(walk(source, reading)))
        first = next(members, None)
        if first is None:
            raise refuse(ProblemCode.EMPTY_FILE, "there is nothing in the file: save or export it again")
        if "/" not in first.path:
            if first.type is not None and first.type.shape is Shape.TABLES:
                yield _open_table(first, options.table, stack)
            else:
                yield OpenDocuments(first.type.format if first.type else "", _chain(first, members))
            return
        yield _open_archive(source, reading, options, stack)


def _chain(first: Member, members: Iterator[Member]) -> Iterator[Member]:
    yield first
    yield from members


def _open_archive(
    source: Source, reading: ReadOptions, options: ImportOptions, stack: ExitStack
) -> OpenTable | OpenDocuments:
    """An archive's one table, the one that is named, or its documents."""
    with closing(walk(source, reading)) as members:
        found = [(member.path, member.type) for member in members]
    tables = [path for path, kind in found if kind is not None and kind.shape is Shape.TABLES]
    is_mixed = len(tables) < sum(kind is not None for _, kind in found)
    if not tables or (is_mixed and options.template is None and not options.table):
        return OpenDocuments("zip", stack.enter_context(closing(walk(source, reading))))
    name, _, table = options.table.partition("#")
    wanted = [path for path in tables if not name or path == name or path.endswith(f"/{name}")]
    if len(wanted) != 1:
        message = f"the archive has {len(tables)} files with tables: name the one that is meant (--table)"
        raise refuse(ProblemCode.NO_TABLE, message)
    for member in stack.enter_context(closing(walk(source, reading))):
        if member.path == wanted[0]:
            return _open_table(member, table, stack)
    raise refuse(ProblemCode.NO_TABLE, "the archive changed while it was read")


def _open_table(member: Member, name: str, stack: ExitStack) -> OpenTable:
    assert member.type is not None  # noqa: S101 - whoever asks has looked at its shape
    file = stack.enter_context(table_reader(member.type.format).open(member.source, member.options))
    tables = file.tables
    if not tables:
        raise refuse(ProblemCode.NO_TABLE, "there is no table in the file")
    if name:
        named = [table for table in tables if table.name == name]
        if not named:
            names = ", ".join(f"“{table.name}”" for table in tables[:_MOST_NAMED])
            raise refuse(ProblemCode.NO_TABLE, f"no table has the name that was asked for; there are: {names}")
        return OpenTable(member.type.format, member.source, file, named[0])
    return OpenTable(member.type.format, member.source, file, max(tables, key=lambda table: table.row_count or 0))


def plain_template(table: Table) -> Template:
    """What a table becomes without a template: its own columns, whatever is in them."""
    if len(table.columns) > MAX_FIELDS:
        raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"without a template a table may have {MAX_FIELDS} columns")
    return Template.model_construct(
        name="", version=1, record={"type": "object", "properties": {name: {} for name in table.columns}}
    )


def plain_mapping(table: Table) -> TableMapping:
    """Every column as it is."""
    return TableMapping(
        fields=tuple(FieldMapping(target=name, columns=(name,), origin=Origin.EXACT) for name in table.columns)
    )
