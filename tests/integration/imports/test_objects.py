"""Files in S3: keys that nobody talks out of their folder, streams that survive a break, outputs in parts."""

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import boto3
import pytest
from botocore.exceptions import IncompleteReadError
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PermanentError, RetryableError
from core.import_keys import InputKey, fit_name, make_input_key, output_key, read_input_key, rejects_key
from core.imports import Import
from importer.objects import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ID = "imp_0123456789abcdef"
_KEY = f"imports/acme/usr_alice/{_ID}/contacts.csv"
_MIB = 1024 * 1024


@pytest.fixture
def s3(bucket_name: str) -> "S3Client":
    return boto3.client("s3")


@pytest.fixture
def bucket(s3: "S3Client", bucket_name: str) -> Bucket:
    return Bucket(s3, bucket_name)


def test_a_key_says_whose_file_it_is() -> None:
    name = "Kontakte (März) 100%+.csv"
    key = make_input_key("acme", "usr_alice", _ID, name)

    assert read_input_key(quote_plus(key, safe="/")) == InputKey(
        company_id="acme", user_id="usr_alice", import_id=_ID, name=name
    )


@pytest.mark.parametrize(
    "key",
    [
        "",
        "imports/",
        "imports/acme/usr_alice/x.csv",
        f"imports/acme/usr_alice/{_ID}/",
        f"imports/acme/usr_alice/{_ID}/a/b.csv",
        f"imports/../usr_alice/{_ID}/a.csv",
        f"imports/acme/usr_alice/{_ID}/..",
        f"imports/acme/usr_alice/{_ID}/%2E%2E",
        f"imports/acme/usr_alice/{_ID}/a%2F..%2Fb",
        f"imports/ac me/usr_alice/{_ID}/a.csv",
        "imports/acme/usr_alice/imp_x/a.csv",
        f"outputs/acme/usr_alice/{_ID}/a.csv",
        f"imports/acme/usr_alice/{_ID}/a%00.csv",
    ],
)
def test_a_key_outside_the_scheme_is_nobodys(key: str) -> None:
    assert read_input_key(key) is None


@given(st.text(max_size=400))
def test_no_name_leaves_its_folder(name: str) -> None:
    key = make_input_key("acme", "usr_alice", _ID, name)

    found = read_input_key(quote_plus(key, safe="/"))
    assert found is not None
    assert (found.company_id, found.user_id, found.import_id) == ("acme", "usr_alice", _ID)
    assert len(key.encode()) <= 1024


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("../../globex/x.csv", "x.csv"),
        ("C:\\files\\x.csv", "x.csv"),
        ("..", "file"),
        ("", "file"),
        ("a\nb\u202e.csv", "a_b_.csv"),
        ("ä" * 300, "ä" * 127),
    ],
)
def test_a_name_is_made_to_fit(given_name: str, kept: str) -> None:
    assert fit_name(given_name) == kept


def test_no_id_leaves_its_folder() -> None:
    for company, user in (("../globex", "u"), ("acme", "a/b"), ("", "u"), ("acme", "..")):
        with pytest.raises(PermanentError):
            make_input_key(company, user, _ID, "x.csv")


def test_outputs_are_in_the_folder_of_their_company() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    import_ = Import(
        id=_ID,
        user_id="usr_alice",
        user_company_id="acme",
        input_file_name="x",
        input_file_url="s3://b/x",
        created_at=now,
        updated_at=now,
    )

    assert output_key(import_, "contacts.jsonl") == f"outputs/acme/{_ID}/contacts.jsonl"
    assert rejects_key(import_) == f"rejects/acme/{_ID}/rejects.jsonl"


def test_a_file_is_read_as_a_stream_at_a_place_and_from_the_disk(s3: "S3Client", bucket: Bucket) -> None:
    content = bytes(range(256)) * 9_000
    s3.put_object(Bucket=bucket.name, Key=_KEY, Body=content)
    source = bucket.source(_KEY, "contacts.csv")

    assert (source.name, source.size) == ("contacts.csv", len(content))
    with source.open() as stream:
        assert stream.read() == content
    with source.open(1_000_000) as stream:
        assert stream.readline() == content[1_000_000:].partition(b"\n")[0] + b"\n"
    assert source.read_at(5, 10) == content[5:15]
    assert source.read_at(len(content) - 3, 10) == content[-3:]
    assert source.read_at(len(content), 10) == b""
    with source.local_path() as path:
        assert path.read_bytes() == content
    assert not path.exists()


def test_an_empty_file_is_empty(s3: "S3Client", bucket: Bucket) -> None:
    s3.put_object(Bucket=bucket.name, Key=_KEY, Body=b"")
    source = bucket.source(_KEY, "x")

    with source.open() as stream:
        assert stream.read() == b""
    assert source.read_at(0, 10) == b""


class _Breaking:
    """A body that breaks off after some bytes, or ends too early."""

    def __init__(self, content: bytes, *, is_silent: bool) -> None:
        self._stream = io.BytesIO(content)
        self._is_silent = is_silent

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        if not piece and not self._is_silent:
            raise IncompleteReadError(actual_bytes=1, expected_bytes=2)
        return piece

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_stream_that_breaks_off_is_taken_up_where_it_ended(
    s3: "S3Client", bucket: Bucket, is_silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"0123456789" * 100
    s3.put_object(Bucket=bucket.name, Key=_KEY, Body=content)
    source = bucket.source(_KEY, "x")
    asked: list[int] = []
    whole = source.request

    def request(start: int, end: int) -> Any:
        asked.append(start)
        return _Breaking(whole(start, end).read()[:300], is_silent=is_silent)

    monkeypatch.setattr(source, "request", request)

    with source.open() as stream:
        assert stream.read() == content
    assert asked == [0, 300, 600, 900]


def test_a_stream_that_gives_nothing_any_more_ends_in_an_error(
    s3: "S3Client", bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket=bucket.name, Key=_KEY, Body=b"x" * 100)
    source = bucket.source(_KEY, "x")
    monkeypatch.setattr(source, "request", lambda _start, _end: _Breaking(b"", is_silent=True))

    with source.open() as stream, pytest.raises(RetryableError):
        stream.read()


def test_a_file_that_was_replaced_is_not_mixed_with_the_new_one(s3: "S3Client", bucket: Bucket) -> None:
    s3.put_object(Bucket=bucket.name, Key=_KEY, Body=b"old")
    source = bucket.source(_KEY, "x")
    s3.put_object(Bucket=bucket.name, Key=_KEY, Body=b"new")

    with pytest.raises(PermanentError, match="replaced"):
        source.read_at(0, 3)


def test_a_file_that_is_gone_is_named(bucket: Bucket) -> None:
    with pytest.raises(PermanentError, match="not there"):
        bucket.source(_KEY, "x")


def test_a_checksum_is_of_the_content(s3: "S3Client", bucket: Bucket) -> None:
    s3.put_object(Bucket=bucket.name, Key=_KEY, Body=b"hello")

    assert bucket.source(_KEY, "x").checksum() == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_parts_become_one_object_whoever_completes_it(s3: "S3Client", bucket: Bucket) -> None:
    upload_id = bucket.begin_upload("outputs/acme/x/out.jsonl", media_type="application/x-ndjson")
    first = bucket.put_part("outputs/acme/x/out.jsonl", upload_id, 1, b"lost" * (2 * _MIB))
    first = bucket.put_part("outputs/acme/x/out.jsonl", upload_id, 1, b"a" * (5 * _MIB))
    second = bucket.put_part("outputs/acme/x/out.jsonl", upload_id, 2, b"b")

    for _ in range(2):
        bucket.complete_upload("outputs/acme/x/out.jsonl", upload_id, [(1, first), (2, second)])

    found = s3.get_object(Bucket=bucket.name, Key="outputs/acme/x/out.jsonl")
    assert found["Body"].read() == b"a" * (5 * _MIB) + b"b"
    assert found["ContentType"] == "application/x-ndjson"


def test_an_upload_that_was_dropped_is_dropped_again(bucket: Bucket) -> None:
    upload_id = bucket.begin_upload("outputs/acme/x/out", media_type="text/csv")

    bucket.abort_upload("outputs/acme/x/out", upload_id)
    bucket.abort_upload("outputs/acme/x/out", upload_id)


def test_a_link_is_of_this_bucket_alone(bucket: Bucket) -> None:
    assert "filename" in bucket.link(bucket.url("outputs/acme/x/out.csv"), name="März.csv")

    with pytest.raises(PermanentError):
        bucket.link("s3://another-bucket/x", name="x")


def test_objects_are_removed(s3: "S3Client", bucket: Bucket) -> None:
    bucket.put("outputs/acme/x/out.csv", b"x", media_type="text/csv")

    bucket.delete(["outputs/acme/x/out.csv", "outputs/acme/x/gone.csv"])

    assert s3.list_objects_v2(Bucket=bucket.name).get("KeyCount") == 0
