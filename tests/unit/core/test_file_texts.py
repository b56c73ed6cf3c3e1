"""What is said of files that were not read: in every language, with the file's name."""

import pytest

from core.file_texts import REASONS, explain_unread, name_unread

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_is_there_once_and_in_its_language(language: str) -> None:
    said = [explain_unread(reason, language) for reason in REASONS]
    assert len(set(said)) == len(REASONS) == 8
    if language != "en":
        assert not set(said) & {explain_unread(reason) for reason in REASONS}


def test_each_file_is_named_below_the_answer() -> None:
    said = name_unread([("a.pdf", "file-pdf"), ("b.zip", "file-unknown")], "de-AT")
    head, first, second = said.strip().split("\n")
    assert head == "_Ich konnte nicht alles lesen, was Sie angehängt haben:_"
    assert (first, second) == (
        "- `a.pdf`: ein PDF kann nur ein Import lesen",
        "- `b.zip`: diese Art von Datei lese ich nicht",
    )
    assert explain_unread("file-pdf", "xx") == explain_unread("file-pdf")
