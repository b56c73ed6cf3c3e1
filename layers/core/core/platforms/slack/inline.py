"""One line of Markdown as mrkdwn: emphasis, code, links. Linear in the line's length, whatever a model writes."""

import re
from dataclasses import dataclass

_GAP = "\u200b"  # zero width: mrkdwn sees a word's border there
_MAX_OPENERS = 32  # emphasis open at once; what is deeper stays literal
_LINKED_SCHEMES = ("http://", "https://", "mailto:", "tel:", "slack:")
_MRKDWN_MARKERS = {("*", 1): "_", ("*", 2): "*", ("_", 1): "_", ("_", 2): "*", ("~", 2): "~"}
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "#39": "'", "nbsp": "\u00a0"}

# Bounded repetitions keep every alternative linear: no link's label or address is longer.
_LABEL = r"(?:[^\[\]\\\n]|\\.|\[[^\[\]\n]{0,200}\]){0,1000}"
_TARGET = r"<?((?:[^\s()<>]|\([^\s()<>]{0,500}\)){0,2000})>?(?:[ \t]+(?:\"[^\"\n]{0,500}\"|'[^'\n]{0,500}'))?[ \t]*"
_TOKEN = re.compile(
    r"(?P<escaped>\\[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`+)"
    rf"|!\[(?P<alt>{_LABEL})\]\([ \t]*(?P<source>{_TARGET})\)"
    rf"|\[(?P<label>{_LABEL})\]\([ \t]*(?P<link>{_TARGET})\)"
    r"|<(?P<auto>(?:https?://|mailto:|tel:)[^\s<>]{1,2000}|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8})>"
    r"|(?P<url>https?://[^\s<>*`|]{1,2000})"
    r"|(?P<br><br ?/?>)"
    r"|&(?P<entity>amp|lt|gt|quot|#39|nbsp);"
    r"|(?P<run>\*+|_+|~~+)",
)
_TWO_TICKS = re.compile(r"``(?=`)")
_URL_TAIL = re.compile(r"[_~.,;:!?)'\"\]]+$")


@dataclass(slots=True)
class _Run:
    """A run of one emphasis character between its neighbours."""

    character: str
    count: int
    before: str
    after: str
    length: int
    opened: str = ""  # the markers it turned out to open, outermost first
    closed: str = ""  # the markers it turned out to close, innermost first

    @property
    def can_open(self) -> bool:
        is_free = self.character != "_" or not self.before.isalnum()
        return is_free and bool(self.after) and not self.after.isspace()

    @property
    def can_close(self) -> bool:
        is_free = self.character != "_" or not self.after.isalnum()
        return is_free and bool(self.before) and not self.before.isspace()

    def fits(self, closer: "_Run") -> bool:
        """Whether `closer` may end what this run began; `*a*b*` in bold is told apart as CommonMark does it."""
        if self.character != closer.character or not self.count:
            return False
        is_ambiguous = (self.can_open and self.can_close) or (closer.can_open and closer.can_close)
        return not is_ambiguous or (self.length + closer.length) % 3 != 0 or self.length % 3 == closer.length % 3 == 0

    def take(self, wanted: int) -> None:
        """Use up part of the run."""
        self.count -= wanted


def escape(text: str) -> str:
    """`text` with the three characters that mrkdwn controls with written as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_inline(line: str, *, is_bold: bool = False) -> str:
    """One line of Markdown as mrkdwn; `is_bold` where the whole line stands between bold markers already."""
    tokens = _tokenize(line)
    _pair([token for token in tokens if isinstance(token, _Run)])
    shown: list[str] = []
    for token in tokens:
        if isinstance(token, str):
            shown.append(token)
        else:
            shown.append(_render_run(token, is_bold=is_bold))
    return "".join(shown)


def plain_text(markdown: str) -> str:
    """One line of Markdown without its marks: what a table's cell or a link's label says."""
    tokens = _tokenize(markdown, is_plain=True)
    _pair([token for token in tokens if isinstance(token, _Run)])
    return "".join(token if isinstance(token, str) else token.character * token.count for token in tokens)


def _tokenize(line: str, *, is_plain: bool = False) -> list[str | _Run]:
    """Finished pieces of mrkdwn, or of plain text, and the runs of emphasis characters between them."""
    tokens: list[str | _Run] = []
    as_text = str if is_plain else escape
    closings = _find_closings(line)
    at = 0
    while (match := _TOKEN.search(line, at)) is not None:
        tokens.append(as_text(line[at : match.start()]))
        at = match.end()
        if match["run"]:
            run = match["run"]
            before, after = line[match.start() - 1 : match.start()], line[at : at + 1]
            tokens.append(_Run(run[0], len(run), before, after, len(run)))
        elif match["ticks"]:
            end = closings.get(match.start())
            code = line[at:end] if end is not None else ""
            at = at if end is None else end + len(match["ticks"])
            tokens.append(_render_code(code, is_plain=is_plain) if code else literal_ticks(match["ticks"]))
        elif match["url"]:
            url = _URL_TAIL.sub("", match["url"])
            at = match.start() + len(url)
            tokens.append(as_text(url))
        else:
            tokens.append(_render_atom(match, is_plain=is_plain))
    tokens.append(as_text(line[at:]))
    return tokens


def _find_closings(line: str) -> dict[int, int]:
    """Where the code that each run of backticks may open ends: at the next run of the same length."""
    closings: dict[int, int] = {}
    waiting: dict[int, int] = {}
    for match in reversed(list(re.finditer(r"`+", line))):
        length = len(match[0])
        if length in waiting:
            closings[match.start()] = waiting[length]
        waiting[length] = match.start()
    return closings


def _render_code(code: str, *, is_plain: bool) -> str:
    if code.startswith(" ") and code.endswith(" ") and code.strip():
        code = code[1:-1]
    if is_plain:
        return code
    # Code with a backtick in it can only be shown as a block; three of them would end that too.
    marks = "```" if "`" in code else "`"
    return f"{marks}{literal_ticks(escape(code))}{marks}"


def literal_ticks(text: str) -> str:
    """`text` in which no three backticks stand together: Slack begins and ends a block there."""
    return _TWO_TICKS.sub(f"``{_GAP}", text)


def _render_atom(match: re.Match[str], *, is_plain: bool) -> str:
    as_text = str if is_plain else escape
    if match["escaped"]:
        character = match["escaped"][1]
        return f"{_GAP}`{_GAP}" if character == "`" and not is_plain else as_text(character)
    if match["entity"]:
        return as_text(_ENTITIES[match["entity"]])
    if match["br"]:
        return "\n" if not is_plain else " "
    if match["auto"]:
        address = match["auto"]
        target = address if ":" in address else f"mailto:{address}"
        return address.removeprefix("mailto:") if is_plain else _link(target, address.removeprefix("mailto:"))
    is_image = match["link"] is None
    words = plain_text(match["alt"] if is_image else match["label"])
    group = match.re.groupindex["source" if is_image else "link"] + 1  # the address stands alone in the next group
    target = match[group]
    return (words or target) if is_plain else _link(target, words or ("image" if is_image else target))


def _link(target: str, words: str) -> str:
    """A link, where the address is one; anything else (`!channel`, `@U1`, a path) would be a command or dead."""
    if not target.lower().startswith(_LINKED_SCHEMES):
        return literal_ticks(escape(words if words == target or not target else f"{words} ({target})"))
    address = escape(target).replace("|", "%7C").replace("`", "%60")
    label = literal_ticks(escape(words.replace("|", "¦")))
    return f"<{address}>" if words == target else f"<{address}|{label}>"


def _pair(runs: list[_Run]) -> None:
    """Find which runs belong together, as CommonMark does: two marks are bold before one is italic."""
    openers: list[_Run] = []
    for run in runs:
        while run.can_close and run.count:
            opener = next((each for each in reversed(openers) if each.fits(run)), None)
            if opener is None:
                break
            used = 2 if opener.count >= 2 and run.count >= 2 else 1
            if (run.character, used) not in _MRKDWN_MARKERS:
                break
            marker = _MRKDWN_MARKERS[run.character, used]
            opener.opened = marker + opener.opened
            run.closed += marker
            opener.take(used)
            run.take(used)
            del openers[openers.index(opener) + (1 if opener.count else 0) :]
        if run.can_open and run.count and len(openers) < _MAX_OPENERS:
            openers.append(run)


def _render_run(run: _Run, *, is_bold: bool) -> str:
    opened, closed = run.opened, run.closed
    if is_bold:
        opened, closed = opened.replace("*", ""), closed.replace("*", "")
    literal = run.character * run.count
    # mrkdwn wants a word's border outside its marks: `a**b**c` is legal Markdown and none of Slack's.
    if closed and (run.after.isalnum() or opened or literal):
        closed = f"{closed}{_GAP}"
    if opened and not closed and (run.before.isalnum() or literal):
        opened = f"{_GAP}{opened}"
    return f"{closed}{literal}{opened}"
