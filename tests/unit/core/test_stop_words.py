"""A message that says nothing but stop, in the languages of the assistant's own texts."""

import pytest

from core.stop_words import says_stop

_STOPS = """
stop| Stop! |*STOP*|Please stop.|/stop|Stopp!|Bitte abbrechen|HÖR AUF!!|arrête|Arrête, s\u2019il te plaît|Detente.
|¡Para!|pare, por favor|Pára!|止めて|ストップ。|停止
"""
_QUESTIONS = """
|   |no|stop words in English?|How do I stop the server?|non stop|don't stop|!!!|no pares|para qué sirve
|Halt die Maschine an und sag mir, warum
"""


@pytest.mark.parametrize("text", _STOPS.strip().split("|"))
def test_stop_is_understood(text: str) -> None:
    assert says_stop(text)


@pytest.mark.parametrize("text", [*_QUESTIONS.split("|"), "stop" * 5_000])
def test_a_question_about_stopping_is_a_question(text: str) -> None:
    assert not says_stop(text)
