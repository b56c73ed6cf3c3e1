"""Dates as spreadsheets keep them: a number of days, and a number format that makes a date of it."""

import re
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from math import isfinite

_BUILT_IN_DATES = frozenset((14, 15, 16, 17, *range(27, 32), 36, *range(50, 55), 57, 58))
_BUILT_IN_TIMES = frozenset((18, 19, 20, 21, 32, 33, 34, 35, 45, 47, 55, 56))
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_NO_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')  # texts, literal characters, padding, colours and conditions
_LAST_SERIAL = 2_958_466  # the day after 9999-12-31
_LEAP_BUG = 60  # the 29th of February 1900, which spreadsheets believe in
_DAYS_TO_1904 = 1_462
_NO_TIME = 1e9  # days: what is beyond is neither a date nor a duration


class DateKind(StrEnum):
    """What a number format makes of a number."""

    NONE = ""
    DATE = "date"
    TIME = "time"
    BOTH = "both"
    ELAPSED = "elapsed"


def kind_of_format(number: int, code: str | None) -> DateKind:
    """What a number format makes of a number, by its number and, where it is not built in, its code."""
    if code is None:
        if number in _BUILT_IN_DATES:
            return DateKind.DATE
        if number in _BUILT_IN_TIMES:
            return DateKind.TIME
        return {22: DateKind.BOTH, 46: DateKind.ELAPSED}.get(number, DateKind.NONE)
    section = code.partition(";")[0]
    if _ELAPSED.search(section):
        return DateKind.ELAPSED
    plain = _NO_CODE.sub("", section).lower().replace("general", "").replace("am/pm", "h").replace("a/p", "h")
    if any(sign in plain for sign in "0#?@"):
        # Seconds may have decimals; a number format has no letters of dates otherwise.
        plain = re.sub(r"ss\.0+", "ss", plain)
        if any(sign in plain for sign in "0#?@"):
            return DateKind.NONE
    has_date, has_time = bool(re.search(r"[yd]|e{2,}", plain)), bool(re.search(r"[hs]", plain))
    if "m" in plain and not has_time:
        has_date = True
    if has_date:
        return DateKind.BOTH if has_time else DateKind.DATE
    return DateKind.TIME if has_time else DateKind.NONE


def number_of(text: str) -> int | float | str:
    """A number as a sheet has it: whole where it is written so; the text where no number of ours is the same.

    Raises:
        ValueError: It is no number.
    """
    number = int(text) if text.isdecimal() or text[1:].isdecimal() else float(text)
    if isinstance(number, int):
        return number if -(2**63) <= number < 2**63 else text
    return number if isfinite(number) else text


def from_serial(serial: float, kind: DateKind, *, is_1904: bool) -> date | datetime | time | str | float:
    """What a number means that is shown as a date. A number that is no date stays one; a duration is `37:30:00`."""
    if not isfinite(serial) or abs(serial) >= _NO_TIME:
        return serial
    if kind is DateKind.ELAPSED:
        return _duration(serial)
    days = serial + _DAYS_TO_1904 if is_1904 else serial
    if not 0 <= days < _LAST_SERIAL:
        return serial
    if kind is DateKind.TIME and serial < 1:
        return _moment(1, serial).time()
    if not is_1904 and days < 1:
        return serial
    day, part = divmod(days, 1)
    moment = _moment(day, part)
    is_midnight = moment.time() == time(0)
    return moment.date() if kind is DateKind.DATE and is_midnight else moment


def _moment(day: float, part: float) -> datetime:
    start = datetime(1899, 12, 30) if day > _LEAP_BUG else datetime(1899, 12, 31)  # noqa: DTZ001 - sheets have no zone
    # Milliseconds are all that a float of days is good for; the calendar's last day has no next one.
    most = 86_399_999 if day == _LAST_SERIAL - 1 else 86_400_000
    return start + timedelta(days=day, milliseconds=min(round(part * 86_400_000), most))


def _duration(serial: float) -> str:
    seconds = round(abs(serial) * 86_400)
    hours, rest = divmod(seconds, 3600)
    return f"{'-' if serial < 0 else ''}{hours}:{rest // 60:02d}:{rest % 60:02d}"
