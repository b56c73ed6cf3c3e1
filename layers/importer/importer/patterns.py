"""Regular expressions that a model or a person wrote, if they are sure to end soon on any value."""

import re
from collections.abc import Callable, Iterator
from re import _constants as constants  # type: ignore[attr-defined] # the parser's own names
from re import _parser as parser  # type: ignore[attr-defined] # the only way to know what a pattern does
from typing import Any

_MOST_PATTERN = 200  # characters
_MOST_VALUE = 500  # characters: two loops over it are 250,000 steps
_MOST_LOOPS = 6
_REPEATS = frozenset((constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT))
_FORBIDDEN = frozenset((constants.GROUPREF, constants.GROUPREF_EXISTS, constants.ASSERT, constants.ASSERT_NOT))
_PROBES = [chr(code) for code in range(1, 0x250)]


def compile_pattern(pattern: str, group: int) -> Callable[[str], str | None]:
    """Finds the group of a pattern that fits a whole value; None where it does not fit.

    Raises:
        ValueError: The pattern is none, has no such group, or could take long: loops in loops, references back, or
            three loops over the same characters.
    """
    if len(pattern) > _MOST_PATTERN:
        raise ValueError("the pattern is too long")
    try:
        tree = parser.parse(pattern)
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        raise ValueError("the pattern is none") from exc
    loops = list(_loops(tree, is_inside=False))
    if len(loops) > _MOST_LOOPS:
        raise ValueError("the pattern has too many loops")
    for probe in _PROBES:
        if sum(loop.fullmatch(probe) is not None for loop in loops) > 2:
            raise ValueError("three loops of the pattern go over the same characters")
    if compiled.groups == 0:
        group = 0
    if group > compiled.groups:
        raise ValueError("the pattern has no such group")

    def find(value: str) -> str | None:
        found = compiled.fullmatch(value) if len(value) <= _MOST_VALUE else None
        return None if found is None else (found[group] or "")

    return find


def _loops(tree: Any, *, is_inside: bool) -> Iterator[re.Pattern[str]]:  # the parser's own tree, which has no types
    for name, argument in tree:
        if name in _FORBIDDEN:
            raise ValueError("the pattern refers back or looks around")
        if name in _REPEATS:
            low, high, body = argument
            if high - low > 1 or high == constants.MAXREPEAT or high > _MOST_LOOPS:
                if is_inside or len(body) != 1 or body[0][0] not in _CHARACTERS:
                    raise ValueError("a loop of the pattern goes over more than one character at a time")
                yield _compile_character(body)
            else:
                yield from _loops(body, is_inside=is_inside)
        elif name is constants.SUBPATTERN:
            yield from _loops(argument[3], is_inside=is_inside)
        elif name is constants.BRANCH:
            for branch in argument[1]:
                yield from _loops(branch, is_inside=is_inside)
        elif name is constants.ATOMIC_GROUP:
            yield from _loops(argument, is_inside=is_inside)


_CHARACTERS = frozenset((constants.IN, constants.LITERAL, constants.NOT_LITERAL, constants.ANY))


def _compile_character(body: Any) -> re.Pattern[str]:  # as above
    import re._compiler as compiler  # type: ignore[import-not-found]  # as above

    pattern: re.Pattern[str] = compiler.compile(body)
    return pattern
