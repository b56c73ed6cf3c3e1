"""Makes the records of a document out of what was found in its chunks."""

from collections.abc import Iterable

from core.models import Value
from importer.extraction import ChunkResult, Evidence, Found
from importer.template import Template
from importer.values import Record

_MAX_CONFLICTS = 1_000


class Reading(Value):
    """One thing that a document says a field is."""

    value: object
    page: int | None


class Conflict(Value):
    """A field of which a document says different things. The first one stands."""

    field: str
    readings: tuple[Reading, ...]


class Merged(Value):
    """The records of one document.

    Attributes:
        evidence: By record: where it comes from; nothing where no quote was found in the document.
        conflicts: Of the one record of a document.
    """

    records: tuple[Record, ...]
    evidence: tuple[tuple[Evidence, ...], ...]
    conflicts: tuple[Conflict, ...] = ()


def merge(results: Iterable[ChunkResult], template: Template) -> Merged:
    """The records in the order of their pages; all of them made one, where a document is one record."""
    found = [each for result in sorted(results, key=lambda result: result.number) for each in result.found]
    if template.is_one_per_document:
        return _merge_into_one(found, template)
    return Merged(
        records=tuple(each.record for each in found),
        evidence=tuple((each.evidence,) if each.evidence else () for each in found),
    )


def _merge_into_one(found: list[Found], template: Template) -> Merged:
    if not found:
        return Merged(records=(), evidence=())
    record: Record = dict.fromkeys(template.fields)
    conflicts: list[Conflict] = []
    for name in template.fields:
        said = [(each.record.get(name), each.evidence) for each in found if each.record.get(name) is not None]
        if any(isinstance(value, list) for value, _ in said):
            record[name] = [item for value, _ in said for item in (value if isinstance(value, list) else [value])]
        elif said:
            record[name] = said[0][0]
            readings = _different(said)
            if len(readings) > 1 and len(conflicts) < _MAX_CONFLICTS:
                conflicts.append(Conflict(field=name, readings=readings))
    evidence = tuple(each.evidence for each in found if each.evidence)
    return Merged(records=(record,), evidence=(evidence,), conflicts=tuple(conflicts))


def _different(said: list[tuple[object, Evidence | None]]) -> tuple[Reading, ...]:
    readings: list[Reading] = []
    for value, evidence in said:
        if all(_key(value) != _key(other.value) for other in readings):
            readings.append(Reading(value=value, page=evidence.page if evidence else None))
    return tuple(readings)


def _key(value: object) -> object:
    """What makes two values the same: case and white space of a text do not differ, 1 and True do."""
    return " ".join(value.split()).casefold() if isinstance(value, str) else (type(value).__name__, value)
