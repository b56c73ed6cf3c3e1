"""XML from strangers, read as a stream: any DTD is refused, depth and sizes are bounded, no tree is built.

Expat calls back per element. Whoever listens gets names without their prefix (office formats have two sets of
namespaces for the same names), and gathers what has been read between two blocks.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol
from xml.parsers import expat

from importer.problems import ProblemCode, refuse

MAX_DEPTH = 256  # of office documents: tables in text boxes in tables
_BLOCK = 64 * 1024
_MAX_TOKEN = 16 * 1024 * 1024  # bytes of one tag or comment, which expat has to hold

type Attributes = dict[str, str]


class Listener(Protocol):
    """Hears what is in an XML document."""

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins. Names of attributes have no prefix either; `r:id` hides `id`."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """A piece of text."""


def parse(stream: BinaryIO, listener: Listener, *, max_depth: int = MAX_DEPTH) -> Iterator[None]:
    """Read all of `stream`, and stop after each block so that the caller can take what `listener` has gathered.

    Raises:
        PermanentError: `dtd-forbidden`, `nesting-too-deep`, `field-too-large`, `corrupt-file`.
    """
    parser = _parser(listener, max_depth)
    fed, position = 0, 0
    while block := stream.read(_BLOCK):
        _feed(parser, block, is_last=False)
        fed += len(block)
        position = max(position, parser.CurrentByteIndex)
        if fed - position > _MAX_TOKEN:
            raise refuse(ProblemCode.FIELD_TOO_LARGE, "a tag of the document is too large")
        yield
    _feed(parser, b"", is_last=True)
    yield


def parse_all(stream: BinaryIO, listener: Listener, *, max_depth: int = MAX_DEPTH) -> None:
    """Read all of `stream` at once. Raises what `parse` raises."""
    for _ in parse(stream, listener, max_depth=max_depth):
        pass


def _feed(parser: "expat.XMLParserType", block: bytes, *, is_last: bool) -> None:
    try:
        parser.Parse(block, is_last)
    except (expat.ExpatError, ValueError, LookupError) as exc:  # the latter: an encoding that Python does not know
        raise refuse(ProblemCode.CORRUPT_FILE, "the document is damaged: it is not well-formed XML") from exc


def _parser(listener: Listener, max_depth: int) -> "expat.XMLParserType":
    # Namespaces would make every name a long one that has to be cut again; prefixes are rare.
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0
    start_element, end_element = listener.start, listener.end

    def start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > max_depth:
            raise refuse(ProblemCode.NESTING_TOO_DEEP, f"the document is nested deeper than {max_depth} levels")
        for key in attributes:
            if ":" in key:
                attributes = _local(attributes)
                break
        start_element(name.rpartition(":")[2] if ":" in name else name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        end_element(name.rpartition(":")[2] if ":" in name else name)

    def refuse_dtd(*_: object) -> None:
        raise refuse(ProblemCode.DTD_FORBIDDEN, "the document brings a DTD, which is never read: send it without")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = listener.text
    parser.StartDoctypeDeclHandler = refuse_dtd
    return parser


def _local(attributes: Attributes) -> Attributes:
    plain = {key: value for key, value in attributes.items() if ":" not in key}
    return plain | {key.rpartition(":")[2]: value for key, value in attributes.items() if ":" in key}


class Elements:
    """A listener for small parts: calls back with each element of the names asked for, and its attributes."""

    def __init__(self, **wanted: Callable[[Attributes], None]) -> None:
        self._wanted = wanted

    def start(self, name: str, attributes: Attributes) -> None:
        """See `Listener`."""
        if found := self._wanted.get(name):
            found(attributes)

    def end(self, name: str) -> None:
        """See `Listener`."""

    def text(self, text: str) -> None:
        """See `Listener`."""
