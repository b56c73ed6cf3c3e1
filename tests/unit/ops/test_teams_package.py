"""The app package for Teams: what its schema asks of the manifest and the icons."""

import json
import struct
import zlib
from pathlib import Path
from zipfile import ZipFile

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from ops.__main__ import app

_APP_ID = "00000000-0000-4000-8000-00000000b001"
_API = "https://abc.execute-api.eu-central-1.amazonaws.com"
_GUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_HTTPS = {"type": "string", "maxLength": 2048, "pattern": "^https://[^ ]+[.][^ ]+$"}
_SCOPES = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": ["personal", "team", "groupChat"]}}


def _text(longest: int) -> dict[str, object]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _object(properties: dict[str, object], *required: str) -> dict[str, object]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


_COMMAND = _object({"title": _text(32), "description": _text(128)}, "title", "description")
# What Microsoft's schema 1.22 says of the fields that we use, in our words; a field that we add is to be added here.
_SCHEMA = _object(
    {
        "$schema": {"const": "https://developer.microsoft.com/json-schemas/teams/v1.22/MicrosoftTeams.schema.json"},
        "manifestVersion": {"const": "1.22"},
        "version": {"type": "string", "pattern": "^[0-9]+[.][0-9]+[.][0-9]+$"},
        "id": _GUID,
        "developer": _object(
            {"name": _text(32), "websiteUrl": _HTTPS, "privacyUrl": _HTTPS, "termsOfUseUrl": _HTTPS},
            *("name", "websiteUrl", "privacyUrl", "termsOfUseUrl"),
        ),
        "name": _object({"short": _text(30), "full": _text(100)}, "short", "full"),
        "description": _object({"short": _text(80), "full": _text(4000)}, "short", "full"),
        "icons": _object({"color": _text(2048), "outline": _text(2048)}, "color", "outline"),
        "accentColor": {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"},
        "bots": {
            "type": "array",
            "maxItems": 1,
            "items": _object(
                {
                    "botId": _GUID,
                    "scopes": _SCOPES,
                    "isNotificationOnly": {"type": "boolean"},
                    "supportsFiles": {"type": "boolean"},
                    "commandLists": {
                        "type": "array",
                        "maxItems": 3,
                        "items": _object(
                            {"scopes": _SCOPES, "commands": {"type": "array", "maxItems": 10, "items": _COMMAND}},
                            *("scopes", "commands"),
                        ),
                    },
                },
                *("botId", "scopes"),
            ),
        },
        "permissions": {"type": "array", "items": {"enum": ["identity", "messageTeamMembers"]}},
        "validDomains": {"type": "array", "maxItems": 16, "items": _text(2048)},
    },
    *("manifestVersion", "version", "id", "developer", "name", "description", "icons", "accentColor"),
)


def _write(place: Path, *arguments: str) -> dict[str, bytes]:
    package = place / "app.zip"
    given = ["teams", "package", "--app-id", _APP_ID.upper(), "--url", _API, "--output", str(package), *arguments]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    with ZipFile(package) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_the_manifest_is_what_its_schema_asks_for(tmp_path: Path) -> None:
    files = _write(tmp_path)
    manifest = json.loads(files["manifest.json"])
    jsonschema_rs.validator_for(_SCHEMA).validate(manifest)
    assert manifest["id"] == manifest["bots"][0]["botId"] == _APP_ID
    assert manifest["validDomains"] == [_API.removeprefix("https://")]
    assert set(manifest["icons"].values()) == set(files) - {"manifest.json"}
    assert "YOUR" not in files["manifest.json"].decode()


@pytest.mark.parametrize(("name", "size"), [("color.png", 192), ("outline.png", 32)])
def test_the_icons_are_pictures_of_the_sizes_that_teams_wants(tmp_path: Path, name: str, size: int) -> None:
    content = _write(tmp_path)[name]
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (size, size)
    length = struct.unpack(">I", content[33:37])[0]
    pixels = zlib.decompress(content[41 : 41 + length])
    assert len(pixels) == size * (1 + 4 * size)
    assert len(set(pixels)) > 1


def test_the_same_package_comes_out_the_same(tmp_path: Path) -> None:
    _write(tmp_path)
    first = (tmp_path / "app.zip").read_bytes()
    _write(tmp_path)
    assert (tmp_path / "app.zip").read_bytes() == first


@pytest.mark.parametrize("wrong", [["--app-id", "my-app"], ["--url", "http://plain.example"], ["--url", "nothing"]])
def test_what_teams_would_refuse_is_refused_here(tmp_path: Path, wrong: list[str]) -> None:
    given = ["teams", "package", "--app-id", _APP_ID, "--url", _API, "--output", str(tmp_path / "app.zip"), *wrong]
    assert CliRunner().invoke(app, given).exit_code == 2
    assert not list(tmp_path.iterdir())
