"""Where a long answer is cut, so that every part stands alone as a message and nothing is lost."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

type Render = Callable[[str], str]
type Measure = Callable[[str], int]

FENCE = re.compile(
    r"( *)((?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,16}|~{3,16})([^`\n]*)"
)  # as the first thing of an item, too

_JOINERS = "\u200d\ufe0f\u20e3"  # what holds an emoji's parts together
_LONGEST_CLUSTER = 40  # characters; the longest family emoji has about ten
_LONGEST_LANGUAGE = 30  # characters of a fence's language that are repeated
_LONGEST_SPAN = 400  # characters; what stays open for longer is neither code nor bold nor a link


@dataclass(frozen=True, slots=True)
class Cut:
    """A text cut in two.

    Attributes:
        head: The first part, whole: code that was cut is closed.
        end: Where the rest begins in the text; the white space at the border belongs to neither.
        carry: What has to stand before the rest: the fence of the code that goes on, or nothing.
    """

    head: str
    end: int
    carry: str


def closing_of(fence: re.Match[str]) -> re.Pattern[str]:
    """What a line must be to end the code that a match of `FENCE` began."""
    return re.compile(rf"[ \t]*{re.escape(fence[3][0])}{{{len(fence[3])},}}[ \t]*")


def size(text: str) -> int:
    """How long a platform may find a text that says characters and not which: UTF-16 units are never fewer."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int, render: Render, measure: Measure = size) -> list[str]:
    """Markdown in parts that `render` makes at most `limit` long, cut where it hurts least, complete and in order.

    `measure` says how long a part is once rendered; it is never less than the part's UTF-16 units.
    """
    parts: list[str] = []
    rest = text
    carry = ""
    while len(rest) > 2 * limit or measure(render(rest)) > limit:  # no rendering of all that is left, part after part
        found = cut(rest, limit, render, at_least=len(carry) + 1, measure=measure)
        parts.append(found.head)
        carry = found.carry
        rest = found.carry + rest[found.end :]
    return [*parts, rest] if rest.strip() or not parts else parts


def cut(
    text: str, limit: int, render: Render, *, at_least: int = 1, goes_on: bool = False, measure: Measure = size
) -> Cut:
    """The longest good beginning of `text` that `render` makes at most `limit` long.

    A border between paragraphs is better than one between lines, that than a space, and code is cut between its lines.

    Args:
        text: Markdown.
        limit: How long the first part may be once rendered.
        render: What is done to the part before it is posted.
        at_least: So many characters were posted already: the first part has to begin with them.
        goes_on: Whether more text is still to come, so that the end of `text` is no border.
        measure: How long a part is once rendered.
    """
    highest = max(limit, at_least)
    while True:
        found = _cut_at(text, _find_border(text, at_least, min(highest, len(text)), goes_on=goes_on))
        if measure(render(found.head)) <= limit or highest <= at_least:
            return found
        # Steps that do not depend on the text: a text that grows is cut at the same place again.
        highest = max(at_least, highest - max(1, min(limit // 16, highest // 4)))


def _cut_at(text: str, end: int) -> Cut:
    fence = _open_fence(text, end)
    if fence is None:
        rest = _after_line_breaks(text, end)
        if rest == end and text[end : end + 1] == " ":
            rest += 1
        return Cut(text[:end], rest, "")
    line_break = "" if text[:end].endswith("\n") else "\n"
    head = f"{text[:end]}{line_break}{fence[3]}"
    rest = end + 1 if text[end : end + 1] == "\n" else end
    line_end = text.find("\n", rest)
    if closing_of(fence).fullmatch(text, rest, line_end if line_end >= 0 else len(text)):
        return Cut(head, _after_line_breaks(text, line_end) if line_end >= 0 else len(text), "")
    language = fence[4].strip().partition(" ")[0][:_LONGEST_LANGUAGE]
    return Cut(head, rest, f"{fence[3]}{language}\n")


def _after_line_breaks(text: str, at: int) -> int:
    while at < len(text) and text[at] == "\n":
        at += 1
    return at


def _open_fence(text: str, end: int) -> re.Match[str] | None:
    """The match of the fence that opens the code which position `end` is in, None outside of code."""
    opening: re.Match[str] | None = None
    closing: re.Pattern[str] | None = None
    at = 0
    while at < end:
        line_end = text.find("\n", at)
        line_end = len(text) if line_end < 0 else line_end
        line = text[at:line_end]
        if closing is None:
            fence = FENCE.fullmatch(line)
            if fence is not None and line_end < end:
                opening, closing = fence, closing_of(fence)
        elif closing.fullmatch(line) and line_end <= end:
            opening = closing = None
        at = line_end + 1
    return opening


def _find_border(text: str, lowest: int, highest: int, *, goes_on: bool) -> int:
    """The best place to cut in `text[lowest:highest]`, never before `lowest`."""
    if highest >= len(text) and not goes_on and _open_fence(text, highest) is None:
        return highest
    middle = max(lowest, highest // 2)
    outside, inside = _line_borders(text, lowest, highest)
    paragraphs = [border for border in outside if text[border : border + 2] == "\n\n"]
    for borders in (paragraphs, outside, inside):
        if borders and borders[-1] >= middle:
            return borders[-1]
    space = _find_space(text, middle, highest)
    if space:
        return space
    for borders in (outside, inside):
        if borders:
            return borders[-1]
    return _find_space(text, lowest, highest) or _between_clusters(text, lowest, highest)


def _line_borders(text: str, lowest: int, highest: int) -> tuple[list[int], list[int]]:
    """The line breaks between `lowest` and `highest`: those outside of code and those between lines of code."""
    outside: list[int] = []
    inside: list[int] = []
    closing: re.Pattern[str] | None = None
    at = 0
    while at <= highest:
        border = text.find("\n", at)
        if border < 0 or border > highest:
            break
        line = text[at:border]
        opens = FENCE.fullmatch(line) if closing is None else None
        if opens is not None:
            closing = closing_of(opens)  # no border: a fence alone is no message
        elif closing is not None and closing.fullmatch(line):
            closing = None
            outside.append(border)
        else:
            (outside if closing is None else inside).append(border)
        at = border + 1
    return [each for each in outside if each >= lowest], [each for each in inside if each >= lowest]


def _find_space(text: str, lowest: int, highest: int) -> int:
    """The last space at which nothing is left open, else the last space; 0 without any."""
    last = 0
    at = highest
    while (at := text.rfind(" ", lowest, at)) > 0:
        line = text[text.rfind("\n", 0, at) + 1 : at]
        if line.strip():
            last = last or at
            if not _is_hanging(line):
                return at
        if last and last - at > _LONGEST_SPAN:
            break
    return last


def _is_hanging(line: str) -> bool:
    return line.count("`") % 2 == 1 or line.count("**") % 2 == 1 or line.rfind("[") > line.rfind(")")


def _between_clusters(text: str, lowest: int, highest: int) -> int:
    """The last place at or before `highest` that does not tear an emoji or an accented letter apart."""
    for at in range(highest, max(lowest - 1, highest - _LONGEST_CLUSTER), -1):
        if not _is_joined(text, at):
            return at
    return highest


def _is_joined(text: str, at: int) -> bool:
    if at >= len(text) or at <= 0:
        return False
    before, after = text[at - 1], text[at]
    if after in _JOINERS or before == "\u200d" or unicodedata.category(after).startswith("M"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff":  # a skin colour
        return True
    return _is_flag_letter(before) and _is_flag_letter(after)


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
