"""The project as these tests read it: its files, its doors, its template and what the template tells each door."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # cfn-lint brings it, without its types

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ROOT / "layers"
FUNCTIONS = ROOT / "functions"
TEMPLATE = ROOT / "template.yaml"

type Properties = dict[str, Any]
"""A part of the template. It is CloudFormation's document, not ours: each test reads the few fields it is about."""


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that is in the repository or about to be."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = tuple(sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file()))
    assert len(found) > 20, f"git lists hardly any file of {ROOT}"
    return found


@cache
def tracked_texts() -> dict[Path, str]:
    """The text of every tracked file that is text."""
    texts: dict[Path, str] = {}
    for path in tracked_files():
        try:
            texts[path] = path.read_text()
        except UnicodeDecodeError:
            continue
    return texts


def python_files() -> dict[Path, str]:
    """The text of every tracked Python file."""
    return {path: text for path, text in tracked_texts().items() if path.suffix == ".py"}


def is_test(path: Path) -> bool:
    """Whether a file belongs to the tests."""
    return path.is_relative_to(ROOT / "tests")


def named(path: Path) -> str:
    """A path as a failure should show it."""
    return str(path.relative_to(ROOT))


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # untyped, as above
    """YAML with CloudFormation's short forms (`!Ref`), which it writes out (`{"Ref": …}`)."""


def _write_out(loader: _Loader, suffix: str, node: yaml.Node) -> Properties:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _write_out)


@cache
def template() -> Properties:
    """template.yaml, with the short forms of its functions written out."""
    whole: Properties = yaml.load(TEMPLATE.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader, and our own file
    return whole


def resources(kind: str) -> dict[str, Properties]:
    """The properties of every resource of one type, by logical id."""
    found = template()["Resources"]
    return {name: resource.get("Properties", {}) for name, resource in found.items() if resource["Type"] == kind}


@dataclass(frozen=True, eq=False)
class Door:
    """A function: its folder, and what the template says of it."""

    logical_id: str
    folder: Path
    properties: Properties

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def source(self) -> ast.Module:
        """Its `app.py`, parsed."""
        return ast.parse((self.folder / "app.py").read_text())

    @property
    def layers(self) -> list[str]:
        """The logical ids of its layers, in the template's order."""
        return [layer["Ref"] for layer in self.properties.get("Layers", [])]

    @property
    def variables(self) -> Properties:
        """The variables that the template gives it, its globals included."""
        shared = template()["Globals"]["Function"].get("Environment", {}).get("Variables", {})
        return {**shared, **self.properties.get("Environment", {}).get("Variables", {})}

    def setting(self, name: str) -> Any:  # any part of CloudFormation's document
        """A property of the function, or the one of the template's globals."""
        return self.properties.get(name, template()["Globals"]["Function"].get(name))

    def environment(self) -> dict[str, str]:
        """Variables as they could be after a deployment, AWS's own included."""
        given = {name: _resolve(value, name) for name, value in self.variables.items()}
        return given | {
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        }


def _resolve(value: object, name: str) -> str:
    """What CloudFormation might put in place of a reference."""
    if not isinstance(value, dict):
        return str(value)
    if "Fn::FindInMap" in value:
        mapping, first, second = value["Fn::FindInMap"]
        return str(template()["Mappings"][mapping][first][second])
    referred = value.get("Ref", "")
    if referred in template()["Parameters"]:
        return str(template()["Parameters"][referred].get("Default", "example"))
    if name.endswith("_URL"):
        return f"https://sqs.eu-central-1.amazonaws.com/123456789012/{referred}.fifo"
    return f"example-{referred.lower()}"


@cache
def doors() -> tuple[Door, ...]:
    """Every function that the template deploys."""
    return tuple(
        Door(logical_id, (ROOT / properties["CodeUri"]).resolve(), properties)
        for logical_id, properties in resources("AWS::Serverless::Function").items()
    )
