"""The Bot Framework's side of trust: a key pair, the documents that publish it, and tokens signed with it."""

import base64
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from functools import cache

from joserfc import jws
from joserfc.jwk import RSAKey

ISSUER = "https://api.botframework.com"


@cache
def make_key(name: str = "first") -> RSAKey:
    """A key pair, the same one for a name for as long as the process lives: making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": f"key-{name}", "use": "sig"})


def key_document(keys: Sequence[RSAKey], endorsements: Sequence[str] = ("msteams",)) -> dict[str, object]:
    """The document that publishes the public halves, with the channels that each key may speak for."""
    return {"keys": [{**key.as_dict(private=False), "endorsements": list(endorsements)} for key in keys]}


def claims(app_id: str, service_url: str, *, now: float | None = None) -> dict[str, object]:
    """What a good token says."""
    at = int(time.time() if now is None else now)
    return {
        "serviceurl": service_url,
        "nbf": at,
        "exp": at + 3600,
        "iss": ISSUER,
        "aud": app_id,
    }


def sign(said: Mapping[str, object], key: RSAKey | None = None, **header: object) -> str:
    """A token that says so, signed with RS256."""
    key = key or make_key()
    return jws.serialize_compact(
        {"alg": "RS256", "typ": "JWT", "kid": key.kid, **header}, json.dumps(said), key, algorithms=["RS256"]
    )


def sign_none(said: Mapping[str, object]) -> str:
    """A token that nobody signed, and that says so."""
    return f"{_part({'alg': 'none', 'typ': 'JWT', 'kid': make_key().kid})}.{_part(said)}.AA"


def sign_confused(said: Mapping[str, object], algorithm: str = "HS256") -> str:
    """A token signed with the public key as if it were a shared secret."""
    head = _part({"alg": algorithm, "typ": "JWT", "kid": make_key().kid})
    signed = f"{head}.{_part(said)}"
    # By hand: the library refuses to take a public key for a secret.
    digest = hmac.digest(make_key().as_pem(private=False), signed.encode(), f"sha{algorithm[2:]}")
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _part(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
