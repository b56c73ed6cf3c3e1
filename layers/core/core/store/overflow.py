"""What is too big for the table, in S3: texts as gzip, named by their content, and files as they are."""

import gzip
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import RetryableError
from core.models import Value
from core.store.expiry import Expiry
from core.store.items import to_stored_name

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteTypeDef, TagTypeDef

type Place = tuple[str, ...]  # the steps from the company to the item: each is a folder

_LONGEST_INLINE = 8 * 1024  # bytes of UTF-8; a longer text costs more in write units than in S3
_ROOT = "overflow/"
# Who may not list a bucket is refused what is not in it.
_MISSING = frozenset({"NoSuchKey", "AccessDenied", "404", "403"})
_TAG = "textDays"
_DELETE_LIMIT = 1000  # keys in one DeleteObjects


class Pointer(Value):
    """Where a text is, and what proves it whole: its SHA-256 and its length in bytes of UTF-8."""

    key: str
    sha256: str
    bytes: int


class Overflow:
    """The bucket's part under `overflow/`: a folder per company, conversation and item. Safe to share between threads.

    Objects are written before the item that points to them, so an item never points at nothing; the object of an item
    that was then not written is overwritten by the next try, which has the same name for the same text. One whose item
    expires is tagged with the age at which the bucket's lifecycle deletes it.
    """

    def __init__(
        self,
        bucket_name: str,
        client: "S3Client | None" = None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        self._bucket_name = bucket_name
        self._client = client
        self._region = region
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()

    def keep(self, place: Place, attribute: str, text: str, expiry: Expiry | None = None) -> Pointer | None:
        """Store `text` where it is too big for the table.

        Args:
            place: Of the item.
            attribute: The attribute's stored name.
            text: Its text.
            expiry: When the item is gone.

        Returns:
            The pointer; None where the text is small enough for the item itself.
        """
        if len(text) * 4 <= _LONGEST_INLINE:
            return None
        plain = text.encode()
        if len(plain) <= _LONGEST_INLINE:
            return None
        sha256 = hashlib.sha256(plain).hexdigest()
        key = f"{_folder(place)}{attribute}.{sha256[:16]}.gz"
        body = gzip.compress(plain, mtime=0)
        self._put(key, body, "application/gzip", expiry)
        return Pointer(key=key, sha256=sha256, bytes=len(plain))

    def _put(self, key: str, body: bytes, media_type: str, expiry: Expiry | None) -> None:
        put = partial(self._s3().put_object, Bucket=self._bucket_name, Key=key, Body=body, ContentType=media_type)
        try:
            if expiry:
                put(Tagging=f"{_TAG}={expiry.text_days}")
            else:
                put()
        except (ClientError, BotoCoreError) as exc:
            raise RetryableError("overflow-unavailable", "an object could not be stored") from exc

    def keep_file(self, place: Place, name: str, data: bytes, media_type: str, expiry: Expiry | None = None) -> str:
        """Store a file beside the texts of an item, in the place of one with the same name; its `s3://` address."""
        key = _folder(place) + name
        self._put(key, data, media_type, expiry)
        return f"s3://{self._bucket_name}/{key}"

    def find_file(self, place: Place, name: str) -> tuple[bytes, str] | None:
        """A file and its media type; None where there is none."""
        return self._find_object(_folder(place) + name)

    def read_file(self, url: str) -> bytes | None:
        """The file at an `s3://` address; None where it is gone, or not ours."""
        key = url.removeprefix(f"s3://{self._bucket_name}/")
        found = self._find_object(key) if key != url and key.startswith(_ROOT) else None
        return found and found[0]

    def _find_object(self, key: str) -> tuple[bytes, str] | None:
        try:
            found = self._s3().get_object(Bucket=self._bucket_name, Key=key)
            return found["Body"].read(), found["ContentType"]
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _MISSING:
                return None
            raise RetryableError("overflow-unavailable", "a file could not be read") from exc
        except BotoCoreError as exc:
            raise RetryableError("overflow-unavailable", "a file could not be read") from exc

    def pack(self, place: Place, texts: Mapping[str, str | None], expiry: Expiry | None = None) -> dict[str, Any]:
        """An item's texts as its attributes: each whole where it is small, else in S3, which `overflow` then notes.

        Args:
            place: Of the item.
            texts: By the names that the attributes have in Python.
            expiry: When the item is gone.
        """
        whole = {name: mend(text) for name, text in texts.items()}
        note: dict[str, object] = {}
        for name, text in whole.items():
            stored_name = to_stored_name(name)
            if text is not None and (pointer := self.keep(place, stored_name, text, expiry)):
                whole[name] = None
                note[stored_name] = pointer.model_dump(by_alias=True)
        return {**whole, "overflow": note or None}

    def unpack(self, overflow: Mapping[str, Any] | None) -> dict[str, str]:
        """The texts that an item notes as moved, by their stored names."""
        return {name: self.read(Pointer.model_validate(pointer)) for name, pointer in (overflow or {}).items()}

    def read(self, pointer: Pointer) -> str:
        """The text that `pointer` stands for.

        Raises:
            RetryableError: It cannot be read now, or is not what was written.
        """
        try:
            body = self._s3().get_object(Bucket=self._bucket_name, Key=pointer.key)["Body"].read()
        except (ClientError, BotoCoreError) as exc:
            raise RetryableError("overflow-unavailable", "a long text could not be read") from exc
        plain = gzip.decompress(body)
        if hashlib.sha256(plain).hexdigest() != pointer.sha256:
            raise RetryableError("overflow-damaged", "a long text is not what was stored")
        return plain.decode()

    def delete_place(self, place: Place) -> None:
        """Delete every text of an item, or of all items below a place."""
        self.delete_objects(list(self._keys(place)))

    def delete_images(self, urls: Sequence[str]) -> None:
        """Delete images that are in this bucket; one somewhere else is not ours to delete."""
        ours = f"s3://{self._bucket_name}/"
        self.delete_objects([url.removeprefix(ours) for url in urls if url.startswith(ours)])

    def delete_files(self, place: Place, names: Sequence[str]) -> None:
        """Delete the files of these names beside an item's texts, as far as they are there."""
        self.delete_objects([_folder(place) + name for name in names])

    def delete_objects(self, object_keys: Sequence[str]) -> None:
        """Delete objects; what is gone already is no error."""
        for batch in batched(object_keys, _DELETE_LIMIT, strict=False):
            objects: DeleteTypeDef = {"Objects": [{"Key": key} for key in batch], "Quiet": True}
            try:
                answer = self._s3().delete_objects(Bucket=self._bucket_name, Delete=objects)
            except (ClientError, BotoCoreError) as exc:
                raise RetryableError("overflow-unavailable", "long texts could not be deleted") from exc
            if answer.get("Errors"):
                raise RetryableError("overflow-unavailable", "some long texts could not be deleted")

    def set_expiry(self, place: Place, expiry: Expiry | None) -> None:
        """Give every text below a place this expiry in place of the one it has."""
        for key in self._keys(place):
            try:
                if expiry:
                    tag: TagTypeDef = {"Key": _TAG, "Value": str(expiry.text_days)}
                    self._s3().put_object_tagging(Bucket=self._bucket_name, Key=key, Tagging={"TagSet": [tag]})
                else:
                    self._s3().delete_object_tagging(Bucket=self._bucket_name, Key=key)
            except (ClientError, BotoCoreError) as exc:
                raise RetryableError("overflow-unavailable", "a long text could not be tagged") from exc

    @property
    def bucket_name(self) -> str:
        """The bucket."""
        return self._bucket_name

    def connect(self) -> "S3Client":
        """S3's client, made when it is first needed."""
        return self._s3()

    def delete_below(self, prefix: str) -> None:
        """Delete every object of the bucket whose key begins so."""
        self.delete_objects(list(self._keys_below(prefix)))

    def _keys(self, place: Place) -> Iterator[str]:
        return self._keys_below(_folder(place))

    def _keys_below(self, prefix: str) -> Iterator[str]:
        try:
            pages = self._s3().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket_name, Prefix=prefix):
                yield from (found["Key"] for found in page.get("Contents", ()))
        except (ClientError, BotoCoreError) as exc:
            raise RetryableError("overflow-unavailable", "long texts could not be listed") from exc

    def _s3(self) -> "S3Client":
        with self._lock:  # most turns need no S3: its client is made when one does
            if self._client is None:
                import boto3

                config = Config(
                    connect_timeout=1,
                    read_timeout=5,
                    retries={"total_max_attempts": 3, "mode": "standard"},
                    signature_version="s3v4",  # of links, too
                )
                self._client = boto3.client(
                    "s3", region_name=self._region, endpoint_url=self._endpoint_url, config=config
                )
            return self._client


def mend(text: str | None) -> str | None:
    """`text` as UTF-8 can hold it: half of a surrogate pair becomes a question mark in a box."""
    if text is None:
        return None
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _folder(place: Place) -> str:
    return _ROOT + "".join(f"{quote(part, safe='')}/" for part in place)
