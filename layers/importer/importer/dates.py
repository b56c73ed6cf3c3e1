"""Dates and times as people write them, read only where they can be read in one way.

`03/04/2024` is in April or in March. A column tells (`25/04/2024` is plain), or a person; nobody else.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone

_ISO = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_PARTS = re.compile(r"(\d{1,2})([-/. ])\s?(\d{1,2})\2\s?(\d{4}|\d{2})")
_NAMED = re.compile(
    r"(\d{1,2})(?:st|nd|rd|th|er|\.)?[-\s/.]*(?:de |of )?([^\W\d_]{3,12})\.?,?[-\s/.]*(?:de |del )?(\d{4}|\d{2})"
)
_NAMED_FIRST = re.compile(r"([^\W\d_]{3,12})\.?\s*(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_NAMED_YEAR_FIRST = re.compile(r"(\d{4})[-\s]([^\W\d_]{3,12})[-\s](\d{1,2})")
_CJK = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]")
_TIME = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?\s?([AaPp]\.?[Mm]\.?)?\s?(Z|UTC|GMT|[-+]\d{2}:?\d{2})?"
)
_SPLIT = re.compile(r"^(.{6,25}?)(?:T|,?\s+)(\d{1,2}:\d{2}.*)$")
_OFFSET = re.compile(r"([-+])(\d{2}):?(\d{2})")
_UTC = ("Z", "UTC", "GMT")
_WEEKDAY = re.compile(r"^[^\W\d_]{2,10}\.?,\s+")
_MOST_CHARACTERS = 50
_CENTURY = 69  # two digits from here on are of the last century, as POSIX has it
_EXCEL_ZERO = date(1899, 12, 30)

_MONTHS: dict[str, int] = {}
for _number, _names in enumerate(
    (
        "january jan januar jänner januari janvier janv enero ene gennaio gen janeiro styczeń stycznia",
        "february feb februar feber februari février févr fév febrero febbraio fevereiro fev luty lutego",
        "march mar märz mrz mär maart mrt mars marzo março marzec marca",
        "april apr avril avr abril abr aprile kwiecień kwietnia",
        "may mai mei mayo maggio mag maio maj maja",
        "june jun juni juin junio giugno giu junho czerwiec czerwca",
        "july jul juli juillet juil julio luglio lug julho lipiec lipca",
        "august aug augustus août aou agosto ago sierpień sierpnia",
        "september sep sept septembre septiembre settembre set setembro wrzesień września",
        "october oct oktober okt octobre octubre ottobre ott outubro out październik października",
        "november nov novembre noviembre novembro listopad listopada",
        "december dec dezember dez décembre déc diciembre dic dicembre dezembro grudzień grudnia",
    ),
    start=1,
):
    _MONTHS |= dict.fromkeys(_names.split(), _number)


def parse_date(text: str, order: str) -> date | None:
    """The date that a text is, or None.

    Args:
        text: Without blanks around it.
        order: "dmy", "mdy" or "ymd"; "excel" for days since 1900; empty where only what has one meaning is to be read.
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    if order == "excel":
        return _from_excel(text)
    if found := _ISO.fullmatch(text):
        return _make(found[1], found[3], found[4])
    if found := _PARTS.fullmatch(text):
        return _from_parts(found[1], found[3], found[4], order)
    if found := _COMPACT.fullmatch(text) or _CJK.fullmatch(text):
        return _make(found[1], found[2], found[3])
    return _from_names(_WEEKDAY.sub("", text))


def _from_names(text: str) -> date | None:
    for pattern, day, month, year in ((_NAMED, 1, 2, 3), (_NAMED_FIRST, 2, 1, 3), (_NAMED_YEAR_FIRST, 3, 2, 1)):
        if (found := pattern.fullmatch(text)) and (number := _MONTHS.get(found[month].lower())):
            return _make(found[year], str(number), found[day])
    return None


def _from_parts(first: str, second: str, third: str, order: str) -> date | None:
    if order == "ymd":
        return _make(first, second, third) if len(third) == 2 and len(first) == 2 else None
    if order == "dmy":
        return _make(third, second, first)
    if order == "mdy":
        return _make(third, first, second)
    if len(third) == 2:
        return None  # which of the three is the year?
    dmy, mdy = _make(third, second, first), _make(third, first, second)
    return (dmy or mdy) if dmy == mdy or not (dmy and mdy) else None


def _make(year: str, month: str, day: str) -> date | None:
    number = int(year)
    if len(year) == 2:
        number += 1900 if number >= _CENTURY else 2000
    try:
        return date(number, int(month), int(day))
    except ValueError:
        return None


def _from_excel(text: str) -> date | None:
    if not text.isdecimal() or not 1 <= int(text[:7]) <= 2_958_465 or len(text) > 7:
        return None
    return _EXCEL_ZERO + timedelta(days=int(text))


def is_zone(text: str) -> bool:
    """Whether a text is a zone that `parse_datetime` knows: not the name of a place, whose clocks change."""
    return text in _UTC or bool(_OFFSET.fullmatch(text))


def parse_datetime(text: str, order: str, zone: str) -> datetime | None:
    """The time that a text is, or None; `order` as of dates, or "epoch" and "epoch_ms".

    Args:
        text: Without blanks around it.
        order: See `parse_date`.
        zone: "UTC" or an offset (`+02:00`), for times that do not say theirs; empty leaves them without.
    """
    if order in ("epoch", "epoch_ms"):
        return _from_epoch(text, 1000 if order == "epoch_ms" else 1)
    try:
        if text[4:5] == "-" and text[10:11] in ("T", " "):
            return _in_zone(datetime.fromisoformat(text), zone)
    except ValueError:
        pass
    day, clock = text, "00:00"
    if found := _SPLIT.match(text):
        day, clock = found[1], found[2]
    made = parse_date(day.strip(), order)
    return _at(made, clock.strip(), zone) if made else None


def _at(day: date, clock: str, zone: str) -> datetime | None:
    found = _TIME.fullmatch(clock)
    if not found:
        return None
    hour, half = int(found[1]), (found[5] or "").replace(".", "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "pm")
    try:
        fraction = int((found[4] or "").ljust(6, "0"))
        moment = time(hour, int(found[2]), int(found[3] or 0), fraction, tzinfo=_zone(found[6]))
        return _in_zone(datetime.combine(day, moment), zone)
    except ValueError:
        return None


def _zone(text: str | None) -> timezone | None:
    if not text:
        return None
    if found := _OFFSET.fullmatch(text):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(-offset if found[1] == "-" else offset)
    return UTC


def _in_zone(made: datetime, zone: str) -> datetime:
    return made if made.tzinfo else made.replace(tzinfo=_zone(zone))


def _from_epoch(text: str, per_second: int) -> datetime | None:
    if not text.isdecimal() or len(text) > 14:
        return None
    try:
        return datetime.fromtimestamp(int(text) / per_second, UTC)
    except (ValueError, OverflowError):
        return None  # after the year 9999


class DateEvidence:
    """What the dates of a column say together.

    Attributes:
        orders: The orders that some date is plain about.
        ambiguous: Dates that could be read in two ways.
        dates: How many texts are dates, ambiguous ones included.
        texts: How many are not.
        has_times: Some have a time of day.
        has_zones: Of those with a time, all say their zone.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Look at some texts."""
        self.orders: set[str] = set()
        self.ambiguous: list[str] = []
        self.dates = self.texts = 0
        self.has_times, self.has_zones = False, True
        for text in texts:
            self._look(text.strip())

    def _look(self, text: str) -> None:
        day = text
        if found := _SPLIT.match(text):
            self.has_times = True
            day = found[1]
            clock = _TIME.fullmatch(found[2].strip())
            self.has_zones = self.has_zones and bool(clock and clock[6])
        possible = {order for order in ("dmy", "mdy", "ymd") if parse_date(day, order)}
        self.dates += bool(possible)
        self.texts += not possible
        if not _PARTS.fullmatch(day):
            return
        if len(possible) == 1:
            self.orders |= possible
        elif len({parse_date(day, order) for order in possible}) > 1:
            self.ambiguous.append(text)
