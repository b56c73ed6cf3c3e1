"""Imports measured: rows a second with mapping, validation and rejects, and memory; against pandas, polars and duckdb.

`python benchmarks/imports.py` makes its files, runs every side in processes of their own that take turns, and prints
medians. Its last line is `ratio N.NN`: our rows per CPU second over those of pandas. The peers live in an environment
of their own that uv makes; `--no-peers` leaves them out.
"""

import argparse
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), *(str(_ROOT / "layers" / room) for room in ("importer", "core"))]
from benchmarks.import_data import write_csv, write_json, write_xlsx  # noqa: E402 - found from the project's root

_PEERS = {"pandas": "pandas>=2.3", "polars": "polars>=1.30", "duckdb": "duckdb>=1.4"}
_SIDE = str(_ROOT / "benchmarks" / "import_side.py")

type Run = dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the CSV file")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per side")
    parser.add_argument("--big", type=float, default=0, help="also a CSV file of so many GB, Parley alone")
    parser.add_argument("--json-mb", type=int, default=200, help="size of the nested JSON file; 0 leaves it out")
    parser.add_argument("--xlsx-rows", type=int, default=200_000, help="rows of the sheet; 0 leaves it out")
    parser.add_argument("--no-peers", action="store_true", help="Parley alone")
    told = parser.parse_args()
    console = Console(width=110, highlight=False)
    console.print(f"{os.cpu_count()} CPUs, load before the run {os.getloadavg()[0]:.1f}; above 0.5 times are noise")
    with TemporaryDirectory(prefix="parley-imports-") as name:
        folder = Path(name)
        ratio = _compare(console, folder, told)
        _alone(console, folder, told)
    if ratio:
        print(f"ratio {ratio:.2f}")


def _compare(console: Console, folder: Path, told: argparse.Namespace) -> float:
    path = folder / "orders.csv"
    dirty = write_csv(path, told.rows)
    title = f"CSV, {told.rows:,} rows of 12 columns, {path.stat().st_size / 1e6:.0f} MB, {dirty:,} of them dirty"
    sides = ["parley", *([] if told.no_peers else _PEERS)]
    runs: dict[str, list[Run]] = {side: [] for side in sides}
    for _ in range(told.rounds):
        for side in sides:
            runs[side].append(_run(side, "csv", path, folder))
    table = _table(title)
    for side in sides:
        _add(table, side, runs[side], told.rows)
    console.print(table)
    path.unlink()
    cpu = {side: median(run["cpu"] for run in runs[side]) for side in sides}
    return cpu["pandas"] / cpu["parley"] if "pandas" in cpu else 0.0


def _alone(console: Console, folder: Path, told: argparse.Namespace) -> None:
    """What no peer reads the same way: memory as files grow, nested JSON, sheets."""
    table = _table("Parley alone")
    for gigabytes in filter(None, (0.1, told.big)):
        path = folder / "big.csv"
        rows = int(gigabytes * 1e9 / 114)
        write_csv(path, rows)
        _add(table, f"CSV of {path.stat().st_size / 1e9:.1f} GB", [_run("parley", "csv", path, folder)], rows)
        path.unlink()
    if told.json_mb:
        path = folder / "nested.json"
        rows = write_json(path, told.json_mb * 1_000_000)
        _add(table, f"nested JSON of {told.json_mb} MB", [_run("parley", "json", path, folder)], rows)
        path.unlink()
    if told.xlsx_rows and find_spec("importer.readers.xlsx"):
        path = folder / "sheet.xlsx"
        write_xlsx(path, told.xlsx_rows)
        _add(table, f"xlsx of {told.xlsx_rows:,} rows", [_run("parley", "xlsx", path, folder)], told.xlsx_rows)
        path.unlink()
    console.print(table)


def _run(side: str, kind: str, path: Path, folder: Path) -> Run:
    command = [sys.executable, _SIDE]
    if side in _PEERS:
        packages = [part for peer in _PEERS.values() for part in ("--with", peer)]
        command = ["uv", "run", "--quiet", "--no-project", "--python", sys.executable, *packages, "python", _SIDE]
    limits = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "ARROW_NUM_THREADS"), "1")
    environment = {**os.environ, **limits, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*command, side, kind, str(path), str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"{side} failed: {done.stderr[-2_000:]}"
        raise SystemExit(message)
    found: Run = json.loads(done.stdout.splitlines()[-1])
    return found


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("", "rows/s of CPU", "seconds", "CPU s", "peak MB", "good", "rejected"):
        table.add_column(name, justify="right" if name else "left")
    return table


def _add(table: Table, name: str, runs: list[Run], rows: int) -> None:
    middle = {key: median(run[key] for run in runs) for key in runs[0]}
    cells = (rows / middle["cpu"], middle["seconds"], middle["cpu"], middle["memory"], middle["ok"], middle["rejected"])
    table.add_row(name, *(f"{cell:,.1f}" if cell < 100 else f"{cell:,.0f}" for cell in cells))


if __name__ == "__main__":
    main()
