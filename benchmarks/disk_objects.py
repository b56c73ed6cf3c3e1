"""As much of S3 as a large import calls, with its objects on disk: the local cloud's are in memory, several times.

`python benchmarks/disk_objects.py <port> <folder>` answers on loopback, path-style, whoever asks. An object is a file,
a part as well; the parts of an upload are put together when it is completed.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import hashlib
import os
import re
import shutil
import sys
import uuid
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

_BLOCK = 1024 * 1024
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class _Objects(BaseHTTPRequestHandler):
    """One request after the other, on a connection that stays."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def _place(self) -> tuple[str, dict[str, list[str]]]:
        """The key that is asked for, empty for the bucket, and the query."""
        url = urlsplit(self.path)
        return unquote(url.path).strip("/").partition("/")[2], parse_qs(url.query, keep_blank_values=True)

    def _file(self, key: str) -> Path:
        return self.folder / quote(key, safe="")

    def _answer(self, status: int, body: str = "", **headers: str) -> None:
        data = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, "" if self.command == "HEAD" else f"<Error><Code>{code}</Code></Error>")

    def _take(self, to: BinaryIO) -> str:
        """The body, written down; its mark."""
        found, left = hashlib.md5(usedforsecurity=False), int(self.headers.get("Content-Length") or 0)
        while left and (block := self.rfile.read(min(left, _BLOCK))):
            found.update(block)
            to.write(block)
            left -= len(block)
        return found.hexdigest()

    def do_HEAD(self) -> None:
        """HeadObject."""
        self._give()

    def do_GET(self) -> None:
        """GetObject, or ListObjectsV2 of a bucket."""
        key, query = self._place()
        if key:
            self._give()
            return
        prefix = quote(query.get("prefix", [""])[0], safe="")
        names = sorted(each.name for each in self.folder.iterdir() if each.is_file() and each.name.startswith(prefix))
        listed = "".join(f"<Contents><Key>{escape(unquote(name))}</Key></Contents>" for name in names)
        self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>")

    def _give(self) -> None:
        path = self._file(self._place()[0])
        if not path.is_file():
            self._refuse(404, "NoSuchKey")
            return
        size, mark = path.stat().st_size, f'"{self._mark(path)}"'
        if self.headers.get("If-Match") not in (None, mark):
            self._refuse(412, "PreconditionFailed")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        start, end = (int(asked[1]), min(int(asked[2] or size), size - 1) + 1) if asked else (0, size)
        if asked and start >= size:
            self._refuse(416, "InvalidRange")
            return
        self.send_response(206 if asked else 200)
        self.send_header("ETag", mark)
        self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        self.send_header("Content-Length", str(end - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file, suppress(BrokenPipeError, ConnectionResetError):  # who has read enough goes
                self.connection.sendfile(file, start, end - start)

    @staticmethod
    def _mark(path: Path) -> str:
        return os.getxattr(path, "user.etag").decode()

    def do_PUT(self) -> None:
        """CreateBucket, PutObject, UploadPart, UploadPartCopy."""
        key, query = self._place()
        if not key:
            self._answer(200)
            return
        path = self._file(key)
        if "uploadId" in query:
            upload = self.folder / "uploads" / query["uploadId"][0]
            if not upload.is_dir():
                self._refuse(404, "NoSuchUpload")
                return
            path = upload / query["partNumber"][0]
        copied = self.headers.get("x-amz-copy-source")
        beside = path.with_name(f".{uuid.uuid4().hex}")
        with beside.open("wb") as file:
            mark = self._copy(copied, file) if copied else self._take(file)
        os.setxattr(beside, "user.etag", mark.encode())
        beside.replace(path)
        body = f'<CopyPartResult><ETag>"{mark}"</ETag></CopyPartResult>' if copied else ""
        self._answer(200, body, ETag=f'"{mark}"')

    def _copy(self, source: str, to: BinaryIO) -> str:
        found, (first, last) = (
            hashlib.md5(usedforsecurity=False),
            self.headers["x-amz-copy-source-range"][6:].split("-"),
        )
        left = int(last) + 1 - int(first)
        with self._file(unquote(source).strip("/").partition("/")[2]).open("rb") as file:
            file.seek(int(first))
            while left and (block := file.read(min(left, _BLOCK))):
                found.update(block)
                to.write(block)
                left -= len(block)
        return found.hexdigest()

    def do_POST(self) -> None:
        """CreateMultipartUpload, CompleteMultipartUpload, DeleteObjects."""
        key, query = self._place()
        said = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "delete" in query:
            for each in ET.fromstring(said).iter(f"{_NAMESPACE}Key"):  # noqa: S314 - our own client wrote it
                self._file(each.text or "").unlink(missing_ok=True)
            self._answer(200, "<DeleteResult/>")
        elif "uploads" in query:
            upload = uuid.uuid4().hex
            (self.folder / "uploads" / upload).mkdir(parents=True)
            told = f"<UploadId>{upload}</UploadId>"
            self._answer(200, f"<InitiateMultipartUploadResult>{told}</InitiateMultipartUploadResult>")
        else:
            self._complete(self._file(key), self.folder / "uploads" / query["uploadId"][0], said)

    def _complete(self, path: Path, upload: Path, said: bytes) -> None:
        if not upload.is_dir():
            self._refuse(404, "NoSuchUpload")
            return
        numbers = [each.text or "" for each in ET.fromstring(said).iter(f"{_NAMESPACE}PartNumber")]  # noqa: S314 - as above
        marks = "".join(self._mark(upload / number) for number in numbers)
        mark = f"{hashlib.md5(bytes.fromhex(marks), usedforsecurity=False).hexdigest()}-{len(numbers)}"
        beside = upload / ".whole"
        with beside.open("wb") as whole:
            for number in numbers:
                with (upload / number).open("rb") as part:
                    shutil.copyfileobj(part, whole, _BLOCK)
        os.setxattr(beside, "user.etag", mark.encode())
        beside.replace(path)
        shutil.rmtree(upload)
        told = f'<ETag>"{mark}"</ETag>'
        self._answer(200, f"<CompleteMultipartUploadResult>{told}</CompleteMultipartUploadResult>")

    def do_DELETE(self) -> None:
        """DeleteObject, AbortMultipartUpload."""
        key, query = self._place()
        if "uploadId" in query:
            shutil.rmtree(self.folder / "uploads" / query["uploadId"][0], ignore_errors=True)
        else:
            self._file(key).unlink(missing_ok=True)
        self._answer(204)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing."""


def main() -> None:
    """Answer until the process is ended."""
    folder = Path(sys.argv[2])
    (folder / "uploads").mkdir(parents=True)
    ThreadingHTTPServer(
        ("127.0.0.1", int(sys.argv[1])), type("Objects", (_Objects,), {"folder": folder})
    ).serve_forever()


if __name__ == "__main__":
    main()
