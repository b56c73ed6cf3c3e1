"""Which encoding a text file is in.

The evidence in order: byte order mark, where its NUL bytes are, strict UTF-8, and only then a detector, which sees the
lines that are not UTF-8 and nothing else: ASCII around them misleads.

One file may hold lines of two encodings (two exports, joined). So an encoding is a pair: what a line is read as, and
what it is read as when that fails. A line that is neither is a reject, never a guess.
"""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from io import DEFAULT_BUFFER_SIZE, BufferedReader, RawIOBase
from typing import BinaryIO, override

from core.models import Value
from importer.problems import ProblemCode, refuse
from importer.source import Source

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEAD = 4096
_BLOCK = 1024 * 1024
_WHOLE = 256 * 1024 * 1024  # bytes; of larger files the head and some ranges are looked at
_RANGES = 32
_EVIDENCE_LINES = 2_000
_EVIDENCE_BYTES = 256 * 1024
_LONGEST_LINE = 64 * 1024
_PIECE = 4 * 1024

# Detectors name the standard; files come with the vendor's additions to it.
_SUPERSETS = {
    "shift_jis": "cp932",
    "shift_jis_2004": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "ascii": "utf-8",
}
_HALVES = frozenset(
    ("utf-7", "unicode-escape", "raw-unicode-escape")
)  # make halves of characters, which none can store
_MULTIBYTE = frozenset(("cp932", "gb18030", "big5", "cp949", "euc_jp", "johab", "iso2022_jp"))

_WESTERN = "äöüÄÖÜßéèêëáàâãåíìîïóòôõøúùûñçæœÉÈÁÀÅÓØÍÚÑÇÆŒÂÊÎÔ"
_CENTRAL = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻčďěňřšťůúýžáéíČĎĚŇŘŠŤŮÚÝŽÁÉÍőűŐŰöüÖÜäÄßăâîşţĂÂÎŞŢđĐôľĺŕ"
_TURKISH = "çğıöşüÇĞİÖŞÜâî"
_BALTIC = "āčēģīķļņšūžĀČĒĢĪĶĻŅŠŪŽąęėįųĄĘĖĮŲõäöüÕÄÖÜ"
# In the order of how often they are met: the first of equals is taken.
_LATIN = (
    ("cp1252", _WESTERN),
    ("cp1250", _CENTRAL),
    ("iso8859-15", _WESTERN),
    ("cp1254", _TURKISH),
    ("cp1257", _BALTIC),
    ("mac_roman", _WESTERN),
    ("cp850", _WESTERN),
    ("cp437", _WESTERN),
    ("iso8859-2", _CENTRAL),
    ("cp852", _CENTRAL),
)
_SIGNS = frozenset("€£°§–—’‘“”„…·«»²³µ½\u00a0")
_FEW_HIGH_BYTES = 0.35  # of the letters: Latin scripts have fewer, all others more


class TextEncoding(Value):
    """How to read a text file.

    Attributes:
        name: Python's codec that each line is read with.
        fallback: What a line is read with that is not in `name`; empty where there is none.
        mark: Bytes of the byte order mark, to be skipped.
    """

    name: str = "utf-8"
    fallback: str = ""
    mark: int = 0

    @property
    def is_wide(self) -> bool:
        """Whether a newline is more than one byte, so that the file has to be recoded before it is split."""
        return self.name.startswith(("utf-16", "utf-32"))


def detect(source: Source) -> TextEncoding:
    """The encoding of a file."""
    head = source.read_at(0, _HEAD)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return TextEncoding(name=name, mark=len(mark), fallback=_fallback(source) if name == "utf-8" else "")
    if b"\0" in head and (wide := _wide(head)) and (b"\n" not in head or "\n" in head.decode(wide, "replace")):
        return TextEncoding(name=wide)
    return _by_lines(source)


def known(name: str) -> TextEncoding:
    """The encoding that somebody named.

    Raises:
        PermanentError: Python knows none of that name.
    """
    try:
        found = codecs.lookup(name).name
        "".encode(found)  # some codecs are not of text
    except (LookupError, ValueError):
        found = ""
    if not found or found in _HALVES:
        raise refuse(ProblemCode.ENCODING, "the encoding that was given is not known")
    return TextEncoding(name=found)


def _wide(head: bytes) -> str:
    """UTF-16 or UTF-32 by where its NUL bytes are: text is mostly ASCII and Latin, even in most languages' tables."""
    usable = len(head) // 4 * 4
    counts = [head[start:usable:4].count(0) for start in range(4)]
    quarter = max(usable // 4, 1)
    for name, zeros in (("utf-32-le", (2, 3)), ("utf-32-be", (0, 1))):
        if all(counts[place] > quarter * 0.9 for place in zeros):
            return name
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > even * 4 and odd > len(head) * 0.05:
        return "utf-16-le"
    if even > odd * 4 and even > len(head) * 0.05:
        return "utf-16-be"
    return ""


def _by_lines(source: Source) -> TextEncoding:
    valid, invalid = _evidence(source)
    if not invalid:
        return TextEncoding()
    found = guess(invalid)
    if found in _MULTIBYTE and len(valid) * 4 < len(invalid):
        return TextEncoding(name=found)  # some of its lines are UTF-8 by accident
    return TextEncoding(fallback=found)


def _fallback(source: Source) -> str:
    _, invalid = _evidence(source)
    return guess(invalid) if invalid else ""


def _evidence(source: Source) -> tuple[list[bytes], list[bytes]]:
    """Lines beyond ASCII: those that are UTF-8, and those that are not."""
    valid: list[bytes] = []
    invalid: list[bytes] = []
    size = 0
    for block in _blocks(source):
        try:
            text = block.decode()
        except UnicodeDecodeError:
            text = ""
        if text and (len(text) == len(block) or len(valid) >= _EVIDENCE_LINES):
            continue
        for line in _beyond_ascii(block):
            if len(line) > _LONGEST_LINE:
                continue
            (valid if _is_utf8(line) else invalid).append(line)
            size += len(line)
            if len(invalid) >= _EVIDENCE_LINES or (size > _EVIDENCE_BYTES and invalid):
                return valid, invalid
    return valid, invalid


def _beyond_ascii(block: bytes) -> Iterator[bytes]:
    """The lines that are not ASCII; they are rare in most files, so only pieces that hold some are split."""
    start = 0
    while start < len(block):
        end = block.find(b"\n", start + _PIECE) + 1 or len(block)
        piece = block[start:end]
        if not piece.isascii():
            yield from (line for line in piece.splitlines() if not line.isascii())
        start = end


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _blocks(source: Source) -> Iterator[bytes]:
    """Whole lines: of all of the file, or of its head and of ranges that are spread over it."""
    if source.size <= _WHOLE:
        with source.open() as stream:
            yield from _aligned(stream)
        return
    step = source.size // _RANGES
    for start in range(0, source.size, step):
        block = source.read_at(start, _BLOCK)
        if start:
            block = block.partition(b"\n")[2]
        yield block.rpartition(b"\n")[0]


def _aligned(stream: BinaryIO) -> Iterator[bytes]:
    carry = b""
    while block := stream.read(_BLOCK):
        whole, newline, rest = block.rpartition(b"\n")
        if not newline and len(carry) < _BLOCK:
            carry += block
            continue
        yield carry + (whole if newline else block)
        carry = rest if newline else b""
    if carry:
        yield carry


def guess(lines: Sequence[bytes]) -> str:
    """The encoding of lines that are not UTF-8: a codec that reads all of them, or nearly all."""
    text = b"\n".join(lines)
    high = sum(byte >= 0x80 for byte in text)
    letters = sum(byte in _ASCII_LETTERS for byte in text)
    latin, score = _best_latin(lines)
    if high < (high + letters) * _FEW_HIGH_BYTES and score > 0:
        return latin
    for name in _detected(text):
        if _reads(name, lines):
            return name
    return latin


_ASCII_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _detected(text: bytes) -> Iterator[str]:
    import chardet  # here, so that a UTF-8 file does not load it

    eras = (chardet.EncodingEra.MODERN_WEB, chardet.EncodingEra.ALL)
    for era in eras:
        for result in chardet.detect_all(text, ignore_threshold=True, encoding_era=era):
            try:
                name = codecs.lookup(result["encoding"] or "").name
            except LookupError:
                continue
            yield _SUPERSETS.get(name, name)


def _reads(name: str, lines: Sequence[bytes]) -> bool:
    """Whether a codec reads the lines; a few broken ones are the file's fault."""
    broken = 0
    for line in lines:
        try:
            line.decode(name)
        except UnicodeDecodeError:
            broken += 1
    return broken * 20 <= len(lines) if len(lines) > 20 else not broken


def _best_latin(lines: Sequence[bytes]) -> tuple[str, float]:
    best, best_score = "cp1252", -1.0
    for name, letters in _LATIN:
        if not _reads(name, lines):
            continue
        score = _plausibility((line.decode(name, "ignore") for line in lines), frozenset(letters))
        if score > best_score + 0.001:
            best, best_score = name, score
    return best, best_score


def _plausibility(texts: Iterable[str], letters: frozenset[str]) -> float:
    """How much a decoding looks like words: from -1 to 1 per character beyond ASCII."""
    total, count = 0.0, 0
    for text in texts:
        for place, character in enumerate(text):
            if character.isascii():
                continue
            count += 1
            before = text[place - 1] if place else " "
            if character.isupper() and before.islower():
                total -= 1
            elif character in letters:
                total += 1
            elif character.isalpha():
                total += 0.2
            elif character in _SIGNS:
                total += 0.5 if not before.isalpha() or character == "’" else -0.5
            else:
                total -= 1
    return total / count if count else 0.0


class Recoded:
    """A UTF-16 or UTF-32 file as UTF-8, so that its lines can be split as bytes.

    It is recoded anew from the beginning for each place that is read: it seeks slowly.
    """

    def __init__(self, source: Source, encoding: TextEncoding) -> None:
        self._source = source
        self._encoding = encoding
        self.name = source.name
        self.size = source.size
        self.etag = source.etag

    def open(self, offset: int = 0) -> BinaryIO:
        """The text from `offset` bytes of its UTF-8 form on."""
        stream = self._source.open(self._encoding.mark)
        raw = _Recoding(stream, self._encoding.name)
        recoded = BufferedReader(raw, DEFAULT_BUFFER_SIZE)
        while offset:
            skipped = len(recoded.read(min(offset, _BLOCK)))
            if not skipped:
                break
            offset -= skipped
        return recoded

    def read_at(self, start: int, length: int) -> bytes:
        """At most `length` bytes of its UTF-8 form."""
        with self.open(start) as stream:
            return stream.read(length)


# Half of a character, which is not UTF-8: it has its line rejected, where U+FFFD would pass for a value.
codecs.register_error("importer-half", lambda error: ("\udcff", error.end))  # type: ignore[attr-defined] # any of them


class _Recoding(RawIOBase):
    """Reads UTF-8 from a stream in another encoding; what cannot be read is not UTF-8 there either."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(name)("importer-half")
        self._ready = b""
        self._is_ended = False

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: "bytearray | memoryview[int]") -> int:  # type: ignore[override] # typeshed: any buffer
        while not self._ready and not self._is_ended:
            block = self._stream.read(_BLOCK)
            self._is_ended = not block
            self._ready = self._decoder.decode(block, final=not block).encode("utf-8", "surrogatepass")
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    @override
    def close(self) -> None:
        self._stream.close()
        super().close()
