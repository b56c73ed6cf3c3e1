"""Which hosts a token may be sent to: those that the stack names, and nobody else whatever an activity says."""

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def is_known(url: str, hosts: Collection[str]) -> bool:
    """Whether `url` is https on one of `hosts`: a name, or `.name` for all below it.

    A host with a port, as `127.0.0.1:4583`, is the local stack's: plain HTTP, and on this machine only.
    """
    parts = parse(url)
    if parts is None:
        return False
    host = parts.hostname or ""
    if parts.scheme == "http":
        return host in _LOOPBACK and f"{host}:{parts.port}" in hosts
    if parts.scheme != "https" or parts.port not in (None, 443):
        return False
    return any(host == each or (each.startswith(".") and host.endswith(each)) for each in hosts)


def parse(url: str) -> SplitResult | None:
    """The parts of a URL; None where two readers could understand it differently."""
    if not url.isascii() or not url.isprintable() or any(character in url for character in " \\"):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.password is not None:
        return None
    return parts


def split_hosts(listed: str) -> frozenset[str]:
    """Hosts as a parameter lists them: separated by commas."""
    return frozenset(each.strip().lower() for each in listed.split(",")) - {""}
