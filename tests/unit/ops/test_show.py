"""What an operator sees: short, and harmless whatever people wrote."""

from datetime import UTC, datetime, timedelta

import pytest

from ops import show

NOW = datetime(2026, 11, 22, 9, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1234567, "1 234 567"),
        (NOW, "2026-11-22 09:30:05"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("a\x1b[31mb\rc\x00d", "a[31mbcd"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("東京 👩‍🚀 ümlaut", "東京 👩‍🚀 ümlaut"),
    ],
)
def test_a_cell_shows_a_value_as_text_and_nothing_else(value: object, shown: str) -> None:
    assert show.cell(value).plain == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d"), (-5, "0 s")]
)
def test_an_age_is_said_in_the_unit_a_person_would_choose(seconds: int, shown: str) -> None:
    assert show.age(NOW - timedelta(seconds=seconds), NOW) == shown


def test_a_table_in_a_pipe_is_one_plain_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("Id", "Name"), [("a", "x" * 500), ("b", None)])
    assert capsys.readouterr().out.splitlines() == ["Id  Name", f"a   {'x' * 500}", "b   -"]
