"""Doors: short, without a branch, and loading nothing that their trigger does not need."""

import ast
import json
import os
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache

import pytest

from tests.house.project import FUNCTIONS, LAYERS, Door, doors

_MAX_LINES = 52  # of which the imports are a third
_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Try,
    ast.TryStar,
    ast.Match,
    ast.BoolOp,
    ast.With,
    ast.comprehension,
)
# Which door may not load what, by patterns of both names.
_FORBIDDEN = {
    "*": ["aws_xray_sdk", "moto", "slack_sdk", "slack_bolt", "pytest", "local", "ops", "tests", "requests", "aiohttp"],
    "*_webhook": [
        "openai",
        "httpx2",
        "pynamodb",
        "boto3",
        "botocore.session",
        "core.models",
        "agent",
        "importer",
        "core.store",
        "core.dead_letters",
        "core.signals",
        "core.platforms.*.adapter",
        "core.platforms.*.api",
        "core.platforms.*.format",
        "core.platforms.*.reply",
    ],
    "dead_letter_processor": ["openai", "httpx2", "agent", "importer"],
    "signal_processor": ["openai", "httpx2", "agent", "importer"],
}
_UNSIGNED_CALL = {
    "requestContext": {"http": {"method": "POST", "path": "/"}, "requestId": "one"},
    "headers": {},
    "body": "{}",
    "isBase64Encoded": False,
}
_WEBHOOKS = [door for door in doors() if door.name.endswith("_webhook")]
_each_door = pytest.mark.parametrize("door", doors(), ids=lambda door: door.name)
_each_webhook = pytest.mark.parametrize("door", _WEBHOOKS, ids=lambda door: door.name)


@_each_door
def test_a_door_is_one_short_file(door: Door) -> None:
    assert [path.name for path in door.folder.iterdir() if path.name != "__pycache__"] == ["app.py"]
    assert len((door.folder / "app.py").read_text().splitlines()) <= _MAX_LINES


@_each_door
def test_a_door_does_not_branch(door: Door) -> None:
    assert not [ast.unparse(node) for node in ast.walk(door.source) if isinstance(node, _BRANCHES)]


@_each_door
def test_a_door_names_its_trigger_and_has_a_handler(door: Door) -> None:
    assert (ast.get_docstring(door.source) or "").startswith("Door: ")
    assert "handler" in [node.name for node in door.source.body if isinstance(node, ast.FunctionDef)]
    assert door.setting("Handler") == "app.handler"


@_each_door
def test_a_door_imports_no_sibling(door: Door) -> None:
    siblings = {"functions", "app"} | {folder.name for folder in FUNCTIONS.iterdir()}
    assert not _imported(door) & siblings


def _imported(door: Door) -> set[str]:
    """The top-level names that a door imports."""
    found: set[str] = set()
    for node in ast.walk(door.source):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name.split(".")[0] for name in found}


@pytest.mark.parametrize(
    ("door", "forbidden"),
    [(door, names) for door in doors() for pattern, names in _FORBIDDEN.items() if fnmatch(door.name, pattern)],
    ids=lambda value: value.name if isinstance(value, Door) else value[0],
)
def test_a_door_does_not_load_what_it_does_not_need(door: Door, forbidden: list[str]) -> None:
    loaded = _modules_after_import(door)
    assert "app" in loaded
    assert "core.settings" in loaded
    too_many = {name for name in loaded for pattern in forbidden if fnmatch(name, pattern)}
    assert not too_many


@_each_webhook
def test_a_webhook_loads_one_platform_and_only_its_inbound_half(door: Door) -> None:
    platform = f"core.platforms.{door.name.removesuffix('_webhook')}"
    loaded = {name for name in _modules_after_import(door) if name.startswith("core.platforms.")}
    assert f"{platform}.inbound" in loaded
    assert all(name == platform or name.startswith(f"{platform}.") for name in loaded)
    assert not {name.rpartition(".")[2] for name in loaded} & {"adapter", "api", "reply", "format", "install", "files"}


@cache
def _modules_after_import(door: Door) -> frozenset[str]:
    """What a fresh interpreter has loaded once the door is imported and, for a webhook, has refused a call."""
    call = "app.handler(json.loads(sys.argv[1]), None)" if door in _WEBHOOKS else "pass"
    script = f"import app, json, sys; {call}; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    # A layer's logical id is its room's name; only the rooms that the template attaches can be imported.
    rooms = [str(LAYERS / layer.removesuffix("Layer").lower()) for layer in door.layers]
    started = subprocess.run(
        [sys.executable, "-c", script, json.dumps(_UNSIGNED_CALL)],
        cwd=door.folder,
        env={**door.environment(), "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(rooms)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    modules: list[str] = json.loads(started.stderr.splitlines()[-1])
    return frozenset(modules)
