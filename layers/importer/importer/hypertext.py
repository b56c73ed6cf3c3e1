"""HTML as a tree, in the encoding that it is in.

To be used in a child of `importer.guard` only: the parser is native, and its tree many times as large as the text.
"""

import codecs
import re
from typing import TYPE_CHECKING

from importer import encoding as encodings
from importer.problems import Limits, ProblemCode, refuse
from importer.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborHTMLParser, LexborNode

_HEAD = 4096
_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([\w:.-]{2,40})""", re.IGNORECASE)
_INVISIBLE = frozenset(
    ("script", "style", "template", "noscript", "svg", "head", "iframe", "object", "math", "textarea")
)
_BLOCKS = frozenset(
    (
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "dd",
            "details",
            "dialog",
            "div",
            "dl",
            "dt",
            "fieldset",
        ),
        *("figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main", "nav", "ol", "p", "pre"),
        *("section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("caption",),
    )
)
_SPACES = re.compile(r"[ \t\r\n\f]+")


def encoding_of(source: Source) -> str:
    """Python's codec for an HTML file: its mark, what it says of itself, or what its bytes tell."""
    found = encodings.detect(source)
    said = _CHARSET.search(source.read_at(0, _HEAD))
    if found.mark or found.is_wide or said is None:
        return found.fallback or found.name
    try:
        name = codecs.lookup(said[1].decode()).name
    except LookupError:
        return found.fallback or found.name
    return "cp1252" if name in {"iso8859-1", "ascii"} else name  # as browsers do


def check_size(source: Source, limits: Limits) -> None:
    """Refuse a file that no tree can be made of."""
    if source.size > limits.max_office_bytes:
        raise refuse(ProblemCode.FILE_TOO_LARGE, f"such a file may have {limits.max_office_bytes} bytes")


def parse(content: bytes, encoding: str) -> "LexborHTMLParser":
    """The tree of a page."""
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(content.decode(encoding, "replace").replace("\0", ""))


def walk(root: "LexborNode") -> "Iterator[tuple[LexborNode, bool]]":
    """All visible nodes below `root` in the page's order, each when it begins (True) and when it ends (False)."""
    node, is_beginning = root, True
    while True:
        yield node, is_beginning
        if is_beginning:
            child = None if node.tag in _INVISIBLE else node.child
            node, is_beginning = (child, True) if child is not None else (node, False)
            continue
        if node.mem_id == root.mem_id:
            return
        following = node.next
        parent = node.parent
        if following is not None:
            node, is_beginning = following, True
        elif parent is not None:
            node = parent
        else:
            return


def is_block(tag: str | None) -> bool:
    """Whether what follows the element stands on a line of its own."""
    return tag in _BLOCKS


def own_text(node: "LexborNode") -> str:
    """The text of a text node, its white space as one space."""
    return _SPACES.sub(" ", node.text_content or "") if node.tag == "-text" else ""


def text_of(root: "LexborNode") -> str:
    """The visible text of an element on as few lines as it has."""
    pieces: list[str] = []
    for node, is_beginning in walk(root):
        if node.tag == "-text":
            if is_beginning:
                pieces.append(own_text(node))
        elif is_block(node.tag) or node.tag == "br":
            pieces.append(" ")
    return " ".join("".join(pieces).split())
