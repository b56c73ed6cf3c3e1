"""Files of imports as a conversation meets them: put into the bucket while they arrive, linked and read when done."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from core.errors import PermanentError, RetryableError
from core.store.overflow import Overflow

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_PART_BYTES = 5 * 1024 * 1024  # S3's least; always the same, so that the same file has the same mark (ETag)
_LINK_SECONDS = 3600
_HEAD_BYTES = 16 * 1024
_MEDIA_TYPE = "application/octet-stream"


@dataclass(slots=True)
class _Upload:
    """An object that is put together: whole where it is small, else in parts."""

    key: str
    upload_id: str = ""
    parts: "list[CompletedPartTypeDef]" = field(default_factory=list)


class ImportFiles:
    """The bucket's part under `imports/`, `outputs/` and `rejects/`. Safe to share between threads."""

    def __init__(self, overflow: Overflow) -> None:
        self._overflow = overflow

    def url(self, key: str) -> str:
        """The address of an object as it is stored."""
        return f"s3://{self._overflow.bucket_name}/{key}"

    def put(self, url: str, pieces: Iterable[bytes]) -> int:
        """Store a file while it arrives, in parts of 5 MB, of which one is in memory; how many bytes it has.

        Nothing is there before all of it is. What `pieces` raises ends it without a trace.

        Raises:
            RetryableError: S3 does not take it now.
        """
        upload = _Upload(self._key(url))
        count, waiting = 0, bytearray()
        try:
            for piece in pieces:
                waiting += piece
                count += len(piece)
                while len(waiting) >= _PART_BYTES:
                    self._put_part(upload, _take(waiting, _PART_BYTES))
            self._finish(upload, _take(waiting, len(waiting)))
        except BaseException:
            self._abort(upload)
            raise
        return count

    def _put_part(self, upload: _Upload, body: bytes) -> None:
        s3, bucket, key = self._overflow.connect(), self._overflow.bucket_name, upload.key
        try:
            if not upload.upload_id:
                made = s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType=_MEDIA_TYPE)
                upload.upload_id = made["UploadId"]
            number = len(upload.parts) + 1
            stored = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload.upload_id, PartNumber=number, Body=body)
        except (ClientError, BotoCoreError) as exc:
            raise _unavailable() from exc
        upload.parts.append({"PartNumber": number, "ETag": stored["ETag"]})

    def _finish(self, upload: _Upload, rest: bytes) -> None:
        s3, bucket, key = self._overflow.connect(), self._overflow.bucket_name, upload.key
        if upload.upload_id and rest:
            self._put_part(upload, rest)
        try:
            if upload.upload_id:
                s3.complete_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=upload.upload_id, MultipartUpload={"Parts": upload.parts}
                )
            else:
                s3.put_object(Bucket=bucket, Key=key, Body=rest, ContentType=_MEDIA_TYPE)
        except (ClientError, BotoCoreError) as exc:
            raise _unavailable() from exc

    def _abort(self, upload: _Upload) -> None:
        if not upload.upload_id:
            return
        try:
            self._overflow.connect().abort_multipart_upload(
                Bucket=self._overflow.bucket_name, Key=upload.key, UploadId=upload.upload_id
            )
        except (ClientError, BotoCoreError):
            return  # the bucket's lifecycle removes it within days

    def link(self, url: str) -> str:
        """A link that lets anybody who has it fetch the file for an hour, under its own name."""
        key = self._key(url)
        named = f"attachment; filename*=UTF-8''{quote(key.rpartition('/')[2], safe='')}"
        arguments = {"Bucket": self._overflow.bucket_name, "Key": key, "ResponseContentDisposition": named}
        return self._overflow.connect().generate_presigned_url("get_object", Params=arguments, ExpiresIn=_LINK_SECONDS)

    def read_small(self, url: str, most: int) -> bytes | None:
        """A file's bytes; None where it is larger than `most`, or gone."""
        try:
            found = self._overflow.connect().get_object(Bucket=self._overflow.bucket_name, Key=self._key(url))
            with found["Body"] as body:
                return body.read() if found["ContentLength"] <= most else None
        except ClientError:
            return None
        except BotoCoreError as exc:
            raise _unavailable() from exc

    def read_first(self, url: str, most: int) -> list[dict[str, Any]]:
        """The first `most` records of a file of JSON lines, as far as they stand at its beginning."""
        key, bytes_ = self._key(url), f"bytes=0-{_HEAD_BYTES - 1}"
        try:
            found = self._overflow.connect().get_object(Bucket=self._overflow.bucket_name, Key=key, Range=bytes_)
            head = found["Body"].read()
        except ClientError:
            return []
        except BotoCoreError as exc:
            raise _unavailable() from exc
        lines = head.split(b"\n")[:-1][:most]
        records = [json.loads(line) for line in lines if line.strip()]
        return [each for each in records if isinstance(each, dict)]

    def _key(self, url: str) -> str:
        ours = f"s3://{self._overflow.bucket_name}/"
        if not url.startswith(ours):
            raise PermanentError("not-ours", "the file is not in this deployment's bucket")
        return url.removeprefix(ours)


def _take(waiting: bytearray, size: int) -> bytes:
    with memoryview(waiting) as held:
        taken = bytes(held[:size])
    del waiting[:size]
    return taken


def _unavailable() -> RetryableError:
    return RetryableError("s3-unavailable", "S3 does not answer now")
