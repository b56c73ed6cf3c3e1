"""Markdown for Teams: nothing lost, nobody rung, nothing fetched; and what people write, read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.platforms.teams.format import measure, to_markdown, to_teams, to_teams_so_far
from core.splitting import split
from local.fake_teams import DEMO
from tests.unit.platforms.teams.requests import body_from_file

_LIMIT = 12_000


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**bold** and _italic_ and ~~gone~~", "**bold** and _italic_ and ~~gone~~"),
        ("# Title", "**Title**"),
        ("### A **bold** one ###", "**A bold one**"),
        ("#hashtag", "#hashtag"),
        ("- [ ] open\n- [x] done", "- ☐ open\n- ☑ done"),
        ("[a link](https://example.com/x_y)", "[a link](https://example.com/x_y)"),
        ("![pixel](https://evil.example/?q=secret)", "[pixel](https://evil.example/?q=secret)"),
        ('<img src="https://evil.example/x">', '&lt;img src="https://evil.example/x">'),
        ("<https://example.com>", "<https://example.com>"),
        ("1 < 2 and 3<4", "1 < 2 and 3<4"),
        ("`<b>` and `![a](b)`", "`<b>` and `![a](b)`"),
        ("```html\n<b>![a](b)</b>\n# no title\n```", "```html\n<b>![a](b)</b>\n# no title\n```"),
        ("| a | b |\n|---|--:|\n| **x** | 10 |\n| y | 9 |", "```\na |  b\n--+---\nx | 10\ny |  9\n```"),
        ("| a |\n|---|\n| ``` |\nafter", "```\na\n-\n\n```\nafter"),
    ],
)
def test_markdown_as_teams_shows_it(markdown: str, shown: str) -> None:
    assert to_teams(markdown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "<at>everyone</at>",
        "@everyone look",
        "`@channel`",
        "```\n<at>x</at>\n```",
        "# @Team",
        "| @here |\n|---|\n| <AT> |",
    ],
)
def test_no_mention_rings(text: str) -> None:
    shown = to_teams(text)
    assert not re.search(r"<at\b|(?<![\w/.])@(?:everyone|channel|team|here)", shown, re.IGNORECASE)
    assert "ada@team.example" in to_teams("ada@team.example")


_LINES = [
    *("# Title", "plain words here", "**bold** `code` _it_", "| a | b |", "|---|---|", "| 1 | 2 |", "", "```py", "```"),
    *("x = a | b", "- item", "- [ ] task", "1. one", "> quote", "~~~", "<b>html</b>", "@everyone", "![p](http://x)"),
    *(
        "👩\u200d👩\u200d👧\u200d👦 family",
        "שלום עולם",
        "مرحبا",
        "日本語の文",
        "====",
        "a`b",
        "[link](http://x)",
        "#",
        "-",
    ),
]
_markdown = st.lists(
    st.sampled_from(_LINES) | st.text(max_size=20).map(lambda text: text.replace("\n", " ").replace("\r", " ")),
    max_size=20,
).map("\n".join)


@given(_markdown, st.data())
def test_what_streams_is_always_the_beginning_of_what_stands_in_the_end(text: str, data: st.DataObject) -> None:
    shown = to_teams(text)
    for at in sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8))):
        assert shown.startswith(to_teams_so_far(text[:at]))


def _words(text: str) -> str:
    """What may not be lost: letters and digits, marks apart."""
    return "".join(character for character in text if character.isalnum())


@given(_markdown)
def test_no_word_is_lost(text: str) -> None:
    assert _words(to_teams(text)).replace("lt", "") == _words(text).replace("lt", "")


@given(st.lists(_markdown, min_size=1, max_size=4), st.integers(1, 20))
def test_long_answers_are_cut_into_parts_that_fit(texts: list[str], times: int) -> None:
    text = "\n\n".join(texts * times)[:200_000].strip()
    limit = 400
    parts = split(text, limit, to_teams, measure)
    assert all(measure(to_teams(part)) <= limit for part in parts)
    assert _words("".join(parts)).replace("py", "") == _words(text).replace("py", "")


@pytest.mark.parametrize(
    "piece",
    [
        "plain words in a line that goes on. ",
        "👩‍👩‍👧‍👦🇩🇪é ",
        "مرحبا بالعالم ",
        "line\n",
        "`code` **bold** ",
        "\x01\x02 ",
        '"quoted\\" ',
    ],
)
def test_an_answer_of_a_hundred_kilobytes_is_whole_and_fits(piece: str) -> None:
    text = (piece * (100_000 // len(piece.encode()) + 1)).strip()
    parts = split(text, _LIMIT, to_teams, measure)
    assert all(measure(to_teams(part)) <= _LIMIT for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_code_is_never_cut_open() -> None:
    text = "before\n\n```python\n" + "\n".join(f"line_{number} = {number}" for number in range(5_000)) + "\n```\nafter"
    parts = split(text, _LIMIT, to_teams, measure)
    assert len(parts) > 5
    for part in parts:
        assert part.count("```") % 2 == 0
    assert [f"line_{number} = {number}" in "\n".join(parts) for number in range(5_000)].count(False) == 0


def test_what_a_person_wrote_is_read_without_the_assistants_name() -> None:
    text = f'<at id="{DEMO.bot_id}">Parley</at> tell <at id="29:x">Grace Demo</at> 1 &lt; 2&nbsp;&amp; more\r\nplease'
    assert to_markdown(text, DEMO.bot_id) == "tell @Grace Demo 1 < 2 & more\nplease"
    assert "<at>" in str(body_from_file("mention_channel")["text"])
    assert to_markdown("<at>Somebody</at> hi", DEMO.bot_id) == "@Somebody hi"
