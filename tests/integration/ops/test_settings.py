"""AI configurations from the command line: as files, in an editor, refused with the place that is wrong."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from core.configuration import ThirdPartyTool
from core.store import Store
from tests.integration.ops.conftest import CommandLine

OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "CRM", "version": "1"},
    "servers": [{"url": "https://crm.example.com/v1"}],
    "paths": {
        "/customers": {
            "get": {
                "operationId": "findCustomers",
                "parameters": [{"name": "name", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "found"}},
            }
        }
    },
}
YAML = """
name: Support
model: gpt-5-mini
apiKind: chat
temperature: 0.2
prompt: |
  You help {person} of {company}.

  Answer with yes or no.
tools:
  - name: leave
    type: ACTION_FLOW
    description: Asks for leave.
    arn: arn:aws:lambda:eu-central-1:123456789012:function:leave
    parameters:
      type: object
      properties:
        country: {type: string, enum: [NO, yes, 2026-01-31]}
  - name: crm
    type: TPA
    description: Customers.
    openapi: as-stored
limits:
  maxSteps: 5
  maxTurnCost: 0.05
"""


@pytest.fixture
def openapi(tmp_path: Path) -> Path:
    path = tmp_path / "crm.json"
    path.write_text(json.dumps(OPENAPI))
    return path


@pytest.fixture
def ready(acme: CommandLine, openapi: Path) -> CommandLine:
    """A stack whose company has a first version."""
    acme.done("settings", "set", "-", "--company", "acme", "--openapi", f"crm={openapi}", typed=YAML)
    return acme


def changed(old: str, new: str) -> str:
    assert old in YAML
    return YAML.replace(old, new)


def test_settings_from_the_standard_input_are_stored_whole(ready: CommandLine, store: Store) -> None:
    stored = store.directory.current_settings("acme")
    assert stored is not None
    assert (stored.version, stored.name, stored.temperature, stored.limits.max_steps) == (1, "Support", 0.2, 5)
    assert str(stored.limits.max_turn_cost) == "0.05"
    assert stored.prompt == "You help {person} of {company}.\n\nAnswer with yes or no.\n"
    leave, crm = stored.tools
    assert isinstance(crm, ThirdPartyTool)
    assert crm.openapi == OPENAPI
    assert leave.model_dump()["parameters"]["properties"]["country"]["enum"] == ["NO", "yes", "2026-01-31"]


def test_what_is_shown_can_be_set_again_and_changes_nothing(ready: CommandLine, tmp_path: Path) -> None:
    for options in ((), ("--full",)):
        shown = ready.done("settings", "show", "--company", "acme", *options)
        assert ("as-stored" in shown.out) is (not options)
        assert "prompt: |\n  You help" in shown.out
        assert "version 1" in shown.err
        path = tmp_path / "shown.yaml"
        path.write_text(shown.out)
        assert "stays version 1" in ready.done("settings", "set", str(path), "--company", "acme").out


def test_a_json_file_is_taken_too(ready: CommandLine, tmp_path: Path, store: Store) -> None:
    shown = ready.done("settings", "show", "--company", "acme", "--json").json
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({**shown, "name": "Renamed", "version": 17, "companyId": "other"}))
    ready.done("settings", "set", str(path), "--company", "acme")
    stored = store.directory.current_settings("acme")
    assert stored is not None
    assert (stored.name, stored.version, stored.company_id) == ("Renamed", 2, "acme")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("model: gpt-5-mini", "modle: gpt-5-mini", "modle: there is no such setting\n  model: Field required"),
        ("maxSteps: 5", "maxSteps: 0", "limits.maxSteps: Input should be greater than or equal to 1"),
        ("maxSteps: 5", "maxStep: 5", "limits.maxStep: there is no such limit"),
        ("type: TPA", "type: SQL", "tools[1]: Input tag 'SQL'"),
        ("name: leave", "name: crm", "tools[1].name: there is another tool 'crm'"),
        ("openapi: as-stored", "openapi: as-stored\n    baseUrl: https://10.0.0.1", "tools[1].openapi: "),
        ("limits:", "  - {name: wiki, type: MCP, description: W, url: 'https://a@b'}\nlimits:", "tools[2].url: "),
        ("arn:aws:lambda", "arn:aws:s3", "tools[0].arn: String should match"),
        ("    description: Customers.\n", "", "tools[1].description: Field required"),
        ("      type: object\n      prop", "      type: array\n      prop", "tools[0].parameters: "),
        ("    type: TPA\n", "    type: TPA\n    operations: [nothing]\n", "tools[1].openapi: "),
        ("apiKind: chat", "apiKind: chat\noutputConfiguration: {type: 3}", "outputConfiguration: "),
        ("temperature: 0.2", "temperature: [", "is not YAML or JSON"),
        ("temperature: 0.2", "temperature: !!timestamp 2026-01-31", "is not YAML or JSON"),
        ("temperature: 0.2", "temperature: !!python/object:os.system 1", "is not YAML or JSON"),
        ("temperature: 0.2", "temperature: &a 1\nx: *a", "anchors and aliases are not read"),
    ],
)
def test_what_is_wrong_is_refused_by_its_place(
    ready: CommandLine, store: Store, old: str, new: str, message: str
) -> None:
    ran = ready("settings", "set", "-", "--company", "acme", typed=changed(old, new))
    assert ran.code == 1
    assert message in ran.err
    current = store.directory.current_settings("acme")
    assert current is not None
    assert current.version == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("set", "/nowhere.yaml"), "cannot read /nowhere.yaml"),
        (("set", "-", "--openapi", "nobody=x.json"), "no tool 'nobody'"),
        (("set", "-", "--openapi", "crm=/nowhere.json"), "cannot read the file"),
        (("show", "sales"), "acme has no settings 'sales'"),
        (("show", "--version", "9"), "acme has no version 9 of the settings 'default'"),
        (("rollback", "9"), "have no version 9"),
    ],
)
def test_what_is_not_there_is_named(ready: CommandLine, arguments: tuple[str, ...], message: str) -> None:
    ran = ready("settings", *arguments, "--company", "acme", typed=YAML)
    assert ran.code == 1
    assert message in ran.err


def test_an_openapi_document_that_was_never_given_is_missed(acme: CommandLine) -> None:
    ran = acme("settings", "set", "-", "--company", "acme", typed=YAML)
    assert ran.code == 1
    assert "tools[1].openapi: no document of this tool is stored yet" in ran.err


def test_versions_are_listed_compared_and_gone_back_to(ready: CommandLine) -> None:
    ready.done("settings", "set", "-", "--company", "acme", typed=changed("maxSteps: 5", "maxSteps: 6"))
    assert [row[0] for row in ready.done("settings", "versions", "--company", "acme").rows] == ["2", "1"]
    diff = ready.done("settings", "diff", "1", "--company", "acme").out.splitlines()
    assert diff[:2] == ["--- default v1", "+++ default v2"]
    assert [line for line in diff[2:] if line[0] in "+-"] == ["-  maxSteps: 5", "+  maxSteps: 6"]
    assert "version 3 now" in ready.done("settings", "rollback", "1", "--company", "acme").out
    assert "say the same" in ready.done("settings", "diff", "1", "3", "--company", "acme").err


def test_settings_are_listed(ready: CommandLine) -> None:
    text = YAML[: YAML.index("tools:")]
    ready.done("settings", "set", "-", "--id", "sales", "--company", "acme", typed=text)
    rows = ready.done("settings", "list", "--company", "acme").rows
    assert [row[:5] for row in rows] == [
        ["default", "1", "Support", "gpt-5-mini", "2"],
        ["sales", "1", "Support", "gpt-5-mini", "0"],
    ]


def test_a_company_without_settings_says_what_answers(acme: CommandLine) -> None:
    assert "the default prompt answer" in acme.done("settings", "list", "--company", "acme").err


def set_editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *steps: tuple[str, str]) -> None:
    """An editor that replaces one text with another, each time the next pair."""
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    script = tmp_path / "editor.py"
    script.write_text(
        "import json, pathlib, sys\n"
        f"steps = pathlib.Path({str(tmp_path / 'steps.json')!r})\n"
        "[[old, new], *rest] = json.loads(steps.read_text())\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "assert file.suffix == '.yaml' and old in file.read_text()\n"
        "file.write_text(file.read_text().replace(old, new))\n"
        "steps.write_text(json.dumps(rest))\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")


def test_an_edit_is_stored_as_the_next_version(
    ready: CommandLine, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_editor(monkeypatch, tmp_path, ("maxSteps: 5", "maxSteps: 7"))
    assert "version 2 now" in ready.done("settings", "edit", "--company", "acme").out
    stored: Any = store.directory.current_settings("acme")
    assert (stored.limits.max_steps, stored.tools[1].openapi) == (7, OPENAPI)


def test_a_wrong_edit_is_shown_again_and_kept(
    ready: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_editor(monkeypatch, tmp_path, ("maxSteps: 5", "maxSteps: 0"), ("maxSteps: 0", "maxSteps: 8"))
    ran = ready.done("settings", "edit", "--company", "acme", typed="y\n")
    assert "limits.maxSteps" in ran.err
    assert "version 2 now" in ran.out
    set_editor(monkeypatch, tmp_path, ("maxSteps: 8", "maxSteps: 0"))
    refused = ready("settings", "edit", "--company", "acme", typed="n\n")
    assert refused.code == 1
    kept = Path(refused.err.rsplit(" ", 1)[1].strip())
    assert "maxSteps: 0" in kept.read_text()
    kept.unlink()


def test_a_first_edit_begins_with_the_default_prompt(
    acme: CommandLine, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_editor(monkeypatch, tmp_path, ("name: Default", "name: Ours"))
    acme.done("settings", "edit", "--company", "acme")
    stored = store.directory.current_settings("acme")
    assert stored is not None
    assert stored.name == "Ours"
    assert stored.prompt == Path("layers/agent/agent/prompts/default.md").read_text()


def test_an_edit_that_changes_nothing_stores_nothing(
    ready: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_editor(monkeypatch, tmp_path, ("maxSteps: 5", "maxSteps: 5"))
    assert "nothing was changed" in ready.done("settings", "edit", "--company", "acme").err
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    assert "set EDITOR" in ready("settings", "edit", "--company", "acme").err
