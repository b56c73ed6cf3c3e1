"""IMPORT: an import that came from a conversation has ended, or waits for a person; and what the person decides.

The import itself says what stands: a signal that comes late, twice or out of order tells the present state, once. What
is being told is noted before anything is said, and the platform's messages as soon as they are there: a later delivery
edits those.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

from core.errors import PermanentError, RetryableError
from core.events import ImportQueued
from core.import_notices import button_reference, split_button_reference, state_of
from core.import_reports import MOST_PROBLEMS, link_line, name_file, report
from core.import_texts import Said, words
from core.imports import NOTICE, Import, ImportNotice, ImportOrigin, ImportStatus
from core.models import Address, ContentPart, ContentType, Message, Role
from core.platforms import Button, Outbound, Question, ReplyTarget, SharedFile, respond_to
from core.signals.case import Case
from core.store import keys
from core.texts import say

_MOST_SHARED_BYTES = 8_000_000  # of an output that comes as a file; ten are in memory at once


def is_about_import(case: Case) -> bool:
    """Whether a button was pressed that belongs to the review of an import."""
    return split_button_reference(case.signal.reference) is not None


def tell_import(case: Case) -> str:
    """Say how an import stands, where it came from."""
    import_ = case.store.imports.get(case.company_id, case.signal.reference)
    if import_ is None or import_.origin is None or import_.origin.address != case.signal.address:
        return "unknown-import"
    state, told = state_of(import_), import_.notice
    if state is None:
        return "moved-on"
    if told and told.state == state and told.is_told:
        return "told-before"
    telling = _Telling(case, import_, import_.origin, case.open_platform())
    if told and told.state != state and told.is_open:
        telling.close(told, "review-over")
    telling.tell(told if told and told.state == state else ImportNotice(state=state))
    return import_.processing_status.value.lower()


def decide_import(case: Case) -> str:
    """Let an import go on, or cancel it, if whoever pressed asked for it and it still waits."""
    found = split_button_reference(case.signal.reference)
    import_ = case.store.imports.get(case.company_id, found[0]) if found else None
    if import_ is None or import_.origin is None or not _is_at(import_.origin.address, case.signal.address):
        return "not-here"
    user = case.find_user()
    if user is None:
        return "stranger"
    if user.id != import_.user_id:
        target = respond_to(case.signal, is_private=True)
        words_ = say("not-yours", import_.origin.language)
        case.open_platform().open_reply(target, posted=lambda _: None).finish(words_)
        return "not-allowed"
    told = import_.notice
    if told is None or not told.is_open:
        return "decided-before"
    is_same_review = found is not None and import_.fencing_token == found[1]
    decide = {"approve": _approve, "deny": _cancel}.get(case.signal.value)
    decided = decide(case, import_) if decide and is_same_review else None
    telling = _Telling(case, decided or import_, import_.origin, case.open_platform())
    if decided is None:
        telling.close(told, "review-over")
        return "too-late"
    telling.close(told, "approved" if case.signal.value == "approve" else "canceled-by", person=user.name)
    return case.signal.value


def _approve(case: Case, import_: Import) -> Import | None:
    if import_.processing_status is ImportStatus.AWAITING_REVIEW:
        import_ = case.store.imports.approve(case.company_id, import_.id, now=case.clock())
    if import_.processing_status is not ImportStatus.PENDING:
        return None
    case.go_on(ImportQueued(company_id=case.company_id, import_id=import_.id))  # once more changes nothing
    return import_


def _cancel(case: Case, import_: Import) -> Import | None:
    if import_.processing_status is ImportStatus.AWAITING_REVIEW:
        return case.store.imports.request_cancel(case.company_id, import_.id, now=case.clock())
    return import_ if import_.processing_status is ImportStatus.CANCELED else None


def _is_at(one: Address, other: Address) -> bool:
    return (one.platform, one.workspace_id, one.channel_id) == (other.platform, other.workspace_id, other.channel_id)


@dataclass(slots=True)
class _Telling:
    """One import, and the place that is told of it."""

    case: Case
    import_: Import
    origin: ImportOrigin
    platform: Outbound

    def tell(self, notice: ImportNotice) -> None:
        """Say what stands, from where an earlier delivery ended."""
        self._note(notice)
        text = report(self.import_, self._read_rejects(), self.origin.language)
        notice = self._say(notice, text)
        self._remember(notice, text)
        notice = self._share(notice)
        self._note(notice.model_copy(update={"is_told": True}))

    def close(self, told: ImportNotice, said: Said, *, person: str = "") -> None:
        """Let the review's message say what became of it, without buttons."""
        text = words(said, self.origin.language).format(file=name_file(self.import_), person=person)
        target = self._target(told)
        with suppress(PermanentError):  # the message is gone; the decision counts all the same
            self.platform.close_question(target, told.message_ids, text)
        closed = told.model_copy(update={"is_open": False, "is_told": True})
        if said == "canceled-by" and (state := state_of(self.import_)):  # this is how that is told
            closed = closed.model_copy(update={"state": state})
            self._remember(closed, text)
        self._note(closed)

    def _say(self, notice: ImportNotice, text: str) -> ImportNotice:
        is_open = self.import_.processing_status is ImportStatus.AWAITING_REVIEW

        def remember(ids: tuple[str, ...]) -> None:
            self._note(notice.model_copy(update={"message_ids": ids, "is_open": is_open}))

        target = self._target(notice)
        if is_open:
            ids = self.platform.ask(target, Question(text=text, buttons=self._buttons()), posted=remember)
        else:
            shown = "\n\n".join(filter(None, [text, self._links()]))
            ids = self.platform.open_reply(target, posted=remember).finish(shown)
        return notice.model_copy(update={"message_ids": ids, "is_open": is_open})

    def _buttons(self) -> tuple[Button, ...]:
        reference, language = button_reference(self.import_), self.origin.language
        return (
            Button(label=words("approve", language), value="approve", reference=reference, style="primary"),
            Button(label=words("cancel", language), value="deny", reference=reference),
        )

    def _target(self, notice: ImportNotice) -> ReplyTarget:
        """Below what was asked; found again by what it is about, and never taken for the answer to that."""
        origin = self.origin
        return ReplyTarget(
            address=origin.address,
            in_reply_to=f"{self.import_.id}:{notice.state}",
            external_user_id=origin.external_user_id,
            external_user_workspace_id=origin.external_user_workspace_id or origin.address.workspace_id,
            outgoing_ids=notice.message_ids,
            search_from=origin.external_message_id,
            reply_url=origin.reply_url,
            language=origin.language,
        )

    def _remember(self, notice: ImportNotice, text: str) -> None:
        """Let the conversation hold what was said in it, without the links: they end soon."""
        store, company_id, import_ = self.case.store, self.case.company_id, self.import_
        conversation_id, _ = keys.split_message_id(self.origin.question_id)
        conversation = store.get_conversation(company_id, conversation_id)
        company = store.directory.get_company(company_id)
        if conversation is None or company is None:
            return
        named = f"{import_.id}:{notice.state}"
        message_id = keys.message_id(
            conversation_id, keys.question_ulid(self.origin.address, named, import_.updated_at)
        )
        message = Message(
            id=message_id,
            llm_conversation_id=conversation_id,
            parent_message_id=self.origin.question_id,
            role=Role.ASSISTANT,
            llm_parsed_output=text,
            entity_type=conversation.entity_type,
            entity_id=conversation.entity_id,
            language=self.origin.language,
            user_id=import_.user_id,
            content=(ContentPart(type=ContentType.TEXT, text=text, message_id=message_id),),
            outgoing_ids=notice.message_ids,
            finish_reason=NOTICE,
            created_at=import_.updated_at,
        )
        store.imports.begun.add_message(company, message)

    def _share(self, notice: ImportNotice) -> ImportNotice:
        """Put a small output there as a file, where the platform takes one; the message above has a link."""
        url = self.import_.output_file_url
        content = None
        if url and not notice.is_file_begun and not self.import_.options.is_dry_run:
            content = self.case.store.imports.files.read_small(url, _MOST_SHARED_BYTES)
        if url is None or not content:
            return notice
        begun = notice.model_copy(update={"is_file_begun": True})
        self._note(begun)
        name = url.rpartition("/")[2]
        file = SharedFile(name=name, media_type="application/octet-stream", content=content, fallback="")
        try:
            self.platform.share_file(replace(self._target(begun), outgoing_ids=()), file, posted=lambda _: None)
        except RetryableError as exc:
            if not exc.is_outcome_unknown:
                self._note(notice)  # it is not there: the next delivery tries again
            raise
        except PermanentError:
            return begun
        return begun

    def _links(self) -> str:
        files, import_ = self.case.store.imports.files, self.import_
        result, rejects = (url and files.link(url) for url in (import_.output_file_url, import_.rejects_file_url))
        return link_line(result, rejects, self.origin.language)

    def _read_rejects(self) -> list[dict[str, object]]:
        url = self.import_.rejects_file_url
        return self.case.store.imports.files.read_first(url, MOST_PROBLEMS) if url else []

    def _note(self, notice: ImportNotice) -> None:
        self.case.store.imports.begun.note(self.import_, notice)
