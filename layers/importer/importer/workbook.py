"""What all sheets of an xlsx workbook share: their names, the styles that make dates of numbers, the texts of cells."""

import array
import re
from tempfile import TemporaryFile

from core.errors import PermanentError
from importer.markup import Attributes
from importer.problems import Limits, ProblemCode, refuse
from importer.serials import DateKind, kind_of_format

_MAX_SHEETS = 500
_LONGEST_NAME = 100  # characters; Excel allows 31
_MAX_STYLES = 200_000  # Excel allows 65,490
_LONGEST_FORMAT = 500  # characters; Excel allows 255
_MAX_STRINGS = 20_000_000
_STRINGS_IN_MEMORY = 64 * 1024 * 1024  # characters; what a workbook has beyond that is kept on the disk
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class Workbook:
    """Hears which sheets there are and where the calendar begins."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str, bool]] = []
        self.is_1904 = False

    def start(self, name: str, attributes: Attributes) -> None:
        """See `Listener`."""
        if name == "sheet":
            if len(self.sheets) == _MAX_SHEETS:
                raise refuse(ProblemCode.SHEET_TOO_LARGE, f"a workbook may have {_MAX_SHEETS} sheets")
            is_hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append((attributes.get("name", "")[:_LONGEST_NAME], attributes.get("id", ""), is_hidden))
        elif name == "workbookPr":
            self.is_1904 = attributes.get("date1904", "0") in {"1", "true", "on"}

    def end(self, name: str) -> None:
        """See `Listener`."""

    def text(self, text: str) -> None:
        """See `Listener`."""


class Styles:
    """Hears which styles show numbers as dates."""

    def __init__(self) -> None:
        self.kinds: list[DateKind] = []
        self._codes: dict[int, str] = {}
        self._is_inside = False

    def start(self, name: str, attributes: Attributes) -> None:
        """See `Listener`."""
        if len(self.kinds) + len(self._codes) > _MAX_STYLES:
            raise refuse(ProblemCode.SHEET_TOO_LARGE, f"a workbook may have {_MAX_STYLES} styles")
        if name == "numFmt":
            self._codes[whole(attributes.get("numFmtId"))] = attributes.get("formatCode", "")[:_LONGEST_FORMAT]
        elif name == "cellXfs":
            self._is_inside = True
        elif name == "xf" and self._is_inside:
            number = whole(attributes.get("numFmtId"))
            self.kinds.append(kind_of_format(number, self._codes.get(number)))

    def end(self, name: str) -> None:
        """See `Listener`."""
        if name == "cellXfs":
            self._is_inside = False

    def text(self, text: str) -> None:
        """See `Listener`."""


class Strings:
    """Hears the texts that cells share; what memory should not hold is on the disk."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.max_field_bytes
        self._texts: list[str] = []
        self._size = 0
        self._length = 0
        self._count = 0
        self._ends = array.array("Q", [0])
        self._file = TemporaryFile()  # noqa: SIM115 - closed by `close`, whose caller has the context
        self._pieces: list[str] = []
        self._is_text = False
        self._phonetic = 0

    def start(self, name: str, attributes: Attributes) -> None:
        """See `Listener`."""
        del attributes
        if name == "t":
            self._is_text = not self._phonetic
        elif name == "si":
            self._pieces, self._length = [], 0
            self._count += 1
            if self._count > _MAX_STRINGS:
                raise refuse(ProblemCode.SHEET_TOO_LARGE, f"a workbook may have {_MAX_STRINGS} texts")
        elif name == "rPh":
            self._phonetic += 1

    def end(self, name: str) -> None:
        """See `Listener`."""
        if name == "t":
            self._is_text = False
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "si":
            self._add(unescaped("".join(self._pieces)))

    def text(self, text: str) -> None:
        """See `Listener`."""
        if self._is_text and self._length <= self._limit:  # what is longer is cut here, and rejected where it stands
            self._pieces.append(text)
            self._length += len(text)

    def __getitem__(self, place: int) -> str:
        if place < 0:
            raise IndexError
        if place < len(self._texts):
            return self._texts[place]
        place -= len(self._texts)
        begin, end = self._ends[place], self._ends[place + 1]
        self._file.seek(begin)
        return self._file.read(end - begin).decode("utf-8", "surrogatepass")

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def _add(self, text: str) -> None:
        if self._size < _STRINGS_IN_MEMORY:
            self._texts.append(text)
            self._size += len(text) + 50
            return
        content = text.encode("utf-8", "surrogatepass")
        self._file.seek(0, 2)
        self._file.write(content)
        self._ends.append(self._ends[-1] + len(content))


def whole(text: str | None) -> int:
    """A number that a workbook needs to be read at all."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise damaged()
    return int(text)


def unescaped(text: str) -> str:
    """A text whose control characters are written as `_x000D_`."""
    if "_x" not in text:
        return text
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    # Two halves of a character become one; a half alone is none.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def damaged() -> PermanentError:
    """The error of a workbook that does not hold together."""
    return refuse(ProblemCode.CORRUPT_FILE, "the workbook is damaged: save or export it again")
