"""What a call of a tool looks like to a person who is to decide on it."""

import json
import re
import unicodedata

_LONGEST_NAME = 128  # characters
_LONGEST_VALUE = 500  # of one text in the arguments
_LONGEST = 2_000  # of all of them; what is not shown is named
_DEEPEST = 8
_SECRET = re.compile(r"passw|secret|token|api_?-?key|authori[sz]ation|credential|private_?-?key", re.IGNORECASE)


def describe_call(name: str, request: str) -> str:
    """A tool's name and arguments in Markdown: readable, never longer than a message takes, and nothing secret.

    They are the model's words, which may be an attacker's: no fence is closed in them and no character is invisible.
    """
    return f"`{_make_plain(name)[:_LONGEST_NAME]}`\n\n```\n{_show(request)}\n```"


def _show(request: str) -> str:
    try:
        shown = json.dumps(_shorten(json.loads(request or "{}"), 0), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        shown = request
    plain = _make_plain(shown)
    rest = len(plain) - _LONGEST
    return plain if rest <= 0 else f"{plain[:_LONGEST]}\n… ({rest} characters more are not shown)"


def _shorten(value: object, depth: int) -> object:
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {
            key: "•••" if _SECRET.search(key) and each is not None else _shorten(each, depth + 1)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_shorten(each, depth + 1) for each in value]
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        return f"{value[:_LONGEST_VALUE]}… ({len(value) - _LONGEST_VALUE} characters more are not shown)"
    return value


def _make_plain(text: str) -> str:
    """The text without what could end a block of code, and with invisible characters made visible."""
    return "".join(map(_make_visible, text)).replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")


def _make_visible(character: str) -> str:
    is_plain = character == "\n" or unicodedata.category(character)[0] != "C"
    return character if is_plain else f"\\u{ord(character):04x}"
