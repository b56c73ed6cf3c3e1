"""How readers and writers are found, and what every writer that can be cut promises."""

import json
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PermanentError
from importer import readers, writers
from importer.values import Record
from importer.writers import OutputField, StreamWriter, load_writer

_FIELDS = (OutputField("name", {"type": "string"}), OutputField("amount", {"type": ["number", "null"]}))
_RECORDS: list[Record] = [{"name": f'n{number} ä=1 "}},{{"name":"', "amount": number / 2} for number in range(7)]
_STREAMS = [name for name in writers.formats() if load_writer(name).kind == "stream"]


def _stream(name: str) -> StreamWriter:
    writer = load_writer(name)
    assert writer.kind == "stream"
    return writer


def _write(name: str, *pieces: list[Record]) -> bytes:
    writer, written = _stream(name), 0
    output = writer.head(_FIELDS)
    for piece in pieces:
        output += writer.encode(piece, _FIELDS, written)
        written += len(piece)
    return output + writer.tail(_FIELDS, written)


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    for load in (load_writer, readers.table_reader, readers.document_reader):
        with pytest.raises(PermanentError) as refused:
            load("../core/errors")
        assert refused.value.code == "unsupported-type"
    with pytest.raises(PermanentError, match="json, jsonl"):
        load_writer("exe")


@pytest.mark.parametrize("name", readers.formats())
def test_a_readers_file_brings_its_reader(name: str) -> None:
    assert callable(import_module(f"importer.readers.{name}").READER.open)


@pytest.mark.parametrize("name", _STREAMS)
@given(cut=st.integers(0, 7))
def test_the_output_is_the_same_wherever_it_is_cut(name: str, cut: int) -> None:
    assert _write(name, _RECORDS[:cut], [], _RECORDS[cut:]) == _write(name, _RECORDS)


def test_json_lines_hold_one_record_each() -> None:
    assert [json.loads(line) for line in _write("jsonl", _RECORDS).splitlines()] == _RECORDS


@pytest.mark.parametrize("count", [0, 1, 7])
def test_json_is_one_array(count: int) -> None:
    assert json.loads(_write("json", _RECORDS[:count])) == _RECORDS[:count]
