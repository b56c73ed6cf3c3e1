"""Messages and tasks as items and back: each text is stored once, and long ones in S3.

Three things would otherwise double the write units of a turn: a text part that repeats its message, the structured
prompt, which mostly is a piece of what the person wrote, and a task's outputs, which mostly are the reply.
"""

import json
from collections.abc import Mapping
from typing import Any

from core.models import ContentPart, ContentType, Message, Role, Task
from core.prompts import list_parts
from core.store import keys
from core.store.expiry import Expiry
from core.store.items import MessageItem, TaskItem, to_stored_name
from core.store.overflow import Overflow, Place, Pointer, mend

_MESSAGE_TEXTS = ("user_prompt", "structured_user_prompt", "llm_parsed_output")
_OUTPUTS = ("llm_raw_output", "llm_structured_output")
_TASK_TEXTS = ("llm_raw_prompt", "llm_structured_prompt", *_OUTPUTS)
_SHORT = 32  # characters; a shorter text costs no more than the note that says where it stands


class Contents:
    """Turns messages and tasks into items and items into messages and tasks. Safe to share between threads."""

    def __init__(self, overflow: Overflow) -> None:
        self._overflow = overflow

    def pack_message(self, company_id: str, message: Message, expiry: Expiry | None = None) -> MessageItem:
        """The item of a message. Its long texts are in S3 when this returns."""
        item = MessageItem.from_value(message, keys.message_key(company_id, message.id), ttl=expiry and expiry.ttl)
        texts = _Moving(self._overflow, keys.text_place(company_id, *keys.split_message_id(message.id)), expiry)
        for name in _MESSAGE_TEXTS:
            setattr(item, name, mend(getattr(message, name)))
        main = _main_text(message.role, item.structured_user_prompt, item.llm_parsed_output)
        written, structured = item.user_prompt, item.structured_user_prompt
        if written and structured and len(structured) > _SHORT and (start := written.find(structured)) >= 0:
            item.structured_user_prompt = None
            item.structured_part = f"{start}:{len(structured)}"
        texts.move_from(item, _MESSAGE_TEXTS)
        item.content = [
            texts.pack_part(part, f"content.{index}", main) for index, part in enumerate(message.content)
        ] or None
        digests = [digest.model_dump(by_alias=True, exclude_defaults=True) for digest in message.tool_digests]
        item.tool_digests = [{name: mend(text) for name, text in digest.items()} for digest in digests] or None
        item.overflow = texts.note()
        return item

    def unpack_message(self, item: MessageItem) -> Message:
        """The message in an item, its texts filled in."""
        pointers = _pointers(item)
        stored = {**item.fields(), **self._read_texts(_MESSAGE_TEXTS, pointers)}
        if item.structured_part:
            start, length = (int(number) for number in item.structured_part.split(":"))
            stored["structured_user_prompt"] = stored["user_prompt"][start : start + length]
        main = _main_text(item.role, stored.get("structured_user_prompt"), stored.get("llm_parsed_output"))
        stored["content"] = tuple(
            self._unpack_part(part, item.id, main, f"content.{index}", pointers)
            for index, part in enumerate(item.content or ())
        )
        return Message.model_validate(stored)

    def _unpack_part(
        self, part: Mapping[str, Any], message_id: str, main: str | None, name: str, pointers: Mapping[str, Pointer]
    ) -> ContentPart:
        moved = {field: pointer for field in ("text", "JSON") if (pointer := pointers.get(f"{name}.{field}"))}
        fields = {**part, **{field: self._overflow.read(pointer) for field, pointer in moved.items()}}
        if "JSON" in fields:
            fields["JSON"] = json.loads(fields["JSON"])
        if "text" not in fields and part["type"] == ContentType.TEXT:
            fields["text"] = main
        return ContentPart.model_validate({**fields, "messageId": message_id})

    def pack_task(
        self, company_id: str, task: Task, reply: Message | None = None, *, expiry: Expiry | None = None
    ) -> TaskItem:
        """The item of a task. Its long texts are in S3 when this returns; what `reply` says is not stored again."""
        item = TaskItem.from_value(task, keys.task_key(company_id, task.id), ttl=expiry and expiry.ttl)
        for name in (*_TASK_TEXTS, "error_message"):
            setattr(item, name, mend(getattr(task, name)))
        if item.llm_structured_prompt == list_parts(item.llm_raw_prompt, task.message_id):
            item.llm_structured_prompt = None  # made of the other when it is read
        said = mend(reply.llm_parsed_output) if reply else None
        if said and len(said) > _SHORT:
            same = [name for name in _OUTPUTS if getattr(item, name) == said]
            for name in same:
                setattr(item, name, None)
            item.same_as_reply = [to_stored_name(name) for name in same] or None
        below = ["T", sub] if (sub := keys.place_of_task(task.id)) else []
        place = keys.text_place(company_id, *keys.split_task_id(task.id), *below)
        texts = _Moving(self._overflow, place, expiry)
        texts.move_from(item, _TASK_TEXTS)
        item.overflow = texts.note()
        return item

    def unpack_task(self, item: TaskItem, reply: Message | None = None) -> Task:
        """The task in an item, its texts filled in; `reply` is given where the item leans on it."""
        stored = {**item.fields(), **self._read_texts(_TASK_TEXTS, _pointers(item))}
        for name in _OUTPUTS:
            if to_stored_name(name) in (item.same_as_reply or ()):
                stored[name] = reply.llm_parsed_output if reply else None
        if "llm_structured_prompt" not in stored:
            stored["llm_structured_prompt"] = list_parts(stored.get("llm_raw_prompt"), item.message_id)
        return Task.model_validate(stored)

    def _read_texts(self, names: tuple[str, ...], pointers: Mapping[str, Pointer]) -> dict[str, str]:
        return {name: self._overflow.read(pointer) for name in names if (pointer := pointers.get(to_stored_name(name)))}


class _Moving:
    """The texts of one item on their way to S3, as far as they are too big for the table."""

    def __init__(self, overflow: Overflow, place: Place, expiry: Expiry | None) -> None:
        self._overflow = overflow
        self._place = place
        self._expiry = expiry
        self._moved: dict[str, Pointer] = {}

    def move_from(self, item: MessageItem | TaskItem, names: tuple[str, ...]) -> None:
        for name in names:
            setattr(item, name, self._move(to_stored_name(name), getattr(item, name)))

    def pack_part(self, part: ContentPart, name: str, main: str | None) -> Mapping[str, object]:
        text = mend(part.text)
        plain_json = None if part.json_value is None else json.dumps(part.json_value)
        stored = {
            "type": part.type.value,
            "text": None if text == main else self._move(f"{name}.text", text),
            "image": part.image.model_dump(by_alias=True) if part.image else None,
            "JSON": self._move(f"{name}.JSON", plain_json),
        }
        return {field: value for field, value in stored.items() if value is not None}

    def note(self) -> dict[str, dict[str, object]] | None:
        """What the item says of its moved texts."""
        return {attribute: pointer.model_dump(by_alias=True) for attribute, pointer in self._moved.items()} or None

    def _move(self, attribute: str, text: str | None) -> str | None:
        """`text`, or None where it was too big for the item and is now in S3."""
        if text is None:
            return None
        pointer = self._overflow.keep(self._place, attribute, text, self._expiry)
        if pointer is None:
            return text
        self._moved[attribute] = pointer
        return None


def _pointers(item: MessageItem | TaskItem) -> dict[str, Pointer]:
    return {attribute: Pointer.model_validate(pointer) for attribute, pointer in (item.overflow or {}).items()}


def _main_text(role: str, structured: str | None, parsed: str | None) -> str | None:
    """The text that a message's content repeats."""
    return {Role.USER.value: structured, Role.ASSISTANT.value: parsed}.get(role)
