"""The files in a file: members of archives, attachments of mails, what is compressed; identified and within bounds."""

from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from core.errors import PermanentError
from importer.compression import GzipSource
from importer.identify import FileType, Shape, identify
from importer.problems import ProblemCode, refuse
from importer.readers import DocumentFile, ReadOptions, document_reader
from importer.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file, or why it cannot be read.

    Attributes:
        path: Names from the outermost file inwards: `mail.eml/list.zip/a.csv`.
        type: What it is; None where it cannot be read.
        problem: Why it cannot be read.
        document: The open document, if it is one.
        options: To open its tables with.
    """

    path: str
    source: Source
    type: FileType | None
    options: ReadOptions
    problem: PermanentError | None = None
    document: DocumentFile | None = None


@dataclass(slots=True)
class _Budget:
    members: int
    inflated_bytes: int


def walk(source: Source, options: ReadOptions) -> Generator[Member]:
    """The file itself and all files in it, outermost first. Archives are opened, not given.

    A document is open (`Member.document`), and a member of an archive can be read, until the next one is asked for.
    A member that cannot be read has a problem instead of a type, and the others are given all the same; the file
    itself raises.

    Raises:
        PermanentError: The file cannot be read, or all of it together passes a limit.
    """
    limits = options.limits
    budget = _Budget(limits.max_members + 1, limits.max_inflated_bytes)
    yield from _walk(source, source.name, options, budget, depth=0)


def _walk(source: Source, path: str, options: ReadOptions, budget: _Budget, *, depth: int) -> Generator[Member]:
    limits = options.limits
    budget.members -= 1
    if budget.members < 0:
        raise refuse(ProblemCode.TOO_MANY_MEMBERS, f"a file may have {limits.max_members} files in it")
    with ExitStack() as stack:
        try:
            member, depth = _open(source, path, options, depth, stack)
        except PermanentError as problem:
            if not depth:
                raise
            yield Member(path=path, source=source, type=None, problem=problem, options=options)
            return
        if member.type is not None and member.type.shape is not Shape.ARCHIVE:
            yield member
        for inner in member.document.attachments() if member.document is not None else ():
            budget.inflated_bytes -= inner.size
            if budget.inflated_bytes < 0:
                raise refuse(ProblemCode.FILE_TOO_LARGE, "the files in the file are too large in all")
            with closing(_walk(inner, f"{path}/{inner.name}", options, budget, depth=depth + 1)) as members:
                yield from members


def _open(source: Source, path: str, options: ReadOptions, depth: int, stack: ExitStack) -> tuple[Member, int]:
    """A file as a member, and how deep it lies once what is compressed around it counts."""
    limits = options.limits
    _check_depth(depth, limits.max_archive_depth)
    found = identify(source, limits, options.password)
    while found.shape is Shape.COMPRESSED:
        depth += 1
        _check_depth(depth, limits.max_archive_depth)
        source = GzipSource(source, limits)
        found = identify(source, limits, options.password)
    if found.shape is Shape.ARCHIVE:
        _check_depth(depth + 1, limits.max_archive_depth)
    reading = replace(options, variant=found.variant)
    document = None
    if found.shape is not Shape.TABLES:
        document = stack.enter_context(document_reader(found.format).open(source, reading))
    return Member(path=path, source=source, type=found, document=document, options=reading), depth


def _check_depth(depth: int, most: int) -> None:
    if depth > most:
        raise refuse(ProblemCode.NESTING_TOO_DEEP, f"files may lie in files {most} levels deep")
