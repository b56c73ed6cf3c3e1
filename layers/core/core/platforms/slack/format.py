"""Markdown and Slack's two dialects: Markdown made harmless, Markdown as mrkdwn, and mrkdwn as people sent it.

https://docs.slack.dev/messaging/formatting-message-text. Slack takes Markdown itself in `markdown_text`; `text` wants
its own mrkdwn. Both know mentions that ring a whole channel: what a model writes must never contain one.
"""

import re

from core import tables
from core.platforms.slack.inline import escape, literal_ticks, plain_text, to_inline
from core.splitting import FENCE, closing_of

_GAP = "\u200b"  # zero width: invisible, and what surrounds it is no mention
_MAX_DEPTH = 6  # of quotes; deeper ones are shown as text
_RULE_LINE = "─" * 20
_BULLETS = ("•", "◦", "▪")

# How a mention begins, in either dialect: `<!channel>`, `<@U1>`, a link to `!here`, and the bare words.
_MENTION_START = re.compile(
    r"<(?=[!@](?:channel|here|everyone|group|subteam|[UWB][A-Z0-9]))|\]\(<?(?=[!@])|(?<![\w/])@(?=channel|here|everyone)",
    re.IGNORECASE,
)
_UNFINISHED: tuple[str, ...] = (
    "<!channel",
    "<!here",
    "<!everyone",
    "<!group",
    "<!subteam",
    "<@ux",
    "<@wx",
    "<@bx",
    "](<!",
    "](!",
)
_UNFINISHED += ("@channel", "@here", "@everyone")
_LONGEST_UNFINISHED = max(len(start) for start in _UNFINISHED)

_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}")
_QUOTE = re.compile(r" {0,3}> ?(.*)")
_ITEM = re.compile(r"([ \t]*)([-*+]|\d{1,9}[.)])[ \t]+(?:(\[[ xX]\])[ \t]+)?(.*)")
_TAG = re.compile(r"<([@#!][^<>\n]{1,400}|[a-z][a-z0-9+.-]{1,20}:[^<>\n]{1,4100})>", re.IGNORECASE)
_ENTITY = re.compile(r"&(amp|lt|gt);")
_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">"}


def defuse(text: str) -> str:
    """`text` in which no mention rings: an invisible gap stands where one would begin.

    It holds for code too, because whether Slack sees code there is Slack's decision. The beginning of a text never
    changes with what follows, except for the last `held_back(text)` characters.
    """
    return _MENTION_START.sub(lambda match: f"{match[0]}{_GAP}", text)


def held_back(text: str) -> int:
    """How many characters at the end of a text that goes on might be the beginning of a mention."""
    tail = text[-_LONGEST_UNFINISHED:].lower()
    for length in range(len(tail), 0, -1):
        if any(len(start) > length and start.startswith(tail[-length:]) for start in _UNFINISHED):
            return length
    return 0


def to_mrkdwn(markdown: str) -> str:
    """Markdown as mrkdwn for a message's `text`: `&`, `<` and `>` escaped, code untouched, tables as aligned code."""
    return defuse("\n".join(_render(markdown.split("\n"), 0)))


def to_markdown(text: str, bot_user_id: str) -> str:
    """What a person wrote in Slack as Markdown: mentions readable, those of the assistant removed, entities decoded."""
    shown = _TAG.sub(lambda match: _read_tag(match[1], bot_user_id), text)
    return _ENTITY.sub(lambda match: _CHARACTERS[match[1]], shown).strip()


def _read_tag(tag: str, bot_user_id: str) -> str:
    target, _, label = tag.partition("|")
    kind, name = target[:1], target[1:]
    if kind == "@":
        return "" if name == bot_user_id else f"@{label or name}"
    if kind == "#":
        return f"#{label or name}"
    if kind == "!":
        return label or f"@{name.partition('^')[0]}"
    if not label or label in (target, target.removeprefix("mailto:")):
        return target.removeprefix("mailto:")
    return f"[{label}]({target})"


def _render(lines: list[str], depth: int) -> list[str]:
    rendered: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if (fence := FENCE.fullmatch(line)) is not None:
            block, at = _render_fence(lines, at, fence)
        elif (quote := _QUOTE.fullmatch(line)) is not None and depth < _MAX_DEPTH:
            block, at = _render_quote(lines, at, quote, depth)
        elif "|" in line and at + 1 < len(lines) and tables.is_delimiter_row(line, lines[at + 1]):
            block, at = _render_table(lines, at)
        elif _is_underlined(lines, at):
            block, at = [_bold_line(line.strip())], at + 2
        else:
            block, at = [_render_line(line)], at + 1
        rendered += block
    return rendered


def _render_line(line: str) -> str:
    if (heading := _HEADING.fullmatch(line)) is not None:
        return _bold_line(heading[1] or "")
    if _RULE.fullmatch(line):
        return _RULE_LINE
    if (item := _ITEM.fullmatch(line)) is not None:
        return _render_item(item)
    return to_inline(line)


def _bold_line(text: str) -> str:
    words = to_inline(text, is_bold=True).strip()
    return f"*{words}*" if words else ""


def _is_underlined(lines: list[str], at: int) -> bool:
    line = lines[at]
    if at + 1 >= len(lines) or not _UNDERLINE.fullmatch(lines[at + 1]) or not line.strip():
        return False
    return not (_ITEM.fullmatch(line) or _HEADING.fullmatch(line) or _RULE.fullmatch(line))


def _render_item(item: re.Match[str]) -> str:
    level = len(item[1].expandtabs(4)) // 2
    marker = item[2] if item[2][0].isdigit() else _BULLETS[min(level, len(_BULLETS) - 1)]
    if item[3]:
        marker = "☐" if item[3] == "[ ]" else "☑"
    return f"{'    ' * min(level, 8)}{marker} {to_inline(item[4])}"


def _render_fence(lines: list[str], start: int, fence: re.Match[str]) -> tuple[list[str], int]:
    indentation, closing = len(fence[1]) + len(fence[2] or ""), closing_of(fence)
    at = start + 1
    code = [fence[4].strip()] if " " in fence[4].strip() else []  # more than the language's name: it may be code
    while at < len(lines) and not closing.fullmatch(lines[at]):
        line = lines[at]
        code.append(line[min(indentation, len(line) - len(line.lstrip(" "))) :])
        at += 1
    # Slack ends the block at the next three backticks, wherever they stand.
    text = literal_ticks(escape("\n".join(code)))
    marker = [f"{fence[1]}{_BULLETS[0]}" if fence[2] and not fence[2][0].isdigit() else f"{fence[1]}{fence[2]}"]
    return [*(marker if fence[2] else []), "```", *(text.split("\n") if code else [" "]), "```"], at + 1


def _render_quote(lines: list[str], start: int, quote: re.Match[str] | None, depth: int) -> tuple[list[str], int]:
    at = start
    inner: list[str] = []
    while quote is not None:
        inner.append(quote[1])
        at += 1
        quote = _QUOTE.fullmatch(lines[at]) if at < len(lines) else None
    return [f"> {line}" for line in _render(inner, depth + 1)], at


def _render_table(lines: list[str], start: int) -> tuple[list[str], int]:
    at = start + 2
    while at < len(lines) and "|" in lines[at]:
        at += 1
    shown = tables.align(lines[start:at], plain_text)
    return ["```", *literal_ticks(escape("\n".join(shown))).split("\n"), "```"], at
