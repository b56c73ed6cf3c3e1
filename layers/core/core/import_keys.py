"""Where the files of imports are in the bucket, by their keys: inputs, outputs, rejects.

Keys are made and read here and nowhere else: a company's files begin with its id, and no name that somebody chooses
leaves the folder it was put into.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from core.errors import PermanentError
from core.imports import Import

_FOLDER = "imports"
_PART = re.compile(r"[A-Za-z0-9_.@+-]{1,128}")  # ids of companies and people
_IMPORT = re.compile(r"imp_[A-Za-z0-9]{8,40}")
_MAX_NAME = 1024  # bytes of a file's name; S3's own limit is for the whole key


@dataclass(frozen=True, slots=True, kw_only=True)
class InputKey:
    """What the key of a file to import says."""

    company_id: str
    user_id: str
    import_id: str
    name: str


def read_input_key(key: str) -> InputKey | None:
    """What a key as S3 notifies it (URL-encoded) says; None for one that is not of an import."""
    parts = unquote_plus(key).split("/")
    if len(parts) != 5 or parts[0] != _FOLDER:
        return None
    _, company_id, user_id, import_id, name = parts
    if not (_is_id(company_id) and _is_id(user_id) and _IMPORT.fullmatch(import_id) and _is_name(name)):
        return None
    return InputKey(company_id=company_id, user_id=user_id, import_id=import_id, name=name)


def make_input_key(company_id: str, user_id: str, import_id: str, name: str) -> str:
    """Where a file is put to be imported; its name is made to fit one folder.

    Raises:
        PermanentError: An id has characters that no folder has.
    """
    if not (_is_id(company_id) and _is_id(user_id) and _IMPORT.fullmatch(import_id)):
        raise PermanentError("id", "ids have letters, digits and . _ @ + - alone")
    return "/".join((_FOLDER, company_id, user_id, import_id, fit_name(name)))


def fit_name(name: str) -> str:
    """A file's name without folders, control characters and what is too long."""
    base = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join(c if c.isprintable() else "_" for c in base).strip(" .")
    clean = clean.encode("utf-8", "replace")[:255].decode("utf-8", "ignore")
    return clean if _is_name(clean) else "file"


def output_key(import_: Import, name: str) -> str:
    """Where an output of an import is."""
    return f"outputs/{import_.user_company_id}/{import_.id}/{name}"


def rejects_key(import_: Import) -> str:
    """Where the rejects of an import are."""
    return f"rejects/{import_.user_company_id}/{import_.id}/rejects.jsonl"


def range_key(import_: Import, name: str) -> str:
    """Where something is that a range of an import's file leaves on the way."""
    return f"ranges/{import_.user_company_id}/{import_.id}/{name}"


def _is_id(text: str) -> bool:
    return bool(_PART.fullmatch(text)) and text not in (".", "..")


def _is_name(text: str) -> bool:
    return 0 < len(text.encode("utf-8", "replace")) <= _MAX_NAME and text not in (".", "..") and "\0" not in text
