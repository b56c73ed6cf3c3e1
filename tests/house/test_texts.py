"""What the tracked files say: docs whose commands exist, events that tests use, nothing of one machine."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.house.project import ROOT, is_test, named, python_files, tracked_files, tracked_texts

_DOCS = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md", "benchmarks/README.md")
_LOCKS = ("requirements.lock", "layers/*/requirements.txt", "local/*.lock")
_EVENTS = sorted((ROOT / "events").glob("*/*.json"))
# Put together here, so that this file does not contain what it forbids.
_HOSTS = tuple("".join(parts) for parts in (("pypi", ".org"), ("files.python", "hosted"), ("registry.npm", "js")))
_MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:work|root|home/\w+)/")
_LEFT_OVER = re.compile(rf"\b(?:{'TO' + 'DO'}|{'FIX' + 'ME'})\b")
_HASHED = re.compile(r"^[\w.\[\],-]+==\S+ .*--hash=sha256:[0-9a-f]{64}")
_FENCED = re.compile(r"^ *```\w*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_MAKE = re.compile(r"\bmake +([a-z][\w-]*)((?: +[A-Z_]+=)*)")


def test_nothing_is_left_to_do_in_a_comment() -> None:
    assert not _lines_with(_LEFT_OVER)


def test_no_file_names_a_package_registry() -> None:
    assert not _lines_with(re.compile("|".join(re.escape(host) for host in _HOSTS)))


def test_no_file_names_a_path_of_one_machine() -> None:
    assert not _lines_with(_MACHINE_PATH)


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{named(path)}:{number} {line.strip()[:100]}"
        for path, text in tracked_texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_every_pin_of_every_lock_file_has_its_hash() -> None:
    locks = [path for pattern in _LOCKS for path in sorted(ROOT.glob(pattern))]
    assert len(locks) >= len(_LOCKS)
    assert not [f"{named(path)} {pin[:60]}" for path in locks for pin in _pins(path) if not _HASHED.search(pin)]


def _pins(path: Path) -> list[str]:
    """A lock file's requirements, each with its hashes on one line."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith(("#", " "))]


@pytest.mark.parametrize("name", _DOCS)
def test_a_document_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 200


def _documents() -> dict[Path, str]:
    return {path: text for path, text in tracked_texts().items() if path.suffix == ".md"}


def _code() -> list[tuple[str, str]]:
    """Each piece of code in a document, with the document's name."""
    found = []
    for path, text in _documents().items():
        found += [(named(path), block) for block in _FENCED.findall(text)]
        found += [(named(path), piece) for piece in _INLINE.findall(_FENCED.sub("", text))]
    return found


def test_every_make_command_in_the_docs_is_a_target_that_takes_its_variables() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    commands = [(where, found) for where, code in _code() for found in _MAKE.finditer(code)]
    assert commands
    wrong = []
    for where, found in commands:
        variables = re.findall(r"[A-Z_]+(?==)", found.string[found.start() : found.string.find("\n", found.start())])
        unknown = [name for name in variables if not re.search(rf"\b{name}\b", makefile)]
        if found[1] not in targets or unknown:
            wrong.append(f"{where}: {found[0]} {unknown}")
    assert not wrong


def test_every_python_command_in_the_docs_exists() -> None:
    modules = {(where, name) for where, code in _code() for name in re.findall(r"\bpython3? -m ([\w.]+)", code)}
    scripts = {(where, name) for where, code in _code() for name in re.findall(r"\bpython3? ([\w./-]+\.py)\b", code)}
    assert modules | scripts
    assert not [(where, name) for where, name in sorted(modules) if not _is_module(name)]
    assert not [(where, name) for where, name in sorted(scripts) if not (ROOT / name).is_file()]


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_every_link_between_the_docs_leads_somewhere() -> None:
    broken = [
        f"{named(path)}: {link}"
        for path, text in _documents().items()
        for link in re.findall(r"\]\((?!\w+:)([^)#\s]+)", _FENCED.sub("", text))
        if not (path.parent / link).exists()
    ]
    assert not broken


def test_there_are_events() -> None:
    assert _EVENTS
    assert set(_EVENTS) <= set(tracked_files())


@pytest.mark.parametrize("path", _EVENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_event_is_json_and_a_test_uses_it(path: Path) -> None:
    assert isinstance(json.loads(path.read_text()), dict)
    quoted = re.compile(rf"""["'/]{path.stem}(?:\.json)?["']""")
    users = [test for test, text in python_files().items() if is_test(test) and quoted.search(text)]
    assert users, f"no test names {named(path)}"
