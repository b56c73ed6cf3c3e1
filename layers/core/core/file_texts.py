"""What the assistant says of files that it could not read, in the person's language: which ones, and why."""

from collections.abc import Sequence
from typing import Literal, get_args

type Reason = Literal[
    "file-damaged",
    "file-no-pictures",
    "file-no-speech",
    "file-pdf",
    "file-too-large",
    "file-too-many",
    "file-unavailable",
    "file-unknown",
]
REASONS: frozenset[Reason] = frozenset(get_args(Reason.__value__))

_HEAD = "head"
_ENGLISH: dict[str, str] = {
    _HEAD: "I couldn't read everything that you attached:",
    "file-damaged": "it is empty or damaged",
    "file-no-pictures": "the language model in use takes no pictures, or not this one",
    "file-no-speech": "no words could be understood in it",
    "file-pdf": "a PDF can only be read by an import",
    "file-too-large": "it is too large",
    "file-too-many": "there are too many files",
    "file-unavailable": "it could not be fetched",
    "file-unknown": "it is of a kind that I don't read",
}
_GERMAN: dict[str, str] = {
    _HEAD: "Ich konnte nicht alles lesen, was Sie angehängt haben:",
    "file-damaged": "leer oder beschädigt",
    "file-no-pictures": "das Sprachmodell nimmt keine Bilder an, oder dieses nicht",
    "file-no-speech": "darin waren keine Worte zu verstehen",
    "file-pdf": "ein PDF kann nur ein Import lesen",
    "file-too-large": "zu groß",
    "file-too-many": "zu viele Dateien",
    "file-unavailable": "ließ sich nicht abrufen",
    "file-unknown": "diese Art von Datei lese ich nicht",
}
_FRENCH: dict[str, str] = {
    _HEAD: "Je n'ai pas pu lire tout ce que vous avez joint :",
    "file-damaged": "vide ou endommagé",
    "file-no-pictures": "le modèle de langage utilisé n'accepte pas d'images, ou pas celle-ci",
    "file-no-speech": "aucune parole n'a pu y être comprise",
    "file-pdf": "un PDF ne peut être lu que par une importation",
    "file-too-large": "trop volumineux",
    "file-too-many": "trop de fichiers",
    "file-unavailable": "impossible à récupérer",
    "file-unknown": "je ne lis pas ce type de fichier",
}
_SPANISH: dict[str, str] = {
    _HEAD: "No he podido leer todo lo que ha adjuntado:",
    "file-damaged": "está vacío o dañado",
    "file-no-pictures": "el modelo de lenguaje en uso no admite imágenes, o no esta",
    "file-no-speech": "no se ha podido entender ninguna palabra",
    "file-pdf": "un PDF solo lo puede leer una importación",
    "file-too-large": "es demasiado grande",
    "file-too-many": "hay demasiados archivos",
    "file-unavailable": "no se ha podido obtener",
    "file-unknown": "no leo este tipo de archivo",
}
_PORTUGUESE: dict[str, str] = {
    _HEAD: "Não consegui ler tudo o que você anexou:",
    "file-damaged": "está vazio ou danificado",
    "file-no-pictures": "o modelo de linguagem em uso não aceita imagens, ou não esta",
    "file-no-speech": "nenhuma palavra pôde ser entendida",
    "file-pdf": "um PDF só pode ser lido por uma importação",
    "file-too-large": "é grande demais",
    "file-too-many": "há arquivos demais",
    "file-unavailable": "não foi possível obtê-lo",
    "file-unknown": "não leio este tipo de arquivo",
}
_JAPANESE: dict[str, str] = {
    _HEAD: "添付されたもののうち、次のものは読めませんでした。",
    "file-damaged": "空か、壊れています",
    "file-no-pictures": "使用中の言語モデルは画像、またはこの画像を受け付けません",
    "file-no-speech": "言葉を聞き取れませんでした",
    "file-pdf": "PDF はインポートでのみ読み取れます",
    "file-too-large": "大きすぎます",
    "file-too-many": "ファイルが多すぎます",
    "file-unavailable": "取得できませんでした",
    "file-unknown": "この種類のファイルは読めません",
}
_TEXTS = {"en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "pt": _PORTUGUESE, "ja": _JAPANESE}


def explain_unread(reason: Reason, language: str | None = None) -> str:
    """Why a file was not read."""
    return _texts_in(language)[reason]


def name_unread(files: Sequence[tuple[str, Reason]], language: str | None = None) -> str:
    """What a person is told below an answer: each file that was not read, by its name, and why. Markdown."""
    texts = _texts_in(language)
    lines = [f"- `{name}`: {texts[reason]}" for name, reason in files]
    return "\n".join([f"\n_{texts[_HEAD]}_", *lines])


def _texts_in(language: str | None) -> dict[str, str]:
    primary = (language or "en").replace("_", "-").split("-")[0].lower()
    return _TEXTS.get(primary, _ENGLISH)
