"""What is deployed: built by the SAM CLI, imported with exactly its layers, small, and one version of each library."""

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from local.build import build, host_architecture
from tests.house.project import LAYERS, ROOT, Door, doors, named, resources

_MAX_BYTES = 120 * 1024 * 1024  # a function with its layers, unzipped; Lambda's own limit is 250 MB
_MAX_IMPORTER_BYTES = 200 * 1024 * 1024  # the parsers of files, DuckDB and the model's library
_UNCHECKED_HASH = b"\x01\x00\x00\x00"  # flags of bytecode that Python uses without a look at the source (PEP 552)
_PIN = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_each_door = pytest.mark.parametrize("door", doors(), ids=lambda door: door.name)
_each_layer = pytest.mark.parametrize("layer", resources("AWS::Serverless::LayerVersion"))


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of this machine's build, made again if something in it has changed."""
    return build(host_architecture()).parent


def _merged(built: Path, door: Door, place: Path) -> Path:
    """What `/opt/python` holds for a function: its layers' files, side by side."""
    place.mkdir()
    for layer in door.layers:
        for entry in (built / layer / "python").iterdir():
            (place / entry.name).symlink_to(entry)  # raises where two layers bring the same
    return place


@_each_door
def test_a_function_imports_with_exactly_its_layers(built: Path, door: Door, tmp_path: Path) -> None:
    layers = _merged(built, door, tmp_path / "python")
    started = subprocess.run(
        [sys.executable, "-S", "-B", "-W", "error", "-c", "import app; assert callable(app.handler)"],
        cwd=built / door.logical_id,
        env={**door.environment(), "PYTHONPATH": str(layers)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr


@_each_door
def test_a_function_and_its_layers_are_far_below_the_limit(built: Path, door: Door) -> None:
    sizes = {name: _bytes(built / name) for name in (door.logical_id, *door.layers)}
    total = sum(sizes.values())
    print(
        f"{door.name}: {total / 1e6:.1f} MB unzipped, { ({name: f'{size / 1e6:.1f}' for name, size in sizes.items()}) }"
    )
    assert 0 < total < (_MAX_IMPORTER_BYTES if "ImporterLayer" in door.layers else _MAX_BYTES)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@_each_layer
def test_a_layer_brings_bytecode_that_is_used_without_a_look_at_its_source(built: Path, layer: str) -> None:
    sources = list((built / layer / "python").rglob("*.py"))
    assert sources
    without = []
    for source in sources:
        bytecode = Path(importlib.util.cache_from_source(str(source)))
        if not bytecode.exists() or bytecode.read_bytes()[4:8] != _UNCHECKED_HASH:
            without.append(str(source.relative_to(built)))
    assert not without


@_each_layer
def test_a_layer_brings_the_locked_versions(built: Path, layer: str) -> None:
    locked = _pins(ROOT / "requirements.lock")
    brought = {_canonical(library.name): library.version for library in _libraries(built, layer)}
    assert brought
    assert brought.items() <= locked.items()


def test_no_two_layers_bring_the_same_library(built: Path) -> None:
    counts = Counter(
        _canonical(library.name)
        for layer in resources("AWS::Serverless::LayerVersion")
        for library in _libraries(built, layer)
    )
    assert not [name for name, count in counts.items() if count > 1]


@_each_layer
def test_a_layer_brings_its_room_without_tests_or_programs(built: Path, layer: str) -> None:
    site = built / layer / "python"
    room = layer.removesuffix("Layer").lower()
    source = LAYERS / room / room
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {path for path in wanted if not (site / room / path).is_file()} == set()
    assert not [entry for entry in ("bin", "tests", ".lock", "pip") if (site / entry).exists()]


def _libraries(built: Path, layer: str) -> list[Distribution]:
    return list(distributions(path=[str(built / layer / "python")]))


def test_a_layers_requirements_are_pins_of_the_one_lock() -> None:
    locked = _pins(ROOT / "requirements.lock")
    files = sorted(LAYERS.glob("*/requirements.txt"))
    assert len(files) == len(resources("AWS::Serverless::LayerVersion"))
    for path in files:
        pins = _pins(path)
        assert pins, named(path)
        assert pins.items() <= locked.items(), named(path)


def _pins(path: Path) -> dict[str, str]:
    return {_canonical(name): version for name, version in _PIN.findall(path.read_text())}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_layers_are_built_for_the_processor_that_the_functions_run_on(built: Path) -> None:
    wanted = {"x86_64": b"\x3e\x00", "arm64": b"\xb7\x00"}[host_architecture()]
    libraries = [path for path in built.rglob("*.so*") if path.is_file()]
    assert libraries
    # Bytes 18 and 19 of an ELF file name the machine.
    assert not [os.fspath(path) for path in libraries if path.read_bytes()[18:20] != wanted]
