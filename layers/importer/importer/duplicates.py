"""The same file again: found by what is in it, for the same template and output."""

import hashlib

from core.errors import PermanentError
from core.imports import ImportStatus
from importer.objects import ObjectSource
from importer.running import Running

_LARGEST = 8 * 1024**3  # bytes that are read only to know their hash; above that S3's own mark has to do
_CAME_TO_NOTHING = frozenset((ImportStatus.FAILED, ImportStatus.CANCELED))


def check_duplicate(running: Running, source: ObjectSource) -> None:
    """Note what this import makes of which file.

    Raises:
        PermanentError: `duplicate-file`, another import made or makes the same of it.
    """
    if running.import_.options.is_dry_run:
        return
    if running.import_.checksum is None:
        checksum = source.checksum() if source.size <= _LARGEST else f"{source.etag}-{source.size}"
        running.save(checksum=checksum)
    imports, import_ = running.collaborators.store.imports, running.import_
    if import_.options.is_forced:
        imports.move_guard(import_, _content(running))
        return
    standing = imports.take_guard(import_, _content(running))
    if standing == import_.id:
        return
    other = imports.get(import_.user_company_id, standing)
    if other is None or other.processing_status in _CAME_TO_NOTHING:
        imports.move_guard(import_, _content(running))
        return
    running.save(duplicate_of=standing)
    raise PermanentError("duplicate-file", f"the same file was imported before ({standing}): force it to do it again")


def free_guard(running: Running) -> None:
    """Let the same file be imported again."""
    if running.import_.checksum:
        running.collaborators.store.imports.free_guard(running.import_, _content(running))


def _content(running: Running) -> str:
    """What is imported: the file, or one table of it."""
    checksum, table = running.import_.checksum or "", running.import_.options.table
    return hashlib.sha256(f"{checksum}\n{table}".encode()).hexdigest() if table else checksum
