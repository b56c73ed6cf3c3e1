"""One import in a process of its own: Parley's, or the same work written with a peer.

`python benchmarks/import_side.py <side> <format> <file> <output folder>` reads a table, maps and validates it, writes
good rows as JSON Lines and the others to a second file; of a PDF it reads the text. It prints one line of JSON: what
was read, seconds, processor time and memory, those of child processes included. A folder `/dev/null` keeps no output.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_COUNTRIES = ["DE", "ES", "FR", "GB", "IT", "US"]
_STATES = ["open", "paid", "returned", "shipped"]
_NAMES = [
    "order_id",
    "customer",
    "email",
    "country",
    "order_date",
    "quantity",
    "unit_price",
    "discount",
    "status",
    "paid",
]
_NAMES += ["phone", "note"]


def parley(kind: str, path: Path, folder: Path) -> tuple[int, int]:
    """The engine as `importer.run` drives it, with files in place of S3."""
    sys.path[:0] = [str(_ROOT), *(str(_ROOT / "layers" / room) for room in ("importer", "core"))]
    if kind == "pdf":
        return _parley_pages(path)
    from benchmarks.import_data import TEMPLATE, order_mapping
    from importer.engine import convert, stream_of
    from importer.readers import ReadOptions, table_reader
    from importer.rows import RowMaker
    from importer.source import FileSource
    from importer.values import Checkpoint
    from importer.writers import load_writer

    source = FileSource(path)
    with (
        table_reader(kind).open(source, ReadOptions()) as file,
        _sink(folder, "good.jsonl").open("wb") as good,
        _sink(folder, "rejects.jsonl").open("wb") as rejects,
    ):
        table = file.tables[0]
        maker = RowMaker(TEMPLATE, order_mapping(), table.columns)
        last = Checkpoint(etag=source.etag)
        writer = stream_of(load_writer("jsonl"))
        for part in convert(file, table, template=TEMPLATE, maker=maker, writer=writer, start=last):
            good.write(part.output)
            rejects.write(part.rejects)
            last = part.checkpoint or last
    return last.rows_ok, last.rows_rejected


def _sink(folder: Path, name: str) -> Path:
    return folder if folder == Path(os.devnull) else folder / name


def _parley_pages(path: Path) -> tuple[int, int]:
    from importer.readers import ReadOptions, document_reader
    from importer.source import FileSource

    with document_reader("pdf").open(FileSource(path), ReadOptions()) as document:
        return _count(page.text for page in document.read())


def _count(texts: Iterable[str]) -> tuple[int, int]:
    """Pages and words."""
    words = [len(text.split()) for text in texts]
    return len(words), sum(words)


def use_pypdf(kind: str, path: Path, folder: Path) -> tuple[int, int]:  # noqa: ARG001 - PDF only, which is only read
    """The text of each page, by the library that is asked for most."""
    from pypdf import PdfReader  # type: ignore[import-not-found] # only the peers' own environment has it

    return _count(page.extract_text() for page in PdfReader(path).pages)


def use_pdfminer(kind: str, path: Path, folder: Path) -> tuple[int, int]:  # noqa: ARG001 - as above
    """The same by the one that knows most of layout."""
    from pdfminer.high_level import extract_text  # type: ignore[import-not-found] # as above

    return _count(extract_text(path).split("\f")[:-1])


def use_pandas(kind: str, path: Path, folder: Path) -> tuple[int, int]:  # noqa: ARG001 - CSV only
    """Everything as text, then a column of truth per rule."""
    import pandas as pd  # type: ignore[import-untyped] # only the peers' own environment has it

    rows = pd.read_csv(path, dtype=str, keep_default_na=False, names=_NAMES, header=0)
    quantity, price = (pd.to_numeric(rows[name], errors="coerce") for name in ("quantity", "unit_price"))
    discount = pd.to_numeric(rows["discount"], errors="coerce")
    day = pd.to_datetime(rows["order_date"], format="%Y-%m-%d", errors="coerce")
    good = (
        rows["order_id"].str.fullmatch(r"O-[0-9]{8,10}")
        & (rows["customer"].str.len() <= 100)
        & rows["email"].str.fullmatch(r"[^@ ]+@[^@ ]+[.][a-z]+")
        & rows["country"].isin(_COUNTRIES)
        & day.notna()
        & (quantity >= 1)
        & (quantity % 1 == 0)
        & (price >= 0)
        & discount.between(0, 1)
        & rows["status"].isin(_STATES)
        & rows["paid"].isin(["yes", "no"])
    )
    made = rows[good].assign(
        quantity=quantity[good].astype(int),
        unit_price=price[good],
        discount=discount[good],
        paid=rows["paid"][good] == "yes",
    )
    made.to_json(folder / "good.jsonl", orient="records", lines=True)
    rows[~good].to_json(folder / "rejects.jsonl", orient="records", lines=True)
    return int(good.sum()), int((~good).sum())


def use_polars(kind: str, path: Path, folder: Path) -> tuple[int, int]:  # noqa: ARG001 - CSV only
    """The same with polars' expressions, in memory."""
    import polars as pl  # type: ignore[import-not-found] # as above

    rows = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True, new_columns=_NAMES)
    made = rows.with_columns(
        pl.col("quantity").cast(pl.Int64, strict=False),
        pl.col("unit_price", "discount").cast(pl.Float64, strict=False),
        pl.col("order_date").str.to_date("%Y-%m-%d", strict=False),
        pl.col("paid").replace_strict({"yes": True, "no": False}, default=None, return_dtype=pl.Boolean),
    )
    good = made.select(
        pl.all_horizontal(
            pl.col("order_id").str.contains(r"^O-[0-9]{8,10}$"),
            pl.col("customer").str.len_chars() <= 100,
            pl.col("email").str.contains(r"^[^@ ]+@[^@ ]+[.][a-z]+$"),
            pl.col("country").is_in(_COUNTRIES),
            pl.col("order_date").is_not_null(),
            pl.col("quantity") >= 1,
            pl.col("unit_price") >= 0,
            pl.col("discount").is_between(0, 1),
            pl.col("status").is_in(_STATES),
            pl.col("paid").is_not_null(),
        ).fill_null(value=False)
    ).to_series()
    made.filter(good).write_ndjson(folder / "good.jsonl")
    rows.filter(~good).write_ndjson(folder / "rejects.jsonl")
    return int(good.sum()), int((~good).sum())


def use_duckdb(kind: str, path: Path, folder: Path) -> tuple[int, int]:  # noqa: ARG001 - CSV only
    """The same as one query."""
    import duckdb

    database = duckdb.connect()
    database.execute("SET threads TO 1")
    names = dict.fromkeys(_NAMES, "VARCHAR")
    options = "header=true, auto_detect=false, delim=',', quote='\"', escape='\"', null_padding=true, strict_mode=false"
    database.execute(
        f"CREATE TABLE raw AS SELECT * FROM read_csv('{path}', {options}, columns={names}, parallel=false)"
    )
    good = """regexp_full_match(order_id, 'O-[0-9]{8,10}') AND length(customer) <= 100
        AND regexp_full_match(email, '[^@ ]+@[^@ ]+[.][a-z]+') AND country IN ('DE','ES','FR','GB','IT','US')
        AND TRY_CAST(order_date AS DATE) IS NOT NULL AND TRY_CAST(quantity AS INTEGER) >= 1
        AND TRY_CAST(unit_price AS DOUBLE) >= 0 AND TRY_CAST(discount AS DOUBLE) BETWEEN 0 AND 1
        AND status IN ('open','paid','returned','shipped') AND paid IN ('yes','no')"""
    made = """SELECT * REPLACE (quantity::INTEGER AS quantity, unit_price::DOUBLE AS unit_price,
        discount::DOUBLE AS discount, paid = 'yes' AS paid) FROM raw WHERE """
    bad = f"SELECT * FROM raw WHERE NOT coalesce({good}, false)"
    database.execute(f"COPY ({made} {good}) TO '{folder}/good.jsonl' (FORMAT json)")
    database.execute(f"COPY ({bad}) TO '{folder}/rejects.jsonl' (FORMAT json)")
    found = database.execute(f"SELECT count(*) FILTER (WHERE {good}), count(*) FROM raw").fetchone()
    count, rows = found or (0, 0)
    return int(count), int(rows) - int(count)


_SIDES = {
    "parley": parley,
    "pandas": use_pandas,
    "polars": use_polars,
    "duckdb": use_duckdb,
    "pypdf": use_pypdf,
    "pdfminer": use_pdfminer,
}


def main() -> None:
    """Run one side once."""
    side, kind, path, folder = sys.argv[1:]
    started, cpu = time.perf_counter(), time.process_time()
    good, rest = _SIDES[side](kind, Path(path), Path(folder))
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    used += children.ru_utime + children.ru_stime
    memory = (own.ru_maxrss + children.ru_maxrss) / 1024
    print(json.dumps({"good": good, "rest": rest, "seconds": seconds, "cpu": used, "memory": memory}))


if __name__ == "__main__":
    main()
