"""The room rules as import contracts: pyproject.toml states them, import-linter checks them."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.house.project import FUNCTIONS, LAYERS, ROOT, doors, named, python_files

_CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def _contract(contract_id: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = next(contract for contract in _CONTRACTS if contract["id"] == contract_id)
    return found


def test_every_import_contract_is_kept() -> None:
    rooms = os.pathsep.join(str(room) for room in sorted(LAYERS.iterdir()) if room.is_dir())
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": rooms, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_webhook_is_bound_by_the_webhooks_contract() -> None:
    webhooks = {f"functions.{door.name}" for door in doors() if door.name.endswith("_webhook")}
    assert webhooks
    assert set(_contract("webhooks")["source_modules"]) == webhooks


def test_every_module_of_the_model_room_is_bound_by_its_contract() -> None:
    modules = {f"agent.{path.stem}" for path in (LAYERS / "agent" / "agent").glob("model*.py")}
    assert "agent.model" in modules
    assert set(_contract("model")["source_modules"]) == modules


def test_every_room_is_known_to_the_contracts() -> None:
    rooms = {room.name for room in LAYERS.iterdir() if (room / room.name).is_dir()}
    assert rooms
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert rooms | {"functions", "local", "ops"} <= set(tool["root_packages"])


def test_every_folder_of_a_room_is_a_package() -> None:
    """A folder without `__init__.py` is invisible to the contracts."""
    folders = {path.parent for path in python_files() if path.is_relative_to(LAYERS)}
    assert folders
    assert not [named(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_doors_are_not_packages() -> None:
    """Lambda imports `app` by its file; a package around it would be a module that only the tests know."""
    assert not [named(path) for path in FUNCTIONS.rglob("__init__.py")]
