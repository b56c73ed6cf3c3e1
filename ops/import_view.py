"""How imports are shown: bars while they run, a table of what became of them."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from core.imports import Import, ImportStatus
from ops import show

_LONG = 72


@contextmanager
def upload_progress(size: int, *, is_quiet: bool) -> Generator[Callable[[int], None]]:
    """A bar of an upload; gives what is called with the bytes that were sent."""
    with _bars("uploading", is_quiet=is_quiet) as bars:
        task = bars.add_task("uploading", total=size or 1, rows="")
        yield lambda sent: bars.advance(task, sent)


def watch(read: Callable[[], Import], *, sleep: Callable[[], None], is_quiet: bool) -> Import:
    """Show how far an import is until it has ended or waits for a person; how it stands then."""
    with _bars("importing", is_quiet=is_quiet) as bars:
        task = bars.add_task("importing", total=None, rows="")
        while True:
            import_ = read()
            progress = import_.progress
            rows = f"{progress.rows_ok} rows" + (
                f", {progress.rows_rejected} rejected" if progress.rows_rejected else ""
            )
            bars.update(
                task,
                description=import_.step.value,
                completed=progress.bytes_done,
                total=progress.bytes_total or None,
                rows=rows,
            )
            if import_.is_over or import_.processing_status is ImportStatus.AWAITING_REVIEW:
                return import_
            sleep()


@contextmanager
def _bars(name: str, *, is_quiet: bool) -> Generator[Progress]:
    console = Console(stderr=True, quiet=is_quiet)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeRemainingColumn(),
    )
    if not is_quiet and not console.is_terminal:
        show.note(name)
    with Progress(*columns, console=console, transient=True, disable=is_quiet or not console.is_terminal) as bars:
        yield bars


def say_outcome(import_: Import, *, link: str | None, rejects: str | None, saved: Path | None) -> None:
    """What became of an import, and where its files are."""
    show_import(import_, link=str(saved) if saved and link else link, rejects=rejects)
    if import_.processing_status is ImportStatus.AWAITING_REVIEW:
        show.note(f"it waits for you: `imports approve {import_.id}`, with --answer QUESTION=ANSWER for each question")


def show_import(import_: Import, *, link: str | None, rejects: str | None) -> None:
    """Everything that people want to know of an import."""
    over = import_.is_over
    show.fields(
        (
            ("status", import_.processing_status.value),
            ("step", None if over else import_.step.value),
            ("file", import_.input_file_name),
            ("format", f"{import_.input_format or '?'} to {import_.output_format}"),
            ("template", f"{import_.template} v{import_.template_version}" if import_.template else None),
            ("rows read", import_.rows_read if over else import_.progress.rows_ok + import_.progress.rows_rejected),
            ("rows written", import_.rows_written if over else import_.progress.rows_ok),
            ("rows rejected", import_.rows_rejected if over else import_.progress.rows_rejected),
            ("problem", import_.error_code),
            ("", import_.error_message),
            ("duplicate of", import_.duplicate_of),
            ("notices", "\n".join(import_.notices)),
            ("handed over as", import_.commercial_import_id),
            ("model tokens", import_.total_tokens),
            ("model cost", f"${import_.cost}" if import_.cost is not None else None),
            ("output", link),
            ("rejects", rejects),
        ),
        title=import_.id,
    )
    _show_questions(import_)
    _show_preview(import_)


def _show_questions(import_: Import) -> None:
    if not import_.questions:
        return
    rows = (
        (each["id"], each["text"], " | ".join(each["options"]), ", ".join(each.get("examples", ())))
        for each in json.loads(import_.questions)
    )
    show.table(("Question", "It asks", "Answers", "Examples"), rows, title="questions")


def _show_preview(import_: Import) -> None:
    """What the first rows became, while that is all there is."""
    seen = json.loads(import_.preview) if import_.preview else {}
    if import_.output_file_url or not seen:
        return
    if problem := seen.get("problem"):
        show.note(f"no preview: {problem['message']}")
    if "validity" not in seen:
        return
    fields = ((name, f"{seen['fill'][name]:.0%}", f"{valid:.0%}") for name, valid in seen["validity"].items())
    show.table(("Field", "Filled", "Valid"), fields, title=f"of the first {seen['rows']} rows")
    estimate = seen["estimate"]
    show.note(f"about {estimate['rows']} rows in all, {estimate['seconds']:.0f} s")
    for record in seen["records"][:5]:
        text = json.dumps(record, ensure_ascii=False)
        show.say(text if len(text) <= _LONG * 2 else f"{text[: _LONG * 2]}…")
