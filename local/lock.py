"""Compiles every lock file of the project from the dependency groups of pyproject.toml.

`python -m local.lock` writes them with uv; `python -m local.lock --check` says, without a network, whether they still
belong to the groups: each carries the groups' hash in its first line.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

_ROOT = Path(__file__).resolve().parent.parent
_PROJECT_LOCK = _ROOT / "requirements.lock"
_PROJECT_GROUPS = ("core", "store", "jose", "agent", "importer", "ops", "dev")
_LAYERS = ("core", "store", "jose", "agent", "importer")  # in this order: a layer needs those before it
_TOOLS = ("setup", "sam", "ministack")

type Pins = dict[str, str]
"""Package name to the lines that pin it, hashes and comments included."""


def main() -> int:
    """Write the lock files, or check them."""
    parser = argparse.ArgumentParser(prog="python -m local.lock", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    parser.add_argument("--upgrade", action="store_true", help="take the newest version of everything")
    given = parser.parse_args()
    if given.check:
        return _check()
    _write(is_upgrade=given.upgrade)
    return 0


def _lock_files() -> list[Path]:
    layers = [_layer_file(room) for room in _LAYERS]
    tools = [_tool_file(tool) for tool in _TOOLS]
    return [_PROJECT_LOCK, *layers, *tools]


def _layer_file(room: str) -> Path:
    return _ROOT / "layers" / room / "requirements.txt"


def _tool_file(tool: str) -> Path:
    return _ROOT / "local" / f"{tool}.lock"


def _groups_hash() -> str:
    groups = tomllib.loads((_ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return hashlib.sha256(json.dumps(groups, sort_keys=True).encode()).hexdigest()


def _header() -> str:
    return f"# Written by `make lock` from the dependency groups of pyproject.toml: {_groups_hash()}\n"


def _check() -> int:
    stale = [path for path in _lock_files() if not path.exists() or not path.read_text().startswith(_header())]
    for path in stale:
        print(f"{path.relative_to(_ROOT)} does not belong to pyproject.toml's groups: run `make lock`", file=sys.stderr)
    return 1 if stale else 0


def _write(*, is_upgrade: bool) -> None:
    # Without an upgrade, what is locked stays locked while its group still allows it.
    _save(_PROJECT_LOCK, _compile(_PROJECT_GROUPS, previous=None if is_upgrade else _PROJECT_LOCK))
    shared: Pins = {}
    for room in _LAYERS:
        pins = _compile((room,), constraint=_PROJECT_LOCK)
        # Layers merge into one folder: what a layer brings, no later layer brings again.
        _save(_layer_file(room), {name: lines for name, lines in pins.items() if name not in shared})
        shared |= pins
    for tool in _TOOLS:
        _save(_tool_file(tool), _compile((f"tool-{tool}",), previous=None if is_upgrade else _tool_file(tool)))


def _compile(groups: tuple[str, ...], *, constraint: Path | None = None, previous: Path | None = None) -> Pins:
    command = ["uv", "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.13"]
    command += ["--generate-hashes", "--no-header", "--annotation-style", "line", "--quiet"]
    for group in groups:
        command += ["--group", group]
    if constraint:
        command += ["--constraint", str(constraint)]
    # This machine's mirrors and wheel folders are nobody else's, and must not be written into a lock.
    command += ["--no-config", "--no-emit-index-url", "--no-emit-find-links"]
    environment = {name: value for name, value in os.environ.items() if not re.match("UV_.*(INDEX|FIND_LINKS)", name)}
    with TemporaryDirectory() as folder:
        output = Path(folder) / "lock"
        if previous and previous.exists():
            shutil.copy(previous, output)
        subprocess.run([*command, "--output-file", str(output)], cwd=_ROOT, env=environment, check=True)
        return _pins(output.read_text())


def _pins(compiled: str) -> Pins:
    pins: Pins = {}
    name = ""
    for line in compiled.splitlines(keepends=True):
        if line.startswith("#"):
            continue
        if started := re.match(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?==", line):
            name = started[1]
        pins[name] = pins.get(name, "") + line
    return pins


def _save(path: Path, pins: Pins) -> None:
    text = _header() + "".join(pins.values())
    if not path.exists() or path.read_text() != text:  # a newer file makes everything that depends on it again
        path.write_text(text)
    print(f"{path.relative_to(_ROOT)}: {len(pins)} packages")


if __name__ == "__main__":
    sys.exit(main())
