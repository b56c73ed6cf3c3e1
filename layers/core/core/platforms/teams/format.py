"""Markdown for Teams, and what people wrote in Teams as Markdown.

https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages. Teams reads a subset of
Markdown and some HTML: tables become aligned code, headings bold lines, pictures links (a picture that a model names
would be fetched by everybody who reads it), and tags plain text.
"""

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core import tables
from core.splitting import FENCE, closing_of

_GAP = "\u200b"  # zero width: invisible, and what surrounds it is no mention
_MENTION = re.compile(r"<(?=at\b)|(?<![\w/.])@(?=everyone\b|channel\b|team\b|here\b|all\b)", re.IGNORECASE)
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_TASK = re.compile(r"([ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+)\[([ xX])\][ \t]+(.*)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.*?[^`])\1(?!`)")
_PICTURE = re.compile(r"!\[(?=[^\[\]\n]{0,1000}\]\()")
_TAG = re.compile(r"<(?=[A-Za-z/!?])(?!(?:https?://|mailto:|tel:)[^\s<>]{1,2000}>)")
_BOLD = re.compile(r"\*\*|__")
_MARKS = re.compile(r"\*\*|__|`+")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,1000})\]\(([^()\s]{0,2000})\)")
# In a line that goes on: from here on it may turn out to be something else.
_UNCERTAIN = re.compile(r"[`!<@|\[]")
_BEGINNING = re.compile(r"[ \t>]*(?:[-*+#=~]+|\d{1,9}[.)]?)?[ \t]*|[ \t]*#.*")
_OWN_MENTION = r'<at id="{}">[^<]{{0,500}}</at>'
_ANY_MENTION = re.compile(r'<at(?: id="[^"<>]{0,300}")?>([^<]{0,500})</at>')


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that are rendered together. `is_open`: what follows may belong to them and change them."""

    end: int
    shown: list[str]
    is_open: bool = False
    is_code: bool = False


def to_teams(markdown: str) -> str:
    """Markdown as Teams shows it, with no mention that rings and nothing that is fetched."""
    return "\n".join(line for block in _blocks(markdown.split("\n")) for line in block.shown)


def to_teams_so_far(markdown: str) -> str:
    """How an answer that still arrives looks: the beginning of what `to_teams` makes of the whole, whatever follows."""
    lines = markdown.split("\n")
    last = lines.pop()
    blocks = list(_blocks(lines))
    if blocks and blocks[-1].is_open:
        blocks.pop()
        return "\n".join(line for block in blocks for line in block.shown)
    shown = [line for block in blocks for line in block.shown]
    if blocks and blocks[-1].is_code:
        return "\n".join([*shown, *([] if "<" in last or "@" in last or set(last) & set("`~") else [last])])
    found = _UNCERTAIN.search(last)
    certain = last[: found.start()] if found else last
    if _BEGINNING.fullmatch(certain):
        certain = ""
    # An empty last line joins as the line break that stands there already.
    return "\n".join([*shown, certain]) if certain or not found else "\n".join(shown)


def to_markdown(text: str, bot_id: str) -> str:
    """What a person wrote: the assistant's own name removed, other names readable, entities decoded."""
    shown = re.sub(_OWN_MENTION.format(re.escape(bot_id)), "", text)
    shown = _ANY_MENTION.sub(lambda match: f"@{match[1]}", shown)
    return html.unescape(shown).replace("\r\n", "\n").replace("\xa0", " ").strip()


def measure(text: str) -> int:
    """How much of an activity a text takes: UTF-16 units, as JSON writes it."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-16-le", "surrogatepass")) // 2


def defuse(text: str) -> str:
    """`text` in which no mention rings."""
    return _MENTION.sub(lambda match: f"{match[0]}{_GAP}", text)


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    at = 0
    while at < len(lines):
        fence = FENCE.fullmatch(lines[at])
        if fence is not None:
            block = _fence(lines, at, fence)
        elif "|" in lines[at] and at + 1 < len(lines) and tables.is_delimiter_row(lines[at], lines[at + 1]):
            block = _table(lines, at)
        else:
            # The next line may make it the first one of a table.
            block = _Block(at + 1, [_line(lines[at])], is_open="|" in lines[at] and at + 1 == len(lines))
        yield block
        at = block.end


def _fence(lines: Sequence[str], start: int, fence: re.Match[str]) -> _Block:
    closing, at = closing_of(fence), start + 1
    while at < len(lines) and not closing.fullmatch(lines[at]):
        at += 1
    end = min(at + 1, len(lines))
    return _Block(end, [defuse(line) for line in lines[start:end]], is_code=at >= len(lines))


def _table(lines: Sequence[str], start: int) -> _Block:
    at = start + 2
    while at < len(lines) and "|" in lines[at]:
        at += 1
    shown = tables.align(lines[start:at], _plain)
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    ticks = "`" * max(3, longest + 1)
    return _Block(at, [ticks, *(defuse(line) for line in shown), ticks], is_open=at >= len(lines))


def _plain(cell: str) -> str:
    return _MARKS.sub("", _LINK.sub(lambda match: f"{match[1]} ({match[2]})" if match[2] else match[1], cell))


def _line(line: str) -> str:
    if (heading := _HEADING.fullmatch(line)) is not None:
        words = _BOLD.sub("", _inline(heading[1] or "")).strip()
        return f"**{words}**" if words else ""
    if (task := _TASK.fullmatch(line)) is not None:
        return f"{task[1]}{'☐' if task[2] == ' ' else '☑'} {_inline(task[3])}"
    return _inline(line)


def _inline(line: str) -> str:
    shown: list[str] = []
    at = 0
    for span in _SPAN.finditer(line):
        shown += [_text(line[at : span.start()]), defuse(span[0])]
        at = span.end()
    return "".join([*shown, _text(line[at:])])


def _text(text: str) -> str:
    return _TAG.sub("&lt;", defuse(_PICTURE.sub("[", text)))
