"""Markdown into mrkdwn, mrkdwn into Markdown, and mentions that must not ring."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.platforms.slack.format import defuse, held_back, to_markdown, to_mrkdwn

_GAP = "\u200b"
# What Slack would ring for, in mrkdwn or in Markdown.
_ALARM = re.compile(r"<!|<@|\]\(<?[!@]|(?<![\w/])@(channel|here|everyone)", re.IGNORECASE)
_WORDS = """<! <@ U123 channel here everyone subteam^S1 > | @ ]( [ ] ) ! < ` ``` * ** *** _ ~~ \\ & &lt; &amp; https://x.y/z
    <https://x.y> word é 日本 👩\u200d👩\u200d👧 שלום x@here.com"""
_BLOCKS = ("```py\n", "~~~\n", "\n", "\n\n", "> ", "- ", "1. ", "# ", "| a | b |\n|--|--|\n", " ")
_BOMBS = r"` * **a [ [a]( < > _a_ | ![ \ https:// a - [a](b *_a #_ a`b``c x@ a.b@c. ( ~~a ```_`_``_ &amp; __a <a &"
_MARKUP_PIECES = st.sampled_from([*_WORDS.split(), *_BLOCKS])
_MARKDOWN = st.lists(_MARKUP_PIECES | st.text(max_size=5), max_size=60).map("".join)


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("**bold** and __bold__", "*bold* and *bold*"),
        ("*italic* and _italic_", "_italic_ and _italic_"),
        ("***both***", "_*both*_"),
        ("**bold *and italic***", "*bold _and italic_*"),
        ("***a* b**", "*_a_ b*"),
        ("~~gone~~", "~gone~"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4"),
        ("a**b**c", f"a{_GAP}*b*{_GAP}c"),
        ("这是**粗体**文字", f"这是{_GAP}*粗体*{_GAP}文字"),
        ("an **unclosed mark", "an **unclosed mark"),
        ("# Title", "*Title*"),
        ("### A **bold** title ###", "*A bold title*"),
        ("Title\n=====", "*Title*"),
        ("- one\n  - two\n    1. three\n* four", "• one\n    ◦ two\n        1. three\n• four"),
        ("- [ ] open\n- [x] done", "☐ open\n☑ done"),
        ("> quoted **text**\n> more", "> quoted *text*\n> more"),
        ("---", "─" * 20),
        ("`a < b **c**`", "`a &lt; b **c**`"),
        ("``a`b``", "```a`b```"),
        ("```python\nif a < b: **x**\n```", "```\nif a &lt; b: **x**\n```"),
        ("```echo a word\nmore\n```", "```\necho a word\nmore\n```"),
        ("```\nnever closed", "```\nnever closed\n```"),
        ("- ```sh\n  ls\n  ```\n- next", "•\n```\nls\n```\n• next"),
        ("a ``` b", f"a ``{_GAP}` b"),
        ("[the page](https://x.y/a_b?c=1&d=2)", "<https://x.y/a_b?c=1&amp;d=2|the page>"),
        ('[p](https://x.y "title")', "<https://x.y|p>"),
        ("[a|b](https://x.y/(z)|w)", "<https://x.y/(z)%7Cw|a¦b>"),
        ("[**bold** page](https://x.y)", "<https://x.y|bold page>"),
        ("![chart](https://x.y/c.png)", "<https://x.y/c.png|chart>"),
        ("<https://x.y>", "<https://x.y>"),
        ("<a@b.example>", "<mailto:a@b.example|a@b.example>"),
        ("see https://x.y/a_b_c. **https://x.y**", "see https://x.y/a_b_c. *https://x.y*"),
        ("[x](file:///etc/passwd)", "x (file:///etc/passwd)"),
        ("[x](javascript:alert)", "x (javascript:alert)"),
        ("5 < 6 & 7 > 6", "5 &lt; 6 &amp; 7 &gt; 6"),
        ("R&amp;D &lt;3", "R&amp;D &lt;3"),
        (r"\*literal\*", "*literal*"),
        ("a<br>b", "a\nb"),
        (
            "| Name | Sum |\n|:--|--:|\n| Jürgen | 5 |\n| **日本** | `12` |",
            "```\nName   | Sum\n-------+----\nJürgen |   5\n日本   |  12\n```",
        ),
    ],
)
def test_markdown_becomes_mrkdwn(markdown: str, mrkdwn: str) -> None:
    assert to_mrkdwn(markdown) == mrkdwn


@pytest.mark.parametrize(
    "text",
    [
        "<!channel>",
        "<!here|here>",
        "<!everyone>",
        "<!subteam^S123|team>",
        "<@U123>",
        "@channel",
        "@Here",
        "hello @everyone!",
        "[x](!channel)",
        "[x](<!here>)",
        "[x](@U123)",
        "`<!channel>`",
        "```\n<!channel>\n```",
        "**<!channel>**",
        "| a |\n|--|\n| <!here> |",
        "<<!channel>",
        "![x](!channel)",
        "&lt;!channel&gt;",
        "\\<!channel>",
    ],
)
def test_no_mention_rings(text: str) -> None:
    assert not _ALARM.search(defuse(text))
    assert not _ALARM.search(to_mrkdwn(text))


def test_addresses_and_ordinary_angles_are_left_alone() -> None:
    for text in ("ops@here.com", "https://medium.com/@everyone", "<!DOCTYPE html>", "a <- b", "@chandler"):
        assert defuse(text) == text


@given(_MARKDOWN)
@example("<" * 40 + "!channel>")
def test_no_mention_survives_in_either_dialect(text: str) -> None:
    for shown in (to_mrkdwn(text), defuse(text)):
        assert not re.search(r"<!(channel|here|everyone|group|subteam)|<@[UWB][A-Z0-9]", shown, re.IGNORECASE)
        assert not re.search(r"\]\(<?[!@]|(?<![\w/])@(channel|here|everyone)", shown, re.IGNORECASE)


@given(_MARKDOWN)
@example("\\```")
@example("``\\`")
@example("[\\`\\`\\`](https://example.com/```)")
@example("<https://example.com/```>")
@example("![```](path)")
def test_code_blocks_are_balanced_and_nothing_is_left_unescaped(text: str) -> None:
    shown = to_mrkdwn(text)
    assert shown.count("```") % 2 == 0
    for tag in re.findall(r"<[^>]*>?", shown):
        assert re.fullmatch(r"<(https?://|mailto:|tel:|slack:)[^<>]+>", tag, re.IGNORECASE)


@given(_MARKDOWN)
def test_no_word_is_lost(text: str) -> None:
    ignored = r"(?:```|~~~).*|&\w+;|https?://\S*|[!-/:-@\[-`{-~]+"  # a line that may open a fence among them
    words = re.findall(r"[^\W_]{2,}", re.sub(ignored, " ", text))
    shown = to_mrkdwn(text).replace(_GAP, "")
    assert all(word in shown for word in words)


@given(st.lists(_MARKDOWN, max_size=8))
def test_text_that_streams_in_pieces_is_defused_as_the_whole_is(pieces: list[str]) -> None:
    sent = text = ""
    for piece in pieces:
        text += piece
        ready = defuse(text[: len(text) - held_back(text)].rstrip())
        assert ready.startswith(sent) or sent.rstrip() == ready
        sent = max(ready, sent, key=len)
    assert defuse(text).startswith(sent)


@pytest.mark.parametrize("bomb", _BOMBS.split())
def test_hostile_markdown_takes_no_long_time(bomb: str) -> None:
    started = time.process_time()
    for text in (bomb, bomb.replace("_", " "), f"{bomb}\n", f"{bomb} "):
        to_mrkdwn(text * (100_000 // len(text)))
    assert time.process_time() - started < 8  # a hundred times what it takes


def test_deeply_nested_quotes_are_shown() -> None:
    assert "deep" in to_mrkdwn("> " * 5_000 + "deep")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("<@U0BOT> hello", "hello"),
        ("hello <@U0BOT|parley>", "hello"),
        ("ask <@U1|alice> and <@U2>", "ask @alice and @U2"),
        ("in <#C1|general> and <#C2>", "in #general and #C2"),
        ("<https://x.y|the page> and <https://x.y>", "[the page](https://x.y) and https://x.y"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("<!here> <!subteam^S1|@team> <!subteam^S2>", "@here @team @subteam"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("&lt;@U0BOT&gt; is not a mention", "<@U0BOT> is not a mention"),
        ("&amp;lt;", "&lt;"),
        ("a < b > c", "a < b > c"),
    ],
)
def test_what_a_person_sent_becomes_markdown(sent: str, read: str) -> None:
    assert to_markdown(sent, "U0BOT") == read


@given(st.text(st.sampled_from("<>@#!|&;ampltg U0BOT1^"), max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    assert "<@U0BOT>" not in to_markdown(text.replace("&", ""), "U0BOT")
