"""AI configurations as operators write them: YAML (or JSON, which is YAML, too), checked before they are stored."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # its types are a package of their own
from pydantic import ValidationError

from core.configuration import ActionFlowTool, Limits, McpTool, Settings, ThirdPartyTool
from core.errors import PermanentError
from core.models import ApiKind
from core.outside import OutsideHttp
from ops import PROJECT

type Document = dict[str, Any]  # JSON

_AS_STORED = "as-stored"  # stands for an OpenAPI document that the version before has under the same tool
_GIVEN_BY_US = frozenset({"id", "companyId", "version", "createdAt"})
_TOOL_TYPES = ("ACTION_FLOW", "TPA", "MCP", "AI", "OBTAIN_MORE_INFORMATION/")  # how pydantic's names of them begin
_DEFAULT_PROMPT = PROJECT / "layers" / "agent" / "agent" / "prompts" / "default.md"
_WRONG = "settings-invalid"


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # untyped, as above
    """Reads what JSON can say, too: no times, no truth in `yes` and `no`, no anchors, which can make a file explode."""

    def compose_node(self, parent: object, index: object) -> object:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not read: write it out")
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if not each[0].endswith((":timestamp", ":bool", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), "tf")


class _Dumper(yaml.SafeDumper):  # type: ignore[misc] # untyped, as above
    """Writes texts of several lines as such."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - as PyYAML calls it
        return True


def _write_text(dumper: _Dumper, text: str) -> object:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _write_text)


def to_document(settings: Settings, *, is_full: bool) -> Document:
    """What an operator may change, under its stored names; OpenAPI documents only where it is to be full."""
    plain = settings.model_dump(mode="json", by_alias=True)
    document = {name: value for name, value in plain.items() if name not in _GIVEN_BY_US}
    document["tools"] = [{name: value for name, value in tool.items() if value is not None} for tool in plain["tools"]]
    for tool in document["tools"]:
        if "openapi" in tool and not is_full:
            tool["openapi"] = _AS_STORED
    return document


def to_text(document: Document) -> str:
    """A document as YAML."""
    text: str = yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)
    return text


def starting_document() -> Document:
    """What the first version may begin with: every field, and the prompt that companies without settings have."""
    starting = Settings(
        id="default",
        company_id="-",
        version=1,
        name="Default",
        model="gpt-6.1-terra",
        api_kind=ApiKind.RESPONSES,
        prompt=_DEFAULT_PROMPT.read_text(encoding="utf-8"),
        created_at=datetime.fromtimestamp(0, UTC),
    )
    return to_document(starting, is_full=True)


def read_text(text: str, source: str) -> Document:
    """The document in a text.

    Raises:
        PermanentError: It is neither YAML nor JSON, or no map of names.
    """
    try:
        read = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
        if not isinstance(read, dict):
            raise PermanentError(_WRONG, f"{source} does not hold names with values")
        document: Document = json.loads(json.dumps(read))  # keys such as 200 become texts, as in JSON
    except (TypeError, ValueError, RecursionError, yaml.YAMLError) as exc:
        raise PermanentError(_WRONG, f"{source} is not YAML or JSON: {exc}") from None
    return document


def read_openapi(document: Document, given: Sequence[str]) -> None:
    """Put OpenAPI documents into tools, by `NAME=FILE`.

    Raises:
        PermanentError: There is no such tool or no such file.
    """
    tools = {tool.get("name"): tool for tool in document.get("tools") or () if isinstance(tool, dict)}
    for assignment in given:
        name, _, file = assignment.partition("=")
        if name not in tools:
            raise PermanentError(_WRONG, f"--openapi {assignment}: the settings have no tool {name!r}")
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise PermanentError(_WRONG, f"--openapi {assignment}: cannot read the file: {exc}") from None
        tools[name]["openapi"] = read_text(text, file)


def to_settings(
    document: Document,
    *,
    settings_id: str,
    company_id: str,
    current: Settings | None,
    now: datetime,
    insecure_hosts: frozenset[str] = frozenset(),
) -> Settings:
    """The next version, as `document` says; tools may be at `insecure_hosts`, too.

    Raises:
        PermanentError: It is not valid; the message names every place.
    """
    wrong = _find_unknown(document)
    given = {name: value for name, value in document.items() if name not in _GIVEN_BY_US}
    given["tools"] = _fill_in_stored(given.get("tools") or [], current)
    version = current.version + 1 if current else 1
    ours = {"id": settings_id, "companyId": company_id, "version": version, "createdAt": now}
    try:
        settings = Settings.model_validate({**given, **ours})
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_context=False)
        wrong += [f"{_name_place(error['loc'])}: {_explain(error['input'], error['msg'])}" for error in found]
    else:
        wrong += _find_unusable(settings, insecure_hosts)
    if wrong:
        raise PermanentError(_WRONG, "the settings were not stored:" + "".join(f"\n  {line}" for line in wrong))
    return settings


def _find_unknown(document: Mapping[str, Any]) -> list[str]:
    """Names that mean nothing; the values themselves would overlook them."""
    known = {field.alias for field in Settings.model_fields.values()}
    unknown = [f"{name}: there is no such setting" for name in document if name not in known]
    limits = document.get("limits")
    if isinstance(limits, dict):
        known_limits = {field.alias for field in Limits.model_fields.values()}
        unknown += [f"limits.{name}: there is no such limit" for name in limits if name not in known_limits]
    return unknown


def _fill_in_stored(tools: object, current: Settings | None) -> object:
    """The tools, with the OpenAPI documents that they keep."""
    stored = {
        tool.name: tool.openapi for tool in (current.tools if current else ()) if isinstance(tool, ThirdPartyTool)
    }
    if not isinstance(tools, list):
        return tools
    return [
        tool | {"openapi": stored[tool["name"]]}
        if isinstance(tool, dict) and tool.get("openapi") == _AS_STORED and tool.get("name", "") in stored
        else tool
        for tool in tools
    ]


def _explain(given: object, message: str) -> str:
    if given == _AS_STORED:
        return "no document of this tool is stored yet: give it with --openapi NAME=FILE"
    return message


def _name_place(place: Sequence[int | str]) -> str:
    steps = [step for step in place if not str(step).startswith(_TOOL_TYPES)]  # the type that was tried is in it, too
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _find_unusable(settings: Settings, insecure_hosts: frozenset[str]) -> list[str]:
    """What is well formed and yet could not be used."""
    from agent.tools.openapi import check_openapi  # the agent's room is not needed to start any other command
    from agent.tools.schema import check_schema

    outside = OutsideHttp(insecure_hosts=insecure_hosts)
    checks: dict[str, Callable[[], object]] = {}
    wrong: list[str] = []
    for number, tool in enumerate(settings.tools):
        place = f"tools[{number}]"
        if tool.name in {earlier.name for earlier in settings.tools[:number]}:
            wrong.append(f"{place}.name: there is another tool {tool.name!r}")
        match tool:
            case ActionFlowTool():
                checks[f"{place}.parameters"] = partial(check_schema, tool.parameters)
            case ThirdPartyTool():
                checks[f"{place}.openapi"] = partial(
                    check_openapi, tool.openapi, tool.operations, base_url=tool.base_url, http=outside
                )
            case McpTool():
                checks[f"{place}.url"] = partial(outside.check_url, tool.url)
    if settings.output_configuration is not None:
        checks["outputConfiguration"] = partial(check_schema, settings.output_configuration)
    for place, check in checks.items():
        try:
            check()
        except PermanentError as exc:
            wrong.append(f"{place}: {exc.message}")
    return wrong
