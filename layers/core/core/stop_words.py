"""Whether a message says nothing but that the running answer is to stop. The webhooks ask; the model never does."""

import re

_LONGEST = 120  # characters; no way of saying it is longer
_ORNAMENTS = re.compile(r"^[^\w/]+|[\W_]+$")
_GAPS = re.compile(r"[\s,]+")
_APOSTROPHE = "\u2019"
# The whole message has to be one of these; "no" and its like are answers to a question and not among them.
_WORDS = {
    "en": "stop|stop it|stop that|stop please|please stop|/stop|cancel|cancel that|abort|halt",
    "de": "stopp|halt|anhalten|abbrechen|abbruch|aufhören|hör auf|bitte aufhören|bitte abbrechen|bitte stopp",
    "fr": "arrête|arrete|arrêter|arrêtez|arretez|stoppe|annule|annuler|annulez|arrête s'il te plaît",
    "es": "para|parar|pare|detente|detén|detener|alto|cancela|cancelar|cancele|basta|para por favor|pare por favor",
    "pt": "para|parar|pare|pára|parem|interromper|cancela|cancelar|cancele|chega|pare por favor",
    "ja": "止めて|止めてください|とめて|やめて|やめてください|ストップ|停止|停止して|中止|中止して|キャンセル",
}
_ALL = frozenset(word for words in _WORDS.values() for word in words.split("|"))


def says_stop(text: str) -> bool:
    """Whether the whole of `text`, the mention of the assistant removed, asks to stop."""
    if len(text) > _LONGEST:
        return False
    words = _GAPS.sub(" ", text.casefold().replace(_APOSTROPHE, "'"))
    return _ORNAMENTS.sub("", words) in _ALL
