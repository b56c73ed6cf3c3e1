"""Opens what a test has made, and takes all of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.errors import PermanentError
from importer.members import Member, walk
from importer.problems import Limits, Reject
from importer.readers import DocumentFile, ReadOptions, TableFile, document_reader, table_reader
from importer.source import BytesSource
from importer.values import Cell, Page


@contextmanager
def tables(format_name: str, content: bytes, options: ReadOptions | None = None) -> Iterator[TableFile]:
    with table_reader(format_name).open(BytesSource("file", content), options or ReadOptions()) as opened:
        yield opened


def rows(format_name: str, content: bytes, table: int = 0, options: ReadOptions | None = None) -> list[list[Cell]]:
    """The header and all rows of one table."""
    with tables(format_name, content, options) as opened:
        wanted = opened.tables[table]
        found = [list(row) for chunk in opened.read(wanted, wanted.start) for row in chunk.rows]
        return [list(wanted.columns), *found]


def rejects(format_name: str, content: bytes, options: ReadOptions | None = None) -> list[Reject]:
    with tables(format_name, content, options) as opened:
        return [each for chunk in opened.read(opened.tables[0], opened.tables[0].start) for each in chunk.rejects]


@contextmanager
def document(format_name: str, content: bytes, options: ReadOptions | None = None) -> Iterator[DocumentFile]:
    with document_reader(format_name).open(BytesSource("file", content), options or ReadOptions()) as opened:
        yield opened


def pages(format_name: str, content: bytes, options: ReadOptions | None = None) -> list[Page]:
    with document(format_name, content, options) as opened:
        found = list(opened.read())
        assert [page.number for page in found] == list(range(1, opened.page_count + 1))
        return found


def members(content: bytes, limits: Limits | None = None, *, name: str = "file", password: str = "") -> list[Member]:
    options = ReadOptions(limits=limits or Limits(), password=password)
    return list(walk(BytesSource(name, content), options))


def refused(format_name: str, content: bytes, options: ReadOptions | None = None) -> str:
    """The code with which a file is refused, at the latest while it is read."""
    with pytest.raises(PermanentError) as error:
        rows(format_name, content, 0, options)
    return error.value.code


def refused_document(format_name: str, content: bytes, options: ReadOptions | None = None) -> str:
    """The code with which a document is refused, at the latest while it is read."""
    with pytest.raises(PermanentError) as error:
        pages(format_name, content, options)
    return error.value.code
