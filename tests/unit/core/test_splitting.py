"""Long answers in parts: nothing lost, nothing too long, nothing torn."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.platforms.slack.format import defuse, to_mrkdwn
from core.platforms.slack.thread import MARKDOWN, TEXT, Dialect
from core.splitting import cut, size, split

_SAMPLE = """
A plain line of words.
**bold** and `code`
```python
```
~~~
    indented
- an item
> quoted
שורה בעברית
日本語の行です。
a & b < c > d a & b < c > d a & b < c > d
| a | b |
|---|---|
👩\u200d👩\u200d👧\u200d👦🇩🇪👍🏽👩\u200d👩\u200d👧\u200d👦🇩🇪👍🏽
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
"""
_LINES = st.sampled_from(_SAMPLE.split("\n"))
_TEXTS = st.lists(_LINES | st.text(max_size=40), max_size=80).map("\n".join)


def _bare(text: str) -> str:
    """What has to be the same before and after: everything but white space and fences."""
    return re.sub(r"\s+|[`~]{3,}(python)?", "", text)


@given(_TEXTS, st.sampled_from([120, 300, 900]))
def test_nothing_is_lost_and_nothing_too_long(text: str, limit: int) -> None:
    for render in (defuse, to_mrkdwn):
        parts = split(text, limit, render)
        assert all(size(render(part)) <= limit for part in parts)
        assert _bare("\n".join(parts)) == _bare(text)


@given(_TEXTS, st.sampled_from([120, 300]))
def test_parts_stand_in_the_order_of_the_text(text: str, limit: int) -> None:
    numbered = "\n".join(f"n{number}n {line}" for number, line in enumerate(text.replace("`", "").splitlines()))
    found = re.findall(r"n(\d+)n ", " ".join(f"{part} " for part in split(numbered, limit, defuse)))
    assert found == sorted(found, key=int)


@pytest.mark.parametrize("dialect", [MARKDOWN, TEXT])
def test_hundred_kilobytes_of_prose_are_split_between_paragraphs(dialect: Dialect) -> None:
    limit, render = dialect.limit, dialect.render
    paragraphs = [f"Paragraph {number}: " + "words follow words. " * 20 for number in range(240)]
    parts = split("\n\n".join(paragraphs), limit, render)
    assert all(size(render(part)) <= limit for part in parts)
    assert [paragraph for part in parts for paragraph in part.split("\n\n")] == paragraphs


def test_code_longer_than_a_part_keeps_its_language_and_its_lines() -> None:
    code = [f"line_{number} = {number}" for number in range(400)]
    text = "Before.\n```python\n" + "\n".join(code) + "\n```\nAfter."
    parts = split(text, 1000, defuse)
    assert all(part.count("```") == 2 for part in parts if "line_" in part)
    assert all(part.startswith("```python\n") for part in parts[1:] if "line_" in part)
    assert [line for part in parts for line in part.split("\n") if line.startswith("line_")] == code
    assert parts[-1].endswith("After.")


def test_code_that_ends_at_the_border_leaves_no_empty_block() -> None:
    text = "```python\n" + "\n".join("x" * 9 for _ in range(10)) + "\n```\n" + "After. " * 20
    for limit in range(100, 140):
        assert not any(re.search(r"```python\n*```", part) for part in split(text, limit, defuse))


def test_emoji_families_and_flags_are_not_torn_apart() -> None:
    text = "👩‍👩‍👧‍👦" * 60 + "🇩🇪" * 60 + "é" * 60
    parts = split(text, 100, defuse)
    assert "".join(parts) == text
    for part in parts:
        assert not part.startswith(("\u200d", "\u0301", "\ufe0f"))
        assert not part.endswith("\u200d")
        assert sum("\U0001f1e6" <= character <= "\U0001f1ff" for character in part) % 2 == 0


def test_inline_code_links_and_bold_are_not_torn_apart_where_a_better_space_is_near() -> None:
    text = "word " * 14 + "[a link of several words](https://x.y) and `some code here` and **bold words** end " * 3
    for part in split(text, 110, defuse):
        assert part.count("`") % 2 == 0
        assert part.count("**") % 2 == 0
        assert part.count("[") == part.count("](")


def test_astral_characters_count_twice() -> None:
    assert size("a😀") == 3
    assert all(size(part) <= 100 for part in split("😀" * 300, 100, defuse))


def test_fence_with_an_endless_language_is_not_carried_along() -> None:
    text = f"```{'x' * 5000}\n" + "code\n" * 500 + "```"
    parts = split(text, 500, defuse)
    assert all(size(part) <= 500 for part in parts)
    assert len(parts) < 40


def test_what_was_posted_stays_the_beginning_of_the_part() -> None:
    text = "One sentence.\n\nAnother sentence that goes on and on, for as long as it takes to fill a part."
    assert cut(text, 24, defuse).head == "One sentence."
    assert cut(text, 24, defuse, at_least=20).head.startswith(text[:20])


def test_text_that_grows_is_cut_at_the_same_places_again() -> None:
    text = "\n".join(f"Line {number} <of> a long & winding answer." for number in range(300))
    first = split(text, 3900, to_mrkdwn)[0]
    for end in range(5000, len(text), 401):
        assert split(text[:end], 3900, to_mrkdwn)[0] == first


def test_end_of_a_text_that_goes_on_is_no_border() -> None:
    assert cut("One line.\nHalf a wo", 100, defuse, goes_on=True).head == "One line."
    assert cut("One line.\nThe end.", 100, defuse).head == "One line.\nThe end."
