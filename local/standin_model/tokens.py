"""Token counts by rule.

A token is four characters, rounded up. Input is counted on the rendered prompt. Cached input is the longest prefix this
server has seen before, in blocks of 128 tokens and only from 1,024 tokens on, as the real API rounds it. Reasoning is a
fixed number by effort and part of the output.
"""

import hashlib
import threading

_CHARACTERS_PER_TOKEN = 4
_BLOCK_TOKENS = 128
_FEWEST_CACHED_TOKENS = 1_024
_MOST_PREFIXES = 200_000  # 16 bytes each; a long-running server forgets all of them rather than grow

_REASONING_TOKENS = {"low": 64, "medium": 128, "high": 256, "xhigh": 512, "max": 1_024}


def count_tokens(text: str) -> int:
    """Tokens of `text`."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def first_tokens(text: str, tokens: int) -> str:
    """The part of `text` that fits into `tokens`."""
    return text[: tokens * _CHARACTERS_PER_TOKEN]


def reasoning_tokens(effort: str, limit: int | None) -> int:
    """Tokens spent on thinking at this effort, never more than `limit`."""
    tokens = _REASONING_TOKENS.get(effort, 0)
    return tokens if limit is None else min(tokens, limit)


class PrefixCache:
    """Remembers which prompt prefixes were seen, block by block."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._lock = threading.Lock()

    def cached_tokens(self, rendered: str) -> int:
        """How much of this prompt earlier prompts began with; remembers this one too."""
        size = _BLOCK_TOKENS * _CHARACTERS_PER_TOKEN
        digest = hashlib.blake2b(digest_size=16)
        prefixes: list[bytes] = []
        for start in range(0, len(rendered) - size + 1, size):
            digest.update(rendered[start : start + size].encode("utf-8", "surrogatepass"))
            prefixes.append(digest.digest())
        with self._lock:
            known = next((n for n, prefix in enumerate(prefixes) if prefix not in self._seen), len(prefixes))
            if len(self._seen) + len(prefixes) > _MOST_PREFIXES:
                self._seen.clear()
            self._seen.update(prefixes)
        tokens = known * _BLOCK_TOKENS
        return tokens if tokens >= _FEWEST_CACHED_TOKENS else 0
