"""Runs a parser that cannot be trusted in a process of its own, so that what kills it kills one file and nothing else.

Native code aborts where Python would raise, and a hostile file makes it take all memory or never come back. The child
has bounds of memory and of processor time, knows no secret (its environment is empty), and hands back plain values,
one at a time; nothing else is unpickled. When it dies, its file is refused. A start costs about a tenth of a second.
"""

import io
import json
import os
import pickle
import resource
import select
import struct
import subprocess
import sys
import sysconfig
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, override

from core.errors import PermanentError
from importer.problems import ProblemCode, refuse

_MAX_ITEM = 256 * 1024 * 1024  # bytes; more than any page, chunk of rows or attachment may have
_HEAD = struct.Struct(">cQ")  # what comes, and how long it is
_ITEM, _REFUSED, _DONE = b"i", b"r", b"d"
_ALLOWED = frozenset(
    (
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("importer.readers", "CellError"),
    )
)
_BOOT = "import json,sys; sys.path[:]=json.loads(sys.argv[1]); from importer.guard import serve; serve(sys.argv[2:])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a child may go.

    Attributes:
        memory_bytes: Of data; above that an allocation fails.
        cpu_seconds: Of work in all.
        item_seconds: Until the next item comes.
    """

    memory_bytes: int = 1024 * 1024 * 1024
    cpu_seconds: int = 600
    item_seconds: float = 120.0


class Task(Protocol):
    """What a child runs: a public generator function of a module, with arguments that JSON knows."""

    def __call__(self, **arguments: object) -> Iterator[object]: ...  # noqa: D102


def stream(task: str, arguments: Mapping[str, object], bounds: Bounds | None = None) -> Generator[object]:
    """What `task` ("module:function") yields, as it comes. Closing the iterator ends the child.

    Raises:
        PermanentError: What the task raised; `file-too-large` where it needed more memory than it may have;
            `corrupt-file` where it died or did not come to an end.
    """
    with closing(_Child(task, arguments, bounds or Bounds())) as child:
        yield from child.items()


def call(task: str, arguments: Mapping[str, object], bounds: Bounds | None = None) -> object:
    """The one thing that `task` yields. Raises what `stream` raises."""
    with closing(stream(task, arguments, bounds)) as items:
        return next(items)


class _Child:
    def __init__(self, task: str, arguments: Mapping[str, object], bounds: Bounds) -> None:
        self._bounds = bounds
        limits = {"memory": bounds.memory_bytes, "cpu": bounds.cpu_seconds}
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable,
                "-I",
                "-c",
                _BOOT,
                json.dumps(sys.path),
                task,
                json.dumps(arguments),
                json.dumps(limits),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries quote the file in their complaints
            env={"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR") or "")},
        )
        if self._process.stdout is None:
            raise AssertionError  # it was asked for
        self._pipe = self._process.stdout

    def close(self) -> None:
        self._process.kill()
        self._pipe.close()
        self._process.wait()

    def items(self) -> Iterator[object]:
        while True:
            deadline = time.monotonic() + self._bounds.item_seconds
            kind, size = _HEAD.unpack(self._read(_HEAD.size, deadline))
            if kind == _DONE:
                return
            if size > _MAX_ITEM:
                raise refuse(ProblemCode.FILE_TOO_LARGE, "a part of the file is too large to be handed on")
            payload = _Plain(io.BytesIO(self._read(size, deadline))).load()
            if kind == _REFUSED:
                raise PermanentError(*payload)
            yield payload

    def _read(self, size: int, deadline: float) -> bytes:
        content = bytearray()
        while len(content) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
                raise refuse(ProblemCode.CORRUPT_FILE, "the file cannot be read in reasonable time")
            block = os.read(self._pipe.fileno(), min(size - len(content), 1024 * 1024))
            if not block:
                raise refuse(ProblemCode.CORRUPT_FILE, "the file is damaged: its parser gave up on it")
            content += block
        return bytes(content)


class _Plain(pickle.Unpickler):
    """Reads values, and no classes but those it names."""

    @override
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise refuse(ProblemCode.CORRUPT_FILE, "the file is damaged: its parser gave back what it may not")
        return super().find_class(module, name)


def serve(arguments: list[str]) -> None:
    """Be the child: run a task and write what it yields to where standard output was. An error ends the process."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is not ours
    name, given, limits = arguments[0], json.loads(arguments[1]), json.loads(arguments[2])
    module, _, function = name.partition(":")
    task: Task = getattr(import_module(module), function)
    _limit(resource.RLIMIT_DATA, limits["memory"])
    _limit(resource.RLIMIT_CPU, limits["cpu"])
    _limit(resource.RLIMIT_CORE, 0)
    try:
        for item in task(**given):
            _write(out, _ITEM, item)
        _write(out, _DONE, None)
    except PermanentError as exc:
        _write(out, _REFUSED, (exc.code, exc.message))
    except MemoryError:
        problem = refuse(ProblemCode.FILE_TOO_LARGE, "the file needs more memory than one file may take")
        _write(out, _REFUSED, (problem.code, problem.message))


def _limit(what: int, most: int) -> None:
    """Lower a limit; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _write(out: io.BufferedWriter, kind: bytes, item: object) -> None:
    payload = pickle.dumps(item, protocol=5)
    out.write(_HEAD.pack(kind, len(payload)))
    out.write(payload)
    out.flush()
