"""How many tokens a text has, told from its letters: no vocabulary to load, and rather too many than too few.

The vendors' vocabularies take 4 MB and 100 ms of a cold start, and each model family has another one. The rates below
were fitted to OpenAI's o200k_base; docs/tokens.md has the error of each language and kind of text.
"""

import math
import re

# Kinds of characters and how many tokens one of them is. The first kind that fits counts; the last one is for the rest.
_KINDS = (
    (r"[^\W_]{0,40}[0-9][^\W_]{0,200}", 0.63),  # numbers, and the random letters of ids around them
    (r"[A-Za-z\s]+", 0.28),
    (r"[\u1E00-\u1EFF]+", 0.5),  # Vietnamese, most of all
    (r"[\u00C0-\u024F]+", 1.0),  # Latin letters with marks break their words into pieces
    (r"[\u0400-\u052F]+", 0.36),  # Cyrillic
    (r"[\u0370-\u03FF\u0590-\u06FF]+", 0.42),  # Greek, Hebrew, Arabic
    (r"[\u0900-\u0EFF\u10A0-\u10FF]+", 0.5),  # India, Thai, Lao, Georgian
    (r"[\uAC00-\uD7AF]+", 0.75),  # Korean
    (r"[\u3040-\u30FF\u3400-\u9FFF]+", 0.9),  # Chinese, Japanese
    (r"[!-/:-@\[-`{-~\u00A0-\u00BF\u2010-\u2027\u3000-\u303F\uFF00-\uFFEF]+", 0.6),  # signs
    (r".+?", 2.5),  # emoji, and letters that a vocabulary writes byte by byte
)
_SCAN = re.compile("|".join(f"({pattern})" for pattern, _ in _KINDS), re.DOTALL)
_RATES = tuple(rate for _, rate in _KINDS)


def estimate_tokens(text: str) -> int:
    """About how many tokens a model counts for `text`."""
    total = 0.0
    for found in _SCAN.finditer(text):
        start, end = found.span()
        total += (end - start) * _RATES[(found.lastindex or 1) - 1]
    return math.ceil(total)


def cut_to_tokens(text: str, most: int, mark: str = "…") -> str:
    """`text`, or as much of its beginning as surely has no more than `most` tokens, and a mark that there was more."""
    tokens = estimate_tokens(text)
    while tokens > most:
        text = text[: max(len(text) * most // tokens - 1, 0)].rstrip()
        tokens = estimate_tokens(text)
        if tokens <= most:
            return text + mark
    return text
