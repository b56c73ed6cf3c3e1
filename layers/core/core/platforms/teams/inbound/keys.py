"""The keys that the Bot Framework signs with: fetched from the configured host alone, kept, bounded.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication says to keep them
for at least a day and that old ones stay good for five.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from core.errors import RetryableError
from core.http import Http
from core.strict_json import Json, read_object

_FRESH_SECONDS = 12 * 3600.0
_GOOD_SECONDS = 5 * 24 * 3600.0  # as long as nobody can be asked; then they are not trusted any more
_UNKNOWN_KEY_PAUSE = 300.0  # seconds; whoever invents key ids makes us ask no more often
_AFTER_FAULT_PAUSE = 10.0  # seconds
_SECONDS = 3.0  # for each of the two documents; the platform waits for 15
_MAX_BYTES = 256 * 1024
_MAX_KEYS = 100
_MAX_ENDORSEMENTS = 100
_SMALLEST_KEY = 2048  # bits
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the channels whose activities may be signed with it."""

    key: RSAKey
    endorsements: frozenset[str]


class SigningKeys:
    """The keys named by an OpenID metadata document, kept in the process for hours."""

    def __init__(self, openid_url: str, http: Http, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._openid_url = openid_url
        self._http = http
        self._monotonic = monotonic
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_at = -math.inf
        self._next_try_at = -math.inf

    def find(self, key_id: str) -> SigningKey | None:
        """The key of that id; None where there is none.

        Raises:
            RetryableError: No key is known and none can be fetched now.
        """
        age = self._monotonic() - self._fetched_at
        if (age > _FRESH_SECONDS or key_id not in self._keys) and self._monotonic() >= self._next_try_at:
            self._refresh()
        if self._monotonic() - self._fetched_at > _GOOD_SECONDS:
            raise RetryableError("signing-keys-unavailable", "the keys to check the call with cannot be fetched now")
        return self._keys.get(key_id)

    def _refresh(self) -> None:
        self._next_try_at = self._monotonic() + _AFTER_FAULT_PAUSE
        try:
            self._keys = self._fetch()
        except RetryableError:
            return  # what is kept serves on
        self._fetched_at = self._monotonic()
        self._next_try_at = self._fetched_at + _UNKNOWN_KEY_PAUSE

    def _fetch(self) -> Mapping[str, SigningKey]:
        _check_secure(self._openid_url)
        keys_url = self._read(self._openid_url).get("jwks_uri")
        if not isinstance(keys_url, str) or _origin(keys_url) != _origin(self._openid_url):
            raise RetryableError("signing-keys-malformed", "the metadata names keys on another host")
        listed = self._read(keys_url).get("keys")
        found = [_read_key(each) for each in (listed[:_MAX_KEYS] if isinstance(listed, list) else [])]
        keys = dict(filter(None, found))
        if not keys:
            raise RetryableError("signing-keys-malformed", "the key document holds no usable key")
        return keys

    def _read(self, url: str) -> Json:
        answer = self._http.request("GET", url, seconds=_SECONDS, max_bytes=_MAX_BYTES)
        value = read_object(answer.body) if answer.status == 200 else None
        if value is None:
            raise RetryableError("signing-keys-malformed", f"the key host answered {answer.status}")
        return value


def _check_secure(url: str) -> None:
    """Plain HTTP only on this machine, for the local stack."""
    scheme, host, _ = _origin(url)
    if scheme != "https" and not (scheme == "http" and host in _LOOPBACK):
        raise RetryableError("signing-keys-insecure", "the metadata's URL is not https")


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", None
    return parts.scheme, parts.hostname or "", port


def _read_key(value: object) -> tuple[str, SigningKey] | None:
    if not isinstance(value, dict) or value.get("kty") != "RSA" or value.get("use", "sig") != "sig":
        return None
    key_id, modulus, exponent = value.get("kid"), value.get("n"), value.get("e")
    endorsements = value.get("endorsements")
    named = endorsements[:_MAX_ENDORSEMENTS] if isinstance(endorsements, list) else []
    if not (isinstance(key_id, str) and isinstance(modulus, str) and isinstance(exponent, str)):
        return None
    try:
        key = RSAKey.import_key({"kty": "RSA", "n": modulus, "e": exponent})
        size = key.public_key.key_size
    except (JoseError, ValueError):
        return None
    if size < _SMALLEST_KEY:
        return None
    return key_id, SigningKey(key, frozenset(each for each in named if isinstance(each, str)))
