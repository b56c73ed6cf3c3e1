"""The bearer token of a call: that the Bot Framework signed it for our app, lately."""

import re
from dataclasses import dataclass
from datetime import datetime

from joserfc import jws
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, JoseError
from joserfc.jwt import JWTClaimsRegistry

from core.errors import RequestRejectedError
from core.platforms.teams.inbound.keys import SigningKeys
from core.strict_json import Json, read_object

_LEEWAY = 300  # seconds; Microsoft's own tolerance for clocks
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{1,8000}\.[A-Za-z0-9_-]{1,2000})")
_ALGORITHMS = ["RS256"]  # and none that the token may choose: `none`, or HS256 with the public key as its secret
_LATEST = 2**53  # seconds; no time is later, and arithmetic with it stays exact


@dataclass(frozen=True, slots=True)
class Proof:
    """What a good token vouches for: where answers go, and which channels its key may speak for."""

    service_url: str
    endorsements: frozenset[str]


class TokenVerifier:
    """Checks tokens for one app. There is no way to switch a check off."""

    def __init__(self, keys: SigningKeys, *, app_id: str, issuer: str) -> None:
        self._keys = keys
        self._app_id = app_id
        self._issuer = issuer

    def verify(self, authorization: str, now: datetime) -> Proof:
        """What the token in an `authorization` header proves.

        Raises:
            RequestRejectedError: 401 where it is missing, malformed, forged, expired or not valid yet; 403 where it was
                made for another app or by another issuer.
            RetryableError: The keys to check it with cannot be fetched now.
        """
        found = _BEARER.fullmatch(authorization)
        if found is None:
            if authorization:
                raise _malformed()
            raise RequestRejectedError("token-missing", "the call has no bearer token", status=401)
        claims, endorsements = self._open(found[1].encode())
        self._check_claims(claims, now)
        service_url = claims.get("serviceurl", claims.get("serviceUrl"))
        if not isinstance(service_url, str) or not service_url:
            raise RequestRejectedError("service-url-missing", "the token vouches for no service URL", status=403)
        return Proof(service_url, endorsements)

    def _open(self, token: bytes) -> tuple[Json, frozenset[str]]:
        try:
            signed = jws.extract_compact(token)
            key_id, algorithm = signed.headers().get("kid"), signed.headers().get("alg")
        except (JoseError, ValueError, RecursionError):
            raise _malformed() from None  # its text may quote the token
        if algorithm not in _ALGORITHMS:
            raise RequestRejectedError("token-algorithm", "the token is not signed with RS256", status=401)
        key = self._keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise RequestRejectedError("key-unknown", "the token's key is none of the Bot Framework's", status=401)
        try:
            payload = jws.deserialize_compact(token, key.key, algorithms=_ALGORITHMS).payload
        except BadSignatureError:
            raise RequestRejectedError("signature-wrong", "the token's signature does not match", status=401) from None
        except (JoseError, ValueError):
            raise _malformed() from None
        claims = read_object(payload or b"")
        if claims is None:
            raise _malformed()
        return claims, key.endorsements

    def _check_claims(self, claims: Json, now: datetime) -> None:
        for name in ("exp", "nbf"):
            at = claims.get(name)
            if not isinstance(at, (int, float)) or isinstance(at, bool) or not 0 < at < _LATEST:
                raise _malformed()
        registry = JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._app_id},
            exp={"essential": True},
            nbf={"essential": True},
        )
        try:
            registry.validate(claims)
        except ExpiredTokenError:
            raise RequestRejectedError("token-expired", "the token has expired", status=401) from None
        except ClaimError as exc:
            if exc.claim == "nbf":
                raise RequestRejectedError("token-early", "the token is not valid yet", status=401) from None
            if exc.claim in ("iss", "aud"):
                code, message = f"token-{exc.claim}", f"the token's {exc.claim} is not the one expected"
                raise RequestRejectedError(code, message, status=403) from None
            raise _malformed() from None


def _malformed() -> RequestRejectedError:
    return RequestRejectedError("token-malformed", "the call's bearer token is malformed", status=401)
