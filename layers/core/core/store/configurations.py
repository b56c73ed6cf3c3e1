"""AI configurations as items and back: what has parts of its own is one JSON text, in S3 where it is long."""

import json
from collections.abc import Iterable

from core.configuration import Input, Settings
from core.store import keys
from core.store.items import InputItem, SettingsItem, to_stored_name
from core.store.overflow import Overflow

_SETTINGS_PARTS = ("tools", "output_configuration", "limits")
_INPUT_PARTS = ("prompts", "knowledge_base", "tools", "sub_agents", "output_configuration", "limits")


def pack_settings(settings: Settings, overflow: Overflow) -> SettingsItem:
    """The item of a version of settings; the first one is the entry of them all in the list. Long texts are in S3."""
    key = keys.settings_partition(settings.company_id, settings.id), keys.settings_place(settings.version)
    place = ("C", settings.company_id, "S", settings.id, key[1].replace("#", ""))
    texts: dict[str, str | None] = {"prompt": settings.prompt, **_write(settings, _SETTINGS_PARTS)}
    listed = {"gsi1pk": keys.settings_list_partition(settings.company_id), "gsi1sk": settings.id}
    listening = {"transcription_model": settings.transcription_model or ""}  # nothing stored means the default
    return SettingsItem.from_value(
        settings, key, **overflow.pack(place, texts), **listening, **(listed if settings.version == 1 else {})
    )


def unpack_settings(item: SettingsItem, overflow: Overflow) -> Settings:
    """The version of settings in an item."""
    read = _read(item, _SETTINGS_PARTS, overflow)
    return Settings.model_validate(read | ({"transcriptionModel": None} if item.transcription_model == "" else {}))


def pack_input(company_id: str, sha256: str, input_: Input, overflow: Overflow) -> InputItem:
    """The item of an input. Its long texts are in S3 when this returns."""
    texts = overflow.pack(("C", company_id, "K", sha256), _write(input_, _INPUT_PARTS))
    return InputItem.from_value(input_, keys.input_key(company_id, sha256), **texts)


def unpack_input(item: InputItem, overflow: Overflow) -> Input:
    """The input in an item."""
    return Input.model_validate(_read(item, _INPUT_PARTS, overflow))


def _write(value: Settings | Input, names: Iterable[str]) -> dict[str, str | None]:
    """Parts as JSON."""
    plain = value.model_dump(mode="json", by_alias=True)
    parts = {name: plain[to_stored_name(name)] for name in names}
    return {
        name: json.dumps(part, ensure_ascii=False, separators=(",", ":")) if part is not None else None
        for name, part in parts.items()
    }


def _read(item: SettingsItem | InputItem, names: Iterable[str], overflow: Overflow) -> dict[str, object]:
    stored = {to_stored_name(name): field for name, field in item.fields().items()} | overflow.unpack(item.overflow)
    parts = {name: json.loads(stored[name]) for name in map(to_stored_name, names) if name in stored}
    return {**stored, **parts}
