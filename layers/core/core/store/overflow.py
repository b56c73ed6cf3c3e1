"""Texts that are too big for the table, in S3: gzip, under a name that their content decides."""

import gzip
import hashlib
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import RetryableError
from core.models import Value

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LONGEST_INLINE = 8 * 1024  # bytes of UTF-8; a longer text costs more in write units than in S3


class Pointer(Value):
    """Where a text is, and what proves it whole: its SHA-256 and its length in bytes of UTF-8."""

    key: str
    sha256: str
    bytes: int


class Overflow:
    """The bucket's part under `overflow/`. Safe to share between threads.

    Objects are written before the item that points to them, so an item never points at nothing; the object of an item
    that was then not written is overwritten by the next try, which has the same name for the same text.
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

    def keep(self, place: tuple[str, str, str], attribute: str, text: str) -> Pointer | None:
        """Store `text` where it is too big for the table.

        Args:
            place: Company, conversation and ULID of the item.
            attribute: The attribute's stored name.
            text: Its text.

        Returns:
            The pointer; None where the text is small enough for the item itself.
        """
        if len(text) * 4 <= _LONGEST_INLINE:
            return None
        plain = text.encode()
        if len(plain) <= _LONGEST_INLINE:
            return None
        sha256 = hashlib.sha256(plain).hexdigest()
        company, conversation, ulid = (quote(part, safe="") for part in place)
        key = f"overflow/C/{company}/V/{conversation}/{ulid}/{attribute}.{sha256[:16]}.gz"
        try:
            self._s3().put_object(
                Bucket=self._bucket_name, Key=key, Body=gzip.compress(plain, mtime=0), ContentType="application/gzip"
            )
        except (ClientError, BotoCoreError) as exc:
            raise RetryableError("overflow-unavailable", "a long text could not be stored") from exc
        return Pointer(key=key, sha256=sha256, bytes=len(plain))

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

    def _s3(self) -> "S3Client":
        with self._lock:  # most turns need no S3: its client is made when one does
            if self._client is None:
                import boto3

                config = Config(
                    connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"}
                )
                self._client = boto3.client(
                    "s3", region_name=self._region, endpoint_url=self._endpoint_url, config=config
                )
            return self._client
