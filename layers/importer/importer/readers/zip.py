"""ZIP archives of files: each member is a file of its own, to be identified anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

from importer.archive import Archive, open_archive
from importer.problems import ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import Source
from importer.values import Page

_FURNITURE = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))  # what file managers leave behind


class _ZipFile:
    """An open archive."""

    page_count = 0
    notices: tuple[str, ...] = ()

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`: an archive has no page of its own."""
        del first_page
        return iter(())

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`: the members, in the archive's order. They can be read while the archive is open."""
        for name in self._archive.names:
            path = PurePosixPath(name)
            if path.name not in _FURNITURE and path.parts[0] != "__MACOSX":
                yield self._archive.source(name)


class _ZipReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`."""
        limits = options.limits
        with open_archive(source, limits, max_members=limits.max_members, password=options.password) as archive:
            if not archive.names:
                raise refuse(ProblemCode.EMPTY_FILE, "there is nothing in the archive: pack it again")
            yield _ZipFile(archive)


READER: Final[DocumentReader] = _ZipReader()
