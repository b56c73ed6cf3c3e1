"""How the parts of an Office document (docx, xlsx, pptx) find each other.

https://learn.microsoft.com/openspecs/office_standards/ms-oe376 (Open Packaging Conventions)
"""

import posixpath
from dataclasses import dataclass

from importer import pictures
from importer.archive import Archive
from importer.markup import Attributes, Elements, parse_all
from importer.problems import ProblemCode, refuse
from importer.values import PageImage

MACROS = "it brings macros, which were left alone"


@dataclass(frozen=True, slots=True)
class Relation:
    """What a part refers to: the last word of the kind ("slide", "image") and the name of the part."""

    kind: str
    target: str


def main_part(archive: Archive) -> str:
    """Name of the part that the document begins with.

    Raises:
        PermanentError: There is none.
    """
    for relation in relations(archive, "").values():
        if relation.kind == "officeDocument" and relation.target in archive:
            return relation.target
    raise refuse(ProblemCode.CORRUPT_FILE, "the document is damaged: it has no beginning")


def relations(archive: Archive, part: str) -> dict[str, Relation]:
    """What a part refers to within the document, by id."""
    folder, name = posixpath.split(part)
    place = posixpath.join(folder, "_rels", f"{name}.rels")
    found: dict[str, Relation] = {}
    if place not in archive:
        return found

    def add(attributes: Attributes) -> None:
        if attributes.get("TargetMode") == "External":
            return  # nothing outside is ever fetched
        target = attributes.get("Target", "")
        path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        found[attributes.get("Id", "")] = Relation(attributes.get("Type", "").rpartition("/")[2], path)

    with archive.open(place) as stream:
        parse_all(stream, Elements(Relationship=add))
    return found


def related(archive: Archive, part: str, kind: str) -> tuple[str, ...]:
    """Names of the parts of one kind that a part refers to."""
    return tuple(
        each.target for each in relations(archive, part).values() if each.kind == kind and each.target in archive
    )


def has_macros(archive: Archive) -> bool:
    """Whether the document brings code."""
    return any(posixpath.basename(name).lower() in {"vbaproject.bin", "vbadata.xml"} for name in archive.names)


def image_of(archive: Archive, part: str) -> PageImage | None:
    """An image of the document; None where a model could not look at it (drawings, icons)."""
    media_type = pictures.media_type_of(part)
    if part not in archive or not media_type or archive.size(part) > pictures.MAX_BYTES:
        return None
    return PageImage(media_type=media_type, width=0, height=0, load=lambda: archive.read(part, pictures.MAX_BYTES))
