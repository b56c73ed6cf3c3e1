"""Commands of the operators' command line in the docs: each exists, with every option that is printed."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from ops.__main__ import app
from tests.house.project import ROOT

_ARGUMENTS = re.compile(r'^\s*make ops ARGS="([^"]*)"', re.MULTILINE)
_PRINTED = [
    (name, arguments)
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
    for arguments in _ARGUMENTS.findall((ROOT / name).read_text(encoding="utf-8"))
]


def test_the_docs_print_some() -> None:
    assert len(_PRINTED) >= 8


@pytest.mark.parametrize(("document", "arguments"), _PRINTED)
def test_a_printed_command_is_understood(document: str, arguments: str) -> None:
    words = [word for word in shlex.split(arguments) if word != "--help"]
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, (document, result.output)
