"""Imports measured: how much a processor second reads, maps, validates and writes, and the memory that it takes.

`python -m benchmarks.imports` makes its files, runs every side in processes of their own that take turns, and prints
medians. `--case` picks some of it; each case with peers ends in a line `ratio N.NN`: our work per CPU second over that
of the first of them. The peers live in an environment of their own that uv makes; `--no-peers` leaves them out.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), *(str(_ROOT / "layers" / room) for room in ("importer", "core"))]
from benchmarks.import_data import write_csv, write_json, write_large_csv, write_pdf, write_xlsx  # noqa: E402 - above

_TABLE_PEERS = {"pandas": "pandas>=2.3", "polars": "polars>=1.30", "duckdb": "duckdb>=1.4"}
_PDF_PEERS = {"pypdf": "pypdf>=6", "pdfminer": "pdfminer.six>=20250506"}
_SIDE = str(_ROOT / "benchmarks" / "import_side.py")
_NOWHERE = Path(os.devnull)

type Run = dict[str, float]


@dataclass(frozen=True)
class _Sizes:
    rows: int = 1_000_000
    small_mb: int = 100
    large_mb: int = 5_000
    json_mb: int = 200
    xlsx_rows: int = 200_000
    pages: int = 300
    rounds: int = 3


_QUICK = _Sizes(rows=3_000, small_mb=1, large_mb=4, json_mb=1, xlsx_rows=500, pages=5, rounds=1)


class _Bench:
    """What all cases work with."""

    def __init__(self, folder: Path, sizes: _Sizes, console: Console, *, has_peers: bool) -> None:
        self.folder = folder
        self.sizes = sizes
        self.console = console
        self._has_peers = has_peers

    def compare(self, title: str, kind: str, path: Path, amount: int, peers: Mapping[str, str]) -> dict[str, Run]:
        """The medians of all sides, printed: `amount` is how much there is to read, in rows or pages."""
        peers = peers if self._has_peers else {}
        runs: dict[str, list[Run]] = {side: [] for side in ("parley", *peers)}
        for _ in range(self.sizes.rounds):
            for side, found in runs.items():
                found.append(_run(side, kind, path, self.folder, list(peers.values())))
        path.unlink()
        middles = {side: _middle(rounds) for side, rounds in runs.items()}
        self.show(title, {side: (amount, middle) for side, middle in middles.items()}, is_document=kind == "pdf")
        if first := next(iter(peers), None):
            print(f"ratio {middles[first]['cpu'] / middles['parley']['cpu']:.2f}")
        return middles

    def show(self, title: str, lines: Mapping[str, tuple[int, Run]], *, is_document: bool = False) -> None:
        """Print a table of medians."""
        units = ("pages", "pages", "words") if is_document else ("rows", "good", "rejected")
        table = Table(title=title, title_justify="left")
        for name in ("", f"{units[0]}/s of CPU", "seconds", "CPU s", "peak MB", *units[1:]):
            table.add_column(name, justify="right" if name else "left")
        for name, (amount, run) in lines.items():
            cells = (amount / run["cpu"], run["seconds"], run["cpu"], run["memory"], run["good"], run["rest"])
            table.add_row(name, *(f"{cell:,.1f}" if cell < 100 else f"{cell:,.0f}" for cell in cells))
        self.console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=list(_CASES), action="append", help="only this one; may be given again")
    parser.add_argument("--quick", action="store_true", help="small files, once: shows that it works, measures nothing")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per side")
    parser.add_argument("--no-peers", action="store_true", help="Parley alone")
    told = parser.parse_args(arguments)
    console = Console(width=110, highlight=False)
    console.print(f"{os.cpu_count()} CPUs, load before the run {os.getloadavg()[0]:.1f}; above 0.5 times are noise")
    sizes = _QUICK if told.quick else _Sizes(rounds=told.rounds)
    with TemporaryDirectory(prefix="parley-imports-") as folder:
        bench = _Bench(Path(folder), sizes, console, has_peers=not told.no_peers)
        for case in told.case or _CASES:
            _CASES[case](bench)


def _csv(bench: _Bench) -> None:
    """A table against those who are known for tables."""
    path, rows = bench.folder / "orders.csv", bench.sizes.rows
    dirty = write_csv(path, rows)
    size = path.stat().st_size / 1e6
    title = f"CSV, {rows:,} rows of 12 columns, {size:.0f} MB, {dirty:,} of them dirty"
    _check(bench.compare(title, "csv", path, rows, _TABLE_PEERS), good=rows - dirty, rest=dirty)


def _memory(bench: _Bench) -> None:
    """Memory as files grow; the output is thrown away."""
    lines = {}
    for megabytes in (bench.sizes.small_mb, bench.sizes.large_mb):
        path = bench.folder / "large.csv"
        rows = write_large_csv(path, megabytes * 1_000_000)
        lines[f"{megabytes:,} MB"] = rows, _run("parley", "csv", path, _NOWHERE, [])
        path.unlink()
    bench.show("CSV as it grows", lines)


def _json(bench: _Bench) -> None:
    path = bench.folder / "nested.json"
    rows = write_json(path, bench.sizes.json_mb * 1_000_000)
    _check(bench.compare(f"nested JSON, {bench.sizes.json_mb} MB", "json", path, rows, {}), good=rows, rest=0)


def _xlsx(bench: _Bench) -> None:
    path, rows = bench.folder / "sheet.xlsx", bench.sizes.xlsx_rows
    write_xlsx(path, rows)
    _check(bench.compare(f"xlsx, {rows:,} rows of 12 columns", "xlsx", path, rows, {}), good=rows, rest=0)


def _pdf(bench: _Bench) -> None:
    """The text of a document against those who read PDF in Python."""
    path, pages = bench.folder / "book.pdf", bench.sizes.pages
    words = write_pdf(path, pages)
    title = f"PDF, {pages} pages, {words:,} words"
    _check(bench.compare(title, "pdf", path, pages, _PDF_PEERS), good=pages, rest=words)


_CASES: dict[str, Callable[[_Bench], None]] = {
    "csv": _csv,
    "memory": _memory,
    "json": _json,
    "xlsx": _xlsx,
    "pdf": _pdf,
}


def _check(found: Mapping[str, Run], *, good: int, rest: int) -> None:
    """A side that does not do the work has nothing to be measured."""
    ours = found["parley"]
    if (ours["good"], ours["rest"]) != (good, rest):
        message = f"Parley made {ours['good']} and {ours['rest']} of what are {good} and {rest}"
        raise SystemExit(message)


def _run(side: str, kind: str, path: Path, folder: Path, packages: Sequence[str]) -> Run:
    command = [sys.executable, _SIDE]
    if side != "parley":
        given = [part for package in packages for part in ("--with", package)]
        command = ["uv", "run", "--quiet", "--no-project", "--python", sys.executable, *given, "python", _SIDE]
    limits = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "ARROW_NUM_THREADS"), "1")
    environment = {**os.environ, **limits, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    # Both sides have their bytecode from the first round on, as a package that is deployed has it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [*command, side, kind, str(path), str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"{side} failed: {done.stderr[-2_000:]}"
        raise SystemExit(message)
    found: Run = json.loads(done.stdout.splitlines()[-1])
    return found


def _middle(runs: Sequence[Run]) -> Run:
    return {key: median(run[key] for run in runs) for key in runs[0]}


if __name__ == "__main__":
    main()
