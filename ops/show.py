"""How commands speak: tables and colours on a terminal, plain columns in a pipe, JSON on demand, one line per error.

What people and platforms wrote is shown as text and nothing else: no markup of ours, no control characters, which
could rewrite an operator's terminal.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, override

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from core.errors import RetryableError, ServiceError
from core.models import Value

# C0 and C1 controls but tab and line feed, and what reverses or hides text (Unicode's bidirectional controls).
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_PIPE_WIDTH = 100_000  # columns: never wrap what another program reads

_STYLES = {
    "COMPLETED": "green",
    "ACTIVE": "green",
    "yes": "green",
    "COMPLETED_WITH_ERRORS": "yellow",
    "AWAITING_REVIEW": "yellow",
    "PROCESSING": "cyan",
    "FAILED": "bold red",
    "no": "red",
    "CANCELED": "yellow",
    "IN_PROGRESS": "cyan",
    "STREAMING": "cyan",
    "user": "bold",
    "assistant": "cyan",
    "system": "dim",
}


class Commands(TyperGroup):
    """Ends a command that failed with one line that says what to do, and exit code 1."""

    @override
    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer keeps its context's real class private; what comes back is the command's
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ServiceError as exc:
            hint = "; try again" if isinstance(exc, RetryableError) else ""
            fail(exc.message + hint)
        except ClientError as exc:
            error = exc.response["Error"]
            fail(f"AWS refused {exc.operation_name}: {error['Code']}: {error.get('Message', '')}")
        except BotoCoreError as exc:
            fail(f"AWS cannot be reached: {exc}")
        raise typer.Exit(1)


def fail(message: str) -> None:
    """Say what went wrong, on the error output."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), clean(message)))


def say(message: str) -> None:
    """One line about what was done."""
    _console().print(cell(message, style=None))


def note(message: str) -> None:
    """One line beside the result, on the error output, so that the result can be piped."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(cell(message, style="dim"))


def clean(text: str) -> str:
    """`text` without what a terminal would act on."""
    return _CONTROLS.sub("", text)


def cell(value: object, *, style: str | None = "") -> Text:
    """A value as it stands in a table: times short, facts as yes or no, nothing as a dash."""
    match value:
        case None | "":
            return Text("-", style="dim")
        case bool():
            shown = "yes" if value else "no"
        case datetime():
            shown = value.strftime("%Y-%m-%d %H:%M:%S")
        case int():
            shown = f"{value:,}".replace(",", " ")
        case _:
            shown = clean(str(value))
    return Text(shown, style=_STYLES.get(shown, "") if style == "" else style or "")


def age(since: datetime, now: datetime) -> str:
    """How long ago, in the unit that a person would choose."""
    past = max(now - since, timedelta())
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if past.total_seconds() >= 2 * seconds:
            return f"{int(past.total_seconds() // seconds)} {unit}"
    return f"{int(past.total_seconds())} s"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", is_ruled: bool = False) -> None:
    """Rows under their columns. Cells are shown as they are if they are rich's own, else as `cell` does."""
    console = _console()
    drawn = Table(show_lines=is_ruled)
    if not console.is_terminal:
        drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*(each if isinstance(each, Text) else cell(each) for each in row))
    _print(console, drawn, title)


def fields(pairs: Iterable[tuple[str, object]], *, title: str) -> None:
    """Names and values, one pair per line; pairs without a value are left out."""
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value not in {None, ""}:
            grid.add_row(name, cell(value))
    _print(_console(), grid, title)


def listing(
    values: Sequence[Value], columns: Sequence[str], rows: Iterable[Sequence[object]], *, as_json: bool, empty: str
) -> None:
    """A list in the form asked for. An empty one says so on the error output, and is an empty list as JSON."""
    if as_json:
        emit_json([to_json(each) for each in values])
    elif values:
        table(columns, rows)
    else:
        note(empty)


def to_json(value: Value) -> dict[str, Any]:  # JSON
    """A value under its stored names, without what it does not have."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def emit_json(value: object) -> None:
    """JSON in readable letters; what a terminal would act on is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    typer.echo(_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def _print(console: Console, drawn: RenderableType, title: str) -> None:
    heading = [cell(title, style="bold")] if title else []
    if console.is_terminal:
        console.print(*heading, drawn, sep="\n")
        return
    with console.capture() as captured:
        console.print(*heading, drawn, sep="\n")
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
