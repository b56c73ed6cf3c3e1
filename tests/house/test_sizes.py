"""Small files, small functions, names that say something."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.project import is_test, named, python_files, tracked_files

_MAX_FILE = {False: 400, True: 600}  # lines, by whether it is a test
_MAX_FUNCTION = {False: 40, True: 80}  # lines without the docstring
_EMPTY_WORDS = {"util", "utils", "helper", "helpers", "common", "manager", "base", "misc"}


def test_no_python_file_is_long() -> None:
    lengths = {path: len(text.splitlines()) for path, text in python_files().items()}
    assert not {named(path): lines for path, lines in lengths.items() if lines > _MAX_FILE[is_test(path)]}


def test_no_function_is_long() -> None:
    too_long = {
        f"{named(path)}:{function.lineno} {function.name}": lines
        for path, function in _functions()
        if (lines := _length(function)) > _MAX_FUNCTION[is_test(path)]
    }
    assert not too_long


def _functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, text in python_files().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield path, node


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def test_no_file_and_no_folder_has_a_name_that_says_nothing() -> None:
    nameless = [
        named(path) for path in tracked_files() if _EMPTY_WORDS & set(re.split(r"[^a-z0-9]+", named(path).lower()))
    ]
    assert not nameless


def test_no_class_has_a_name_that_says_nothing() -> None:
    nameless = [
        f"{named(path)} {node.name}"
        for path, text in python_files().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        and _EMPTY_WORDS & {word.lower() for word in re.findall(r"[A-Z][a-z]+", node.name)}
    ]
    assert not nameless


def test_every_module_says_its_one_job() -> None:
    silent = [
        named(path)
        for path, text in python_files().items()
        if text.strip() and ast.get_docstring(ast.parse(text)) is None and not is_test(path)
    ]
    assert not silent
