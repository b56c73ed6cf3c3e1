"""The few words on buttons and forms that the adapters make themselves, in the person's language."""

from typing import Literal

type Label = Literal["working", "stop", "good", "bad", "open"]

_FALLBACK = "en"
_LABELS: dict[str, dict[Label, str]] = {
    "en": {
        "working": "is thinking…",
        "stop": "Stop",
        "good": "Good answer",
        "bad": "Bad answer",
        "open": "You could ask:",
    },
    "de": {
        "working": "denkt nach…",
        "stop": "Stopp",
        "good": "Gute Antwort",
        "bad": "Schlechte Antwort",
        "open": "Sie könnten fragen:",
    },
    "fr": {
        "working": "réfléchit…",
        "stop": "Arrêter",
        "good": "Bonne réponse",
        "bad": "Mauvaise réponse",
        "open": "Vous pourriez demander :",
    },
    "es": {
        "working": "está pensando…",
        "stop": "Detener",
        "good": "Buena respuesta",
        "bad": "Mala respuesta",
        "open": "Podría preguntar:",
    },
    "pt": {
        "working": "está pensando…",
        "stop": "Parar",
        "good": "Boa resposta",
        "bad": "Má resposta",
        "open": "Você poderia perguntar:",
    },
    "ja": {
        "working": "考えています…",
        "stop": "停止",
        "good": "良い回答",
        "bad": "良くない回答",
        "open": "たとえば、次のように質問できます。",
    },
}


def label(name: Label, language: str | None = None) -> str:
    """The words of `name` in `language`, a BCP 47 tag; in English where there are none in that language."""
    primary = (language or _FALLBACK).replace("_", "-").split("-")[0].lower()
    return _LABELS.get(primary, _LABELS[_FALLBACK])[name]
