"""The list of cases, read from the tests themselves."""

import ast
from pathlib import Path

from tests.contract.platform import load, names

_HERE = Path(__file__).parent


def title_of(function: str) -> str:
    """A test's name as a sentence; `_s_` is an apostrophe."""
    return function.removeprefix("test_").replace("_s_", "'s_").replace("_", " ")


def groups() -> dict[str, list[str]]:
    """The titles of all cases, by what they are about."""
    found: dict[str, list[str]] = {}
    for path in sorted(_HERE.glob("test_of_*.py")):
        tests = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        titles = [title_of(node.name) for node in tests if node.name.startswith("test_")]
        found[path.stem.removeprefix("test_of_").replace("_", " ")] = titles
    return found


def listing() -> str:
    """The cases as people read them, each with the platforms that cannot have it and why."""
    cannot = {name: load(name).cannot for name in names()}
    lines: list[str] = []
    for group, titles in groups().items():
        lines.append(group)
        for title in titles:
            lines.append(f"  {title}")
            lines += [f"    not {name}: {reasons[title]}" for name, reasons in cannot.items() if title in reasons]
    return "\n".join(lines)
