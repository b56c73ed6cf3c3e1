"""A source gives the same bytes whichever way it is read."""

from pathlib import Path

import pytest

from importer.source import BytesSource, FileSource, Source

_CONTENT = bytes(range(256)) * 3


@pytest.fixture(params=["file", "bytes"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    path = tmp_path / "données.csv"
    path.write_bytes(_CONTENT)
    return FileSource(path) if request.param == "file" else BytesSource("données.csv", _CONTENT)


def test_a_source_is_read_as_a_stream_at_a_place_and_from_the_disk(source: Source) -> None:
    assert (source.name, source.size) == ("données.csv", len(_CONTENT))
    with source.open(700) as stream:
        assert stream.read() == _CONTENT[700:]
    assert source.read_at(760, 100) == _CONTENT[760:]
    assert source.read_at(len(_CONTENT) + 1, 5) == b""
    with source.local_path() as path:
        assert path.read_bytes() == _CONTENT


def test_another_content_has_another_etag(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"a")
    before = FileSource(path).etag
    path.write_bytes(b"bc")
    assert FileSource(path).etag != before
    assert BytesSource("n", b"a").etag != BytesSource("n", b"b").etag
