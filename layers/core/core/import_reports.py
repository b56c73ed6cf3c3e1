"""What a conversation is told of an import: how it went, what was wrong first, what a person has to decide. Markdown.

Names of files and columns are a stranger's: they stand in code, short, and without what could end it. Values of the
file are not repeated.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.import_reasons import explain_file, explain_row
from core.import_texts import words
from core.imports import Import, ImportStatus

MOST_PROBLEMS = 3
_MOST_FIELDS = 20
_MOST_QUESTIONS = 5
_MOST_NOTES = 3
_NAME = 60  # characters
_SENTENCE = 300

type Json = Mapping[str, Any]


def report(import_: Import, rejects: Sequence[Json], language: str | None) -> str:
    """How an import stands that has ended, or waits for a person.

    Args:
        import_: The import.
        rejects: Its first rejected rows, as its file of rejects has them.
        language: Of the person, a BCP 47 tag.
    """
    if import_.processing_status is ImportStatus.AWAITING_REVIEW:
        return _join(_review(import_, language))
    return _join([_outcome(import_, language), *_details(import_, rejects, language)])


def link_line(result: str | None, rejects: str | None, language: str | None) -> str:
    """Links that work for an hour, with a word that they do; empty where there are none."""
    named = (("result", result), ("rejects", rejects))
    links = [f"[{words(name, language)}]({url})" for name, url in named if url]  # type: ignore[arg-type] # two of its names
    return f"{' · '.join(links)}\n_{words('link-time', language)}_" if links else ""


def name_file(import_: Import) -> str:
    """The file's name, as it may stand in a message."""
    return _code(import_.input_file_name)


def _outcome(import_: Import, language: str | None) -> str:
    file, rows = name_file(import_), import_.rows_written or 0
    match import_.processing_status:
        case ImportStatus.FAILED:
            return words("failed", language).format(file=file, why=explain_file(import_.error_code, language))
        case ImportStatus.CANCELED:
            return words("canceled", language).format(file=file)
    if import_.options.is_dry_run:
        return words("looked", language).format(file=file)
    if import_.rows_rejected:
        return words("done-partly", language).format(file=file, rows=rows, rejected=import_.rows_rejected)
    return words("done", language).format(file=file, rows=rows)


def _details(import_: Import, rejects: Sequence[Json], language: str | None) -> Iterator[str]:
    if import_.submission == "refused":
        yield words("not-handed-over", language)
    elif import_.commercial_import_id:
        yield words("handed-over", language).format(id=_code(import_.commercial_import_id))
    if import_.options.is_dry_run:
        yield from _fields(import_, language)
    if rejects:
        lines = [f"- {_problem(each, language)}" for each in rejects[:MOST_PROBLEMS]]
        yield "\n".join([words("problems", language), *lines])
    if import_.notices:
        lines = [f"- {_plain(each, _SENTENCE)}" for each in import_.notices[:_MOST_NOTES]]
        yield "\n".join([words("notes", language), *lines])


def _problem(reject: Json, language: str | None) -> str:
    row, column = reject.get("row", "?"), reject.get("column") or reject.get("target")
    problem = explain_row(str(reject.get("code")), language)
    if not column:
        return words("row", language).format(row=row, problem=problem)
    return words("row-column", language).format(row=row, column=_code(str(column)), problem=problem)


def _review(import_: Import, language: str | None) -> Iterator[str]:
    yield words("review", language).format(file=name_file(import_))
    yield from _fields(import_, language)
    questions = json.loads(import_.questions) if import_.questions else []
    if not questions:
        return
    lines = [_question(each) for each in questions[:_MOST_QUESTIONS]]
    yield "\n".join([words("questions", language), *lines])
    yield f"{words('unanswered', language)} {words('answer-how', language).format(id=import_.id)}"


def _question(question: Json) -> str:
    options = " | ".join(_code(str(each)) for each in question.get("options", ())[:6])
    return f"- {_code(str(question.get('id')))}: {_plain(str(question.get('text')), _SENTENCE)} {options}".rstrip()


def _fields(import_: Import, language: str | None) -> Iterator[str]:
    mapping = json.loads(import_.mapping) if import_.mapping else {}
    lines = [
        f"- {_code(str(each['target']))} ← {', '.join(map(_code, each['columns'])) or '·'}"
        for each in mapping.get("fields", ())
    ]
    if lines:
        rest = ["- …"] if len(lines) > _MOST_FIELDS else []
        yield "\n".join([words("fields", language), *lines[:_MOST_FIELDS], *rest])


def _code(text: str) -> str:
    return f"`{_plain(text, _NAME)}`"


def _plain(text: str, most: int) -> str:
    """One line without hidden characters, links, marks or mentions."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: most * 4]).split())
    line = line.replace("`", "'").replace("<", "(").replace(">", ")").replace("[", "(").replace("]", ")")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _join(parts: Iterator[str] | Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part)
