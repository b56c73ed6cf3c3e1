"""What the model is told of an answer from outside: without the secret that asked for it, and never more than known."""

import base64
import json
from urllib.parse import quote

OUTCOME_UNKNOWN = (
    "It is not known whether this took effect. Do not do it again before you have looked whether it did; tell the"
    " person."
)
_MIN_REDACTED = 4  # characters; a shorter part of a secret is in every text


def redact(text: str, secret: str) -> str:
    """The text without the secret, in whatever form a server may have sent it back."""
    if not secret:
        return text
    basic = base64.b64encode(secret.encode()).decode()
    password = secret.partition(":")[2]
    for each in (secret, basic, password):
        for form in (each, quote(each, safe=""), json.dumps(each)[1:-1]):
            if form == secret or len(form) >= _MIN_REDACTED:
                text = text.replace(form, "[secret]")
    return text


def make_text(text: str) -> str:
    """The text without halves of surrogate pairs: JSON may hold them, and no store and no model takes them."""
    return text.encode(errors="replace").decode()
