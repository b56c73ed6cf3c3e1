"""Files of imports as a conversation meets them: carried over in parts, linked, and read when they are small."""

import tracemalloc
from collections.abc import Iterator

import boto3
import pytest
import urllib3

from core.errors import PermanentError, RetryableError
from core.store import Store

_MB = 1024 * 1024


def _pieces(megabytes: int, *, then: Exception | None = None) -> Iterator[bytes]:
    for number in range(megabytes * 16):
        yield number.to_bytes(4, "big") * (_MB // 64)
    if then:
        raise then


def test_a_file_is_put_whole_and_the_same_file_has_the_same_mark(store: Store, bucket_name: str) -> None:
    s3, key = boto3.client("s3"), "imports/acme/usr_a/imp_0123456789abcdef/a.csv"
    marks = []
    for _ in range(2):
        assert store.imports.files.put(store.imports.files.url(key), _pieces(12)) == 12 * _MB
        found = s3.get_object(Bucket=bucket_name, Key=key)
        assert found["Body"].read() == b"".join(_pieces(12))
        marks.append(found["ETag"])
    assert marks[0] == marks[1]
    assert marks[0].strip('"').endswith("-3")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n"])
def test_a_small_file_is_one_object(store: Store, bucket_name: str, content: bytes) -> None:
    assert store.imports.files.put(store.imports.files.url("imports/a"), [content] if content else []) == len(content)
    assert boto3.client("s3").get_object(Bucket=bucket_name, Key="imports/a")["Body"].read() == content


def test_a_file_that_breaks_off_leaves_nothing(store: Store, bucket_name: str) -> None:
    broken = RetryableError("no-answer", "it broke off")
    with pytest.raises(RetryableError, match="broke off"):
        store.imports.files.put(store.imports.files.url("imports/a"), _pieces(11, then=broken))
    s3 = boto3.client("s3")
    assert s3.list_objects_v2(Bucket=bucket_name)["KeyCount"] == 0
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket_name)


def test_no_more_than_a_part_is_held(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bottomless:
        """S3 that keeps nothing."""

        def create_multipart_upload(self, **_: object) -> dict[str, str]:
            return {"UploadId": "one"}

        def upload_part(self, **_: object) -> dict[str, str]:
            return {"ETag": "x"}

        def complete_multipart_upload(self, **_: object) -> None:
            """Done."""

    monkeypatch.setattr("core.store.overflow.Overflow.connect", lambda _self: Bottomless())
    tracemalloc.start()
    store.imports.files.put(store.imports.files.url("imports/a"), _pieces(100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 13 * _MB


def test_a_link_fetches_the_file_under_its_name(store: Store) -> None:
    url = store.imports.files.url("outputs/acme/imp_0123456789abcdef/März 1.csv")
    link = store.imports.files.link(url)
    assert "X-Amz-Expires=3600" in link
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link
    disposition = urllib3.util.parse_url(link).query or ""
    assert "M%25C3%25A4rz%25201.csv" in disposition


def test_a_small_output_is_read_and_a_large_or_missing_one_is_not(store: Store) -> None:
    url = store.imports.files.url("outputs/a")
    assert store.imports.files.read_small(url, 99) is None
    store.imports.files.put(url, [b"12345"])
    assert store.imports.files.read_small(url, 5) == b"12345"
    assert store.imports.files.read_small(url, 4) is None


def test_the_first_rejects_are_read_and_a_line_that_is_cut_is_not(store: Store) -> None:
    url = store.imports.files.url("rejects/a")
    assert store.imports.files.read_first(url, 3) == []
    store.imports.files.put(url, [b'{"row": %d, "raw": "%s"}\n' % (n, b"x" * 7_000) for n in range(9)])
    assert [each["row"] for each in store.imports.files.read_first(url, 3)] == [0, 1]


@pytest.mark.parametrize("url", ["s3://other/imports/a", "https://elsewhere.example/a", ""])
def test_what_is_not_ours_is_not_touched(store: Store, url: str) -> None:
    with pytest.raises(PermanentError):
        store.imports.files.read_small(url, 5)
