"""ACTION_FLOW: hands a file of the conversation to the imports; the conversation is told by itself how it went.

The import is stored before its file comes, under an id that follows from the call: a call that is made again after a
crash finds it, and puts the same bytes into the same place unless the import is under way.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args

from agent.attachments import IMPORT_TOOL, list_files, safe_name
from agent.tools import Tool, ToolContext, ToolResult
from core.configuration import Input
from core.errors import PermanentError, RetryableError, ServiceError
from core.events import FileReference, MessageReceived
from core.import_keys import fit_name, make_input_key
from core.imports import Import, ImportOptions, ImportOrigin, ImportStatus, ImportTemplate, OutputFormat
from core.kept import Kept
from core.models import Message, ToolType
from core.platforms import Outbound
from core.store import Claim, Store

_SECONDS = 180.0
_SPARE_SECONDS = 10.0  # of a call's time: to say what came of it
_KEPT_SECONDS = 60.0
_MOST_FILES = 20
_MOST_IMPORTS = 10  # of one turn
_AT_ONCE = 3  # files that a process carries over, ten megabytes of memory each
_MOST_TEMPLATES = 40
_MOST_FIELDS = 12
_LONGEST = 200  # characters of a template's description
_BEGUN = (
    'The import {id} of "{name}" has begun. This conversation is told by itself how it went, with the result as a file '
    "or a link: do not wait for it and promise no result. Say that it has begun."
)
_AGAIN = "it could not be fetched; ask the person to attach it again"
_FORMATS: tuple[str, ...] = get_args(OutputFormat)


class ChatImports:
    """Lets the conversations of a process import files; built once per cold start.

    Args:
        store: Where imports and templates are.
        most_bytes: Of one file, whatever a company's limits allow; 0: nothing is imported from conversations.
        clock: The time.
    """

    def __init__(self, store: Store, *, most_bytes: int, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.clock = clock
        self._most_bytes = most_bytes
        self._kept = Kept()
        self._carrying = threading.BoundedSemaphore(_AT_ONCE)

    def offer(
        self,
        outbound: Outbound,
        message: MessageReceived,
        claim: Claim,
        question: Message,
        history: Sequence[Message],
        input_: Input,
    ) -> dict[str, Tool]:
        """The tool by its name, where something is attached that could be imported, and may be."""
        most_bytes = min(self._most_bytes, input_.limits.max_import_bytes)
        if not most_bytes or message.is_private:  # what is told later could be seen by others there
            return {}
        files = _label([*list_files(question), *(file for each in reversed(history) for file in list_files(each))])
        if not files:
            return {}
        desk = _Desk(self, outbound, message, claim, question, most_bytes)
        return {IMPORT_TOOL: ImportFile(desk, files, self._tell_templates(claim.conversation.user_company_id))}

    @contextmanager
    def carry(self, seconds: float) -> Iterator[None]:
        """Carry a file over in the block, as one of a few at once.

        Raises:
            RetryableError: `no-time`, others' files took all of the seconds.
        """
        if not self._carrying.acquire(timeout=max(seconds, 0.0)):
            raise RetryableError("no-time", "too many files at once", retry_after=timedelta(0))
        try:
            yield
        finally:
            self._carrying.release()

    def _tell_templates(self, company_id: str) -> str:
        def make() -> tuple[str, float]:
            found = self.store.templates.list_templates(company_id)[:_MOST_TEMPLATES]
            return "\n".join(f"- {_describe(each)}" for each in found), _KEPT_SECONDS

        return self._kept.get(company_id, make)


@dataclass(frozen=True, slots=True)
class _Desk:
    """For whom imports are begun, in which turn."""

    use: ChatImports
    outbound: Outbound
    message: MessageReceived
    claim: Claim
    question: Message
    most_bytes: int


class ImportFile:
    """Begins the import of one attached file."""

    name = IMPORT_TOOL
    type = ToolType.ACTION_FLOW
    is_write = True
    timeout_seconds = _SECONDS

    def __init__(self, desk: _Desk, files: Mapping[str, FileReference], templates: str) -> None:
        self._desk = desk
        self._files = files
        self._count = 0
        self.description = _describe_tool(files, templates)
        self.parameters: Mapping[str, Any] = {
            "type": "object",
            "properties": {
                "file": _text(1_000, "Name of the attached file, as it is listed."),
                "template": _text(64, "What its records become; leave it out to convert the file as it is."),
                "output_format": {"type": "string", "enum": list(_FORMATS), "description": "Default: csv."},
                "table": _text(200, "Which sheet, or which file of an archive. Default: the largest."),
                "review": {"type": "boolean", "description": "True: the person approves the mapping first."},
                "dry_run": {"type": "boolean", "description": "True: only look, write nothing."},
                "again": {"type": "boolean", "description": "True: although the same file was imported before."},
            },
            "required": ["file"],
            "additionalProperties": False,
        }

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Begin the import. Raises as `Tool.run` does."""
        wanted = safe_name(arguments["file"])
        file = self._files.get(wanted)
        if file is None:
            known = ", ".join(f'"{name}"' for name in self._files)
            return _refuse(f'No attached file is called "{wanted}". The attached files are: {known}.')
        if refusal := self._check(arguments, file, context):
            return refusal
        self._count += 1
        imports = self._desk.use.store.imports
        made = self._make(arguments, file, context)
        standing = imports.begun.create(context.conversation_id, made, self._desk.claim.expiry)
        is_untouched = standing.processing_status is ImportStatus.PENDING and not standing.fencing_token
        if is_untouched and (problem := self._put(standing, file, context)):
            return _refuse(f'The file "{wanted}" was not imported: {problem}.')
        if standing.processing_status is ImportStatus.FAILED and not standing.fencing_token:
            return _refuse(f'The file "{wanted}" was not imported: {standing.error_message}.')
        return ToolResult(text=_BEGUN.format(id=standing.id, name=wanted))

    def _check(self, arguments: Mapping[str, Any], file: FileReference, context: ToolContext) -> ToolResult | None:
        """Why nothing is begun; None where everything is as it has to be."""
        if self._count >= _MOST_IMPORTS:
            return _refuse(f"At most {_MOST_IMPORTS} imports can be begun in answer to one message.")
        if file.size > self._desk.most_bytes:
            return _refuse(self._too_large())
        template = arguments.get("template")
        templates = self._desk.use.store.templates
        if not template or (_is_template(template) and templates.current_template(context.company_id, template)):
            return None
        names = ", ".join(each.name for each in templates.list_templates(context.company_id)) or "none"
        return _refuse(f"The company has no such template. Its templates are: {names}. Without one, leave it out.")

    def _too_large(self) -> str:
        most = self._desk.most_bytes // 1_000_000
        return f"it is larger than the {most} MB that are imported from a conversation; operations can import it"

    def _make(self, arguments: Mapping[str, Any], file: FileReference, context: ToolContext) -> Import:
        desk, now = self._desk, self._desk.use.clock()
        named = f"{context.company_id}/{context.conversation_id}/{context.idempotency_key}"
        import_id = f"imp_{hashlib.sha256(named.encode()).hexdigest()[:32]}"
        name = fit_name(file.name)
        key = make_input_key(context.company_id, context.user_id, import_id, name)
        options = ImportOptions(
            template=arguments.get("template") or None,
            output_format=arguments.get("output_format", "csv"),
            table=arguments.get("table", ""),
            is_dry_run=arguments.get("dry_run", False),
            is_reviewed=arguments.get("review", False),
            is_forced=arguments.get("again", False),
        )
        message = desk.message
        origin = ImportOrigin(
            address=message.address,
            question_id=desk.question.id,
            external_message_id=message.external_message_id,
            external_user_id=message.external_user_id,
            external_user_workspace_id=message.external_user_workspace_id,
            reply_url=message.reply_url,
            language=desk.question.language,
        )
        return Import(
            id=import_id,
            user_id=context.user_id,
            user_company_id=context.company_id,
            input_file_name=name,
            input_file_url=desk.use.store.imports.files.url(key),
            options=options,
            output_format=options.output_format,
            size=file.size or None,
            origin=origin,
            created_at=now,
            updated_at=now,
        )

    def _put(self, import_: Import, file: FileReference, context: ToolContext) -> str | None:
        """Bring the file from the platform into the bucket; why not, where that ended the import."""
        imports, most_bytes = self._desk.use.store.imports, self._desk.most_bytes
        until = time.monotonic() + min(self.timeout_seconds, context.remaining()) - _SPARE_SECONDS
        try:
            with self._desk.use.carry(until - time.monotonic()):
                seconds = max(until - time.monotonic(), 1.0)
                with closing(self._desk.outbound.stream_file(file, max_bytes=most_bytes, seconds=seconds)) as pieces:
                    imports.files.put(import_.input_file_url, pieces)
        except ServiceError as exc:
            is_large = isinstance(exc, PermanentError) and exc.code == "file-too-large"
            problem = self._too_large() if is_large else _AGAIN
            if imports.begun.abandon(import_, exc.code, problem, now=self._desk.use.clock()):
                return problem
        return None


def _label(files: Sequence[FileReference]) -> dict[str, FileReference]:
    """Files by the names that the model knows them by, the newest first; older ones of the same name have a number."""
    labeled: dict[str, FileReference] = {}
    for file in files:
        if len(labeled) == _MOST_FILES:
            break
        name = label = safe_name(file.name)
        number = 1
        while labeled.get(label, file) != file:
            number += 1
            label = f"{name} ({number})"
        labeled.setdefault(label, file)
    return labeled


def _describe_tool(files: Mapping[str, FileReference], templates: str) -> str:
    names = ", ".join(f'"{name}"' for name in files)
    listed = f"The company's templates:\n{templates}" if templates else "The company has no templates."
    return (
        "Begins the import of a file that is attached in this conversation: it becomes clean data, as the records of a "
        "template or as it is. Use it when the person wants a file imported or converted, also one that you cannot "
        "read yourself (spreadsheets, PDF, archives, large tables). How it went is told to the conversation later.\n"
        f"Attached files: {names}.\n{listed}"
    )


def _describe(template: ImportTemplate) -> str:
    record = template.document.get("record")
    record = record if isinstance(record, dict) else {}
    said = record.get("description") or record.get("title") or ""
    fields = record.get("properties")
    names = ", ".join(list(map(str, fields))[:_MOST_FIELDS]) if isinstance(fields, dict) else ""
    line = " ".join(f"{template.name}: {said} Fields: {names}".split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _is_template(name: str) -> bool:
    return name.replace("-", "").isalnum() and name.isascii() and name == name.lower() and name[0].isalpha()


def _text(longest: int, description: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest, "description": description}


def _refuse(text: str) -> ToolResult:
    return ToolResult(text=text, is_error=True)
