"""S3: where files come from and where outputs go; the only module of the room that speaks to AWS."""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError, ReadTimeoutError
from urllib3.exceptions import HTTPError

from core.errors import PermanentError, RetryableError
from importer.problems import ProblemCode, refuse

if TYPE_CHECKING:
    from collections.abc import Buffer

    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ObjectIdentifierTypeDef

_GONE = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
_BUFFER = 1024 * 1024
_TRIES = 4  # of a stream that broke off
_LINK_SECONDS = 3600
_MOST_DELETED = 1_000  # objects in one request
_ONE_THREAD = TransferConfig(use_threads=False)  # a function has one processor, and a thread's end is nobody's error


class Bucket:
    """The bucket that files come from and outputs go to. Safe to share between threads."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self._client = client
        self.name = name

    def url(self, key: str) -> str:
        """The address of an object as it is stored."""
        return f"s3://{self.name}/{key}"

    def key_of(self, url: str) -> str:
        """The key in an address of this bucket.

        Raises:
            PermanentError: It is an address of something else.
        """
        ours = f"s3://{self.name}/"
        if not url.startswith(ours):
            raise PermanentError("not-ours", "the file is not in this deployment's bucket")
        return url.removeprefix(ours)

    def source(self, key: str, name: str) -> "ObjectSource":
        """A file to read.

        Raises:
            PermanentError: It is not there.
            RetryableError: S3 cannot say now.
        """
        try:
            head = self._client.head_object(Bucket=self.name, Key=key)
        except (ClientError, BotoCoreError) as exc:
            raise _translate(exc) from exc
        return ObjectSource(
            self._client, self.name, key, name=name, size=head["ContentLength"], etag=head["ETag"].strip('"')
        )

    def metadata(self, key: str) -> dict[str, str]:
        """What was noted on an object when it was put there."""
        try:
            return dict(self._client.head_object(Bucket=self.name, Key=key)["Metadata"])
        except (ClientError, BotoCoreError) as exc:
            raise _translate(exc) from exc

    def put(self, key: str, body: bytes, *, media_type: str) -> None:
        """Store a small object whole."""
        try:
            self._client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=media_type)
        except (ClientError, BotoCoreError) as exc:
            raise _translate(exc) from exc

    def put_file(self, key: str, path: Path, *, media_type: str) -> None:
        """Store a file of this machine, in parts where it is large."""
        try:
            self._client.upload_file(
                str(path), self.name, key, ExtraArgs={"ContentType": media_type}, Config=_ONE_THREAD
            )
        except (ClientError, BotoCoreError) as exc:
            raise _translate(exc) from exc

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; what is gone already is no error."""
        for some in batched(keys, _MOST_DELETED, strict=False):
            gone: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in some]
            try:
                self._client.delete_objects(Bucket=self.name, Delete={"Objects": gone, "Quiet": True})
            except (ClientError, BotoCoreError) as exc:
                raise _translate(exc) from exc

    def link(self, url: str, *, name: str, seconds: int = _LINK_SECONDS) -> str:
        """A link that lets anybody who has it fetch the file for some time, under the name that it is to have."""
        arguments = {
            "Bucket": self.name,
            "Key": self.key_of(url),
            "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        }
        return self._client.generate_presigned_url("get_object", Params=arguments, ExpiresIn=seconds)

    # Outputs in parts

    def begin_upload(self, key: str, *, media_type: str) -> str:
        """Begin an output in parts; its upload id."""
        try:
            answer = self._client.create_multipart_upload(Bucket=self.name, Key=key, ContentType=media_type)
        except (ClientError, BotoCoreError) as exc:
            raise _translate(exc) from exc
        return answer["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Store a part, in place of an earlier one of this number; S3's mark of it."""
        try:
            answer = self._client.upload_part(
                Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )
        except (ClientError, BotoCoreError) as exc:
            raise _translate(exc) from exc
        return answer["ETag"]

    def copy_part(self, key: str, upload_id: str, number: int, source: str, start: int, end: int) -> str:
        """Make the bytes of `source` from `start` to before `end` a part, without reading them; S3's mark of it."""
        try:
            answer = self._client.upload_part_copy(
                Bucket=self.name,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                CopySource={"Bucket": self.name, "Key": source},
                CopySourceRange=f"bytes={start}-{end - 1}",
            )
        except (ClientError, BotoCoreError) as exc:
            raise _translate(exc) from exc
        return answer["CopyPartResult"]["ETag"]

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[tuple[int, str]]) -> None:
        """Make the parts one object; again is no error, once the object is there."""
        parts: list[CompletedPartTypeDef] = [{"PartNumber": number, "ETag": etag} for number, etag in etags]
        try:
            self._client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
            )
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "NoSuchUpload" and self._exists(key):
                return  # an earlier process completed it and died
            raise _translate(exc) from exc
        except BotoCoreError as exc:
            raise _translate(exc) from exc

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Drop what was stored of an output; again is no error."""
        try:
            self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "NoSuchUpload":
                raise _translate(exc) from exc
        except BotoCoreError as exc:
            raise _translate(exc) from exc

    def _exists(self, key: str) -> bool:
        try:
            self._client.head_object(Bucket=self.name, Key=key)
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _GONE:
                return False
            raise _translate(exc) from exc
        return True


class ObjectSource:
    """A file in the bucket; every request asks for exactly the content that `etag` names. See `importer.source`."""

    def __init__(self, client: "S3Client", bucket: str, key: str, *, name: str, size: int, etag: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self.name = name
        self.size = size
        self.etag = etag

    def open(self, offset: int = 0) -> BinaryIO:
        """The bytes from `offset` to the end; a connection that breaks off is taken up where it ended."""
        return io.BufferedReader(_Stream(self, offset), buffer_size=_BUFFER)

    def read_at(self, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`; fewer at the end."""
        end = min(start + length, self.size)
        if start >= end:
            return b""
        for tried in range(_TRIES):
            try:
                return self.request(start, end).read()
            except (BotoCoreError, HTTPError, OSError) as exc:
                if tried == _TRIES - 1:
                    raise RetryableError("s3-unavailable", "the file could not be read to its end") from exc
        return b""

    @contextmanager
    def local_path(self) -> Iterator[Path]:
        """The whole file on the disk, for as long as the context lasts.

        Raises:
            PermanentError: It is larger than the disk of this function.
        """
        with tempfile.TemporaryDirectory() as folder:
            if self.size > shutil.disk_usage(folder).free * 0.9:
                raise refuse(ProblemCode.FILE_TOO_LARGE, "the file is larger than this deployment's disk for imports")
            path = Path(folder) / "content"
            with path.open("wb") as copy, self.open() as stream:
                shutil.copyfileobj(stream, copy, _BUFFER)
            yield path

    def checksum(self) -> str:
        """SHA-256 of the whole file, read once through."""
        digest = hashlib.sha256()
        with self.open() as stream:
            while block := stream.read(_BUFFER):
                digest.update(block)
        return digest.hexdigest()

    def request(self, start: int, end: int) -> "StreamingBody":
        """The bytes from `start` to before `end`, as they arrive."""
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._key, Range=f"bytes={start}-{end - 1}", IfMatch=f'"{self.etag}"'
            )
        except (ClientError, BotoCoreError) as exc:
            raise _translate(exc) from exc
        return answer["Body"]


class _Stream(io.RawIOBase):
    """One object's bytes, read as they arrive."""

    def __init__(self, source: ObjectSource, offset: int) -> None:
        super().__init__()
        self._source = source
        self._offset = offset
        self._body: StreamingBody | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, target: "Buffer") -> int:
        view = memoryview(target).cast("B")
        for tried in range(_TRIES):
            if self._offset >= self._source.size:
                return 0
            try:
                if self._body is None:
                    self._body = self._source.request(self._offset, self._source.size)
                piece = self._body.read(len(view))
            except (IncompleteReadError, ReadTimeoutError, BotoCoreError, HTTPError, OSError) as exc:
                self._drop()
                if tried == _TRIES - 1:
                    raise RetryableError("s3-unavailable", "the file could not be read to its end") from exc
                continue
            if piece:
                view[: len(piece)] = piece
                self._offset += len(piece)
                return len(piece)
            self._drop()  # ended early, without an error
        raise RetryableError("s3-unavailable", "the file could not be read to its end")

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


def _translate(error: ClientError | BotoCoreError) -> PermanentError | RetryableError:
    if not isinstance(error, ClientError):
        return RetryableError("s3-unavailable", "S3 gave no answer")
    code = error.response["Error"]["Code"]
    if code in _GONE:
        return PermanentError("file-gone", "the file is not there any more")
    if code in ("PreconditionFailed", "412"):
        return refuse(ProblemCode.FILE_CHANGED, "the file was replaced while it was imported: start again")
    if code in ("AccessDenied", "403"):
        return PermanentError("s3-denied", "this function may not touch the file")
    return RetryableError("s3-unavailable", f"S3 answered {code}")
