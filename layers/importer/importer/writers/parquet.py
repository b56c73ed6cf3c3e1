"""Parquet: columns typed as the template says, zstd, by DuckDB (https://duckdb.org/docs/data/parquet/overview)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import orjson

from importer.problems import ProblemCode, refuse
from importer.values import Record
from importer.writers import OutputField, WholeWriter

_MEMORY = "256MB"  # DuckDB spills to the disk above it
_MAX_RECORD_BYTES = 64 * 1024**2
_ROW_GROUP = 100_000
_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "object": "JSON", "array": "JSON"}
_FORMATS = {"date": "DATE", "date-time": "TIMESTAMPTZ"}


class _Parquet:
    kind: Final[Literal["whole"]] = "whole"
    media_type: Final = "application/vnd.apache.parquet"

    def write(self, records: Iterable[Sequence[Record]], fields: Sequence[OutputField], path: Path) -> None:
        import duckdb

        with TemporaryDirectory(dir=path.parent) as folder:
            spool = Path(folder) / "records.jsonl"
            with spool.open("wb") as stream:
                for chunk in records:
                    stream.writelines(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in chunk)
            settings: dict[str, str | bool | int | float | list[str]] = {
                "memory_limit": _MEMORY,
                "threads": 1,
                "temp_directory": folder,
                "autoload_known_extensions": False,
                "autoinstall_known_extensions": False,
            }
            with duckdb.connect(config=settings) as database:
                database.execute("SET TimeZone = 'UTC'")
                try:
                    database.execute(_copy(spool, fields, path))
                except duckdb.Error as exc:
                    raise refuse(
                        ProblemCode.TYPE_ERROR,
                        "a value does not fit the type that the template gives its column in parquet; ask for jsonl",
                    ) from exc


def _copy(spool: Path, fields: Sequence[OutputField], path: Path) -> str:
    columns = ", ".join(f"{_quote(field.name)}: {_quote(_type_of(field))}" for field in fields)
    return (
        f"COPY (SELECT * FROM read_json({_quote(str(spool))}, format = 'newline_delimited', "  # noqa: S608 - quoted
        f"maximum_object_size = {_MAX_RECORD_BYTES}, columns = {{{columns}}})) "
        f"TO {_quote(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
    )


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _type_of(field: OutputField) -> str:
    """The column's type; what may be one of several is JSON."""
    kinds = field.schema.get("type", "string")
    names = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    if len(names) != 1:
        return "JSON"
    if names[0] == "string":
        return _FORMATS.get(str(field.schema.get("format")), "VARCHAR")
    return _TYPES.get(names[0], "JSON")


WRITER: Final[WholeWriter] = _Parquet()
