"""XML with records: the elements that repeat, found by a first pass over the file; what they hold becomes columns.

Two passes as a stream, so that memory does not grow with the file. An element that may occur several times in one
record is a column of lists; an attribute is a column of its own (`@id`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from importer.markup import Attributes, parse, parse_all
from importer.problems import Limits, ProblemCode, Reject, refuse
from importer.readers import CHUNK_BYTES, CHUNK_ROWS, ReadOptions, TableFile, TableReader
from importer.source import Source
from importer.values import Cell, Chunk, Position, Table

_MAX_PATHS = 50_000  # different paths of elements in one document
_MAX_TABLES = 50  # of one document: those that hold the most
_MAX_SHOWN = 1_000

type _Path = tuple[str, ...]


@dataclass(slots=True)
class _Seen:
    """What is known of all elements of one path."""

    count: int = 0
    most_siblings: int = 0  # of one parent
    has_text: bool = False
    attributes: dict[str, None] = field(default_factory=dict)
    children: dict[str, int] = field(default_factory=dict)  # by name: how many there are now, in the open element


class _Survey:
    """Hears which paths there are."""

    def __init__(self, limits: Limits) -> None:
        self.seen: dict[_Path, _Seen] = {}
        self._limits = limits
        self._open: list[_Path] = []

    def start(self, name: str, attributes: Attributes) -> None:
        parent = self._open[-1] if self._open else ()
        path = (*parent, name)
        known = self.seen.get(path)
        if known is None:
            if len(self.seen) >= _MAX_PATHS:
                raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"a document may have {_MAX_PATHS} kinds of elements")
            known = self.seen[path] = _Seen()
        known.count += 1
        known.children.clear()
        if self._open:
            siblings = self.seen[parent].children
            siblings[name] = siblings.get(name, 0) + 1
            known.most_siblings = max(known.most_siblings, siblings[name])
        for key in attributes:
            if not key.startswith("xmlns") and len(known.attributes) < self._limits.max_columns:
                known.attributes[key] = None
        self._open.append(path)

    def end(self, name: str) -> None:
        del name
        self._open.pop()

    def text(self, text: str) -> None:
        if not text.isspace():
            self.seen[self._open[-1]].has_text = True

    def records(self) -> list[_Path]:
        """Paths of the elements that are records: those that repeat and hold the most, none inside another."""
        if not self.seen:
            return []
        held = dict.fromkeys(self.seen, 0)
        for path, seen in self.seen.items():
            for cut in range(1, len(path)):
                held[path[:cut]] += seen.count
            held[path] += seen.count * len(seen.attributes)
        repeated = [path for path, seen in self.seen.items() if seen.most_siblings > 1 and held[path]]
        found: list[_Path] = []
        for path in sorted(repeated, key=lambda each: (-held[each], len(each))):
            if not any(path[: len(other)] == other or other[: len(path)] == path for other in found):
                found.append(path)
                if len(found) == _MAX_TABLES:
                    break
        root = next(iter(self.seen))
        order = {path: place for place, path in enumerate(self.seen)}
        return sorted(found, key=order.__getitem__) or [root]

    def columns(self, record: _Path) -> dict[_Path, bool]:
        """The columns of a record, by their path below it, and whether they hold lists. Attributes end in `@name`."""
        found: dict[_Path, bool] = {}
        lists: set[_Path] = set()
        for path, seen in self.seen.items():
            if path[: len(record)] != record:
                continue
            below = path[len(record) :]
            if any(below[:cut] in lists for cut in range(1, len(below))):
                continue
            if below and seen.most_siblings > 1:
                lists.add(below)
                found[below] = True
                continue
            for key in seen.attributes:
                found[*below, f"@{key}"] = False
            has_children = any(
                len(each) == len(path) + 1 and each[: len(path)] == path for each in self._children(path)
            )
            if seen.has_text or (below and not has_children and not seen.attributes):
                found[below or ("text",)] = False
        return found

    def _children(self, path: _Path) -> Iterator[_Path]:
        return ((*path, name) for name in self.seen[path].children)


@dataclass(slots=True)
class _Node:
    """An element of the record that is being read."""

    attributes: Attributes
    children: dict[str, list["_Node"]] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    size: int = 0  # of a record: characters, and something for each element

    def plain(self) -> Cell:
        """As JSON has it: the text alone where there is nothing else."""
        text = "".join(self.text).strip()
        found: dict[str, Cell] = {f"@{key}": value for key, value in self.attributes.items()}
        for name, nodes in self.children.items():
            found[name] = nodes[0].plain() if len(nodes) == 1 else [node.plain() for node in nodes]
        if not found:
            return text or None
        return found | ({"text": text} if text else {})

    def find(self, path: _Path) -> list["_Node"]:
        nodes = [self]
        for name in path:
            nodes = [child for node in nodes for child in node.children.get(name, ())]
        return nodes


class _Records:
    """Hears the records of one path, one at a time."""

    def __init__(self, record: _Path, limits: Limits) -> None:
        self.ready: list[_Node | None] = []  # None where a record is too large
        self._record = record
        self._limit = limits.max_row_bytes
        self._path: list[str] = []
        self._open: list[_Node] = []
        self._size = 0

    def start(self, name: str, attributes: Attributes) -> None:
        self._path.append(name)
        if not self._open and tuple(self._path) != self._record:
            return
        self._size = self._size + 100 + sum(map(len, attributes.values())) if self._open else 0
        kept = {key: value for key, value in attributes.items() if not key.startswith("xmlns")}
        node = _Node(kept)
        if self._open and self._size <= self._limit:
            self._open[-1].children.setdefault(name, []).append(node)
        self._open.append(node)

    def end(self, name: str) -> None:
        del name
        self._path.pop()
        if self._open:
            node = self._open.pop()
            if not self._open:
                node.size = self._size
                self.ready.append(node if self._size <= self._limit else None)

    def text(self, text: str) -> None:
        if self._open:
            self._size += len(text)
            if self._size <= self._limit:
                self._open[-1].text.append(text)


class _XmlFile:
    """An open file."""

    notices: tuple[str, ...] = ()

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        survey = _Survey(limits)
        with source.open() as stream:
            parse_all(stream, survey, max_depth=limits.max_json_depth)
        self._records: dict[str, tuple[_Path, dict[_Path, bool]]] = {}
        tables: list[Table] = []
        for record in survey.records():
            columns = survey.columns(record)
            if not columns:
                continue
            if len(columns) > limits.max_columns:
                raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"a table may have {limits.max_columns} columns")
            name = "/".join(record)
            self._records[name] = (record, columns)
            names = tuple(".".join(path) for path in columns)
            tables.append(Table(name=name, columns=names, start={"record": 0}, row_count=survey.seen[record].count))
        if not tables:
            raise refuse(ProblemCode.NO_TABLE, "the document has no records")
        self.tables = tuple(tables)

    def read(self, table: Table, start: Position) -> Iterator[Chunk]:
        """See `TableFile`."""
        record, columns = self._records[table.name]
        done, skipped = 0, start.get("record", 0)
        piece: list[_Node | None] = []
        size = 0
        for node in self._nodes(record):
            done += 1
            if done <= skipped:
                continue
            piece.append(node)
            size += node.size if node is not None else 0
            if len(piece) == CHUNK_ROWS or size > CHUNK_BYTES:
                yield self._chunk(piece, columns, done)
                piece, size = [], 0
        if piece:
            yield self._chunk(piece, columns, done)

    def _nodes(self, record: _Path) -> Iterator[_Node | None]:
        listener = _Records(record, self._limits)
        with self._source.open() as stream:
            for _ in parse(stream, listener, max_depth=self._limits.max_json_depth):
                self._done = stream.tell()
                ready, listener.ready = listener.ready, []
                yield from ready

    def _chunk(self, piece: list[_Node | None], columns: dict[_Path, bool], done: int) -> Chunk:
        first = done - len(piece) + 1
        numbers = range(first, done + 1)
        good = [(number, node) for number, node in zip(numbers, piece, strict=True) if node is not None]
        rejects = [
            Reject(row=number, code=ProblemCode.ROW_TOO_LARGE, message="the record is too large")
            for number, node in zip(numbers, piece, strict=True)
            if node is None
        ]
        rows = [[_cell(node, path, is_list=is_list) for path, is_list in columns.items()] for _, node in good]
        return Chunk(
            rows=rows,
            numbers=[number for number, _ in good] if rejects else numbers,
            lines=[],
            end={"record": done},
            bytes_done=min(self._done, self._source.size),
            raw=lambda index: str(good[index][1].plain())[:_MAX_SHOWN],
            rejects=rejects,
        )


def _cell(record: _Node, path: _Path, *, is_list: bool) -> Cell:
    if is_list:
        return [node.plain() for node in record.find(path)]
    if path[-1].startswith("@"):
        found = record.find(path[:-1])
        return found[0].attributes.get(path[-1][1:]) if found else None
    nodes = [record] if path == ("text",) and "text" not in record.children else record.find(path)
    return ("".join(nodes[0].text).strip() or None) if nodes else None


class _XmlReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[TableFile]:
        """See `TableReader`."""
        if source.size > options.limits.max_inflated_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"XML may have {options.limits.max_inflated_bytes} bytes")
        yield _XmlFile(source, options.limits)


READER: Final[TableReader] = _XmlReader()
