"""What later turns remember of tools: a line or two of each use, kept with the reply that rests on it."""

from collections.abc import Sequence

from core.models import ToolDigest, ToolUsage

_MOST_USES = 6  # the last ones
_REQUEST_BYTES = 80  # a longer request is left out: half of its JSON would be none
_RESPONSE_BYTES = 200
_CUT = "…"


def make_digests(usages: Sequence[ToolUsage]) -> tuple[ToolDigest, ...]:
    """The last uses in short: less than 2 KB in all, as they are written with the reply and read with it."""
    return tuple(_digest(usage) for usage in usages[-_MOST_USES:])


def _digest(usage: ToolUsage) -> ToolDigest:
    request = " ".join(usage.request.split())
    return ToolDigest(
        name=usage.name[:64],
        request=request if len(request.encode("utf-8", "replace")) <= _REQUEST_BYTES else "",
        response=_shorten(" ".join((usage.response or "").split())),
    )


def _shorten(text: str) -> str:
    plain = text[:_RESPONSE_BYTES].encode("utf-8", "replace")
    if len(text) <= _RESPONSE_BYTES and len(plain) <= _RESPONSE_BYTES:
        return text
    return plain[: _RESPONSE_BYTES - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT
