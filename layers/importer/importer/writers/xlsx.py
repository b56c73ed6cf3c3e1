"""XLSX: one sheet after the other, texts as texts and never as formulas; written row by row."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import orjson

from importer.problems import ProblemCode, refuse
from importer.values import Record
from importer.writers import OutputField, WholeWriter

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

# https://support.microsoft.com/office/excel-specifications-and-limits
_MAX_ROWS = 1_048_576  # of a sheet, its header included
_MAX_COLUMNS = 16_384
_MAX_TEXT = 32_767  # characters of a cell, as UTF-16 counts them
_MAX_EXACT = 999_999_999_999_999  # Excel keeps 15 digits; a longer number (an IBAN, an id) is text
_FIRST_DAY = date(1900, 3, 1)  # before it Excel counts a day that never was
_CREATED = datetime(2000, 1, 1)  # noqa: DTZ001 - a fixed mark inside the file: the same records give the same bytes


class _Xlsx:
    kind: Final[Literal["whole"]] = "whole"
    media_type: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def write(self, records: Iterable[Sequence[Record]], fields: Sequence[OutputField], path: Path) -> None:
        import xlsxwriter

        if len(fields) > _MAX_COLUMNS:
            raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"xlsx holds {_MAX_COLUMNS} columns; ask for csv or parquet")
        book = xlsxwriter.Workbook(
            str(path),
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        dates = [field.schema.get("format") == "date" for field in fields]
        book.set_properties({"created": _CREATED})
        sheet, row = None, _MAX_ROWS
        with closing(book):
            for record in chain.from_iterable(records):
                if row == _MAX_ROWS:
                    sheet, row = _add_sheet(book, fields), 1
                for column, (field, is_date) in enumerate(zip(fields, dates, strict=True)):
                    _put(sheet, row, column, record.get(field.name), day if is_date else None)
                row += 1
            if sheet is None:
                _add_sheet(book, fields)


def _add_sheet(book: "Workbook", fields: Sequence[OutputField]) -> "Worksheet":
    sheet = book.add_worksheet()
    for column, field in enumerate(fields):
        _put(sheet, 0, column, field.name, None)
    return sheet


def _put(sheet: "Worksheet", row: int, column: int, value: object, day: "Format | None") -> None:
    match value:
        case None:
            return
        case bool():
            sheet.write_boolean(row, column, value)
        case int() if -_MAX_EXACT <= value <= _MAX_EXACT:
            sheet.write_number(row, column, value)
        case float():
            sheet.write_number(row, column, value)
        case str() if day is not None and (found := _as_day(value)):
            sheet.write_datetime(row, column, found, day)
        case str():
            _put_text(sheet, row, column, value)
        case _:
            _put_text(sheet, row, column, orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode())


def _put_text(sheet: "Worksheet", row: int, column: int, text: str) -> None:
    if len(text) * 2 > _MAX_TEXT and len(text.encode("utf-16-le", "replace")) > _MAX_TEXT * 2:
        raise refuse(
            ProblemCode.FIELD_TOO_LARGE,
            f"a value in record {row} is longer than the {_MAX_TEXT} characters of an xlsx cell; ask for csv or jsonl",
        )
    sheet.write_string(row, column, text)


def _as_day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found >= _FIRST_DAY else None


WRITER: Final[WholeWriter] = _Xlsx()
