"""One turn: from a message on the queue to one delivered answer, however often the message is delivered.

Claim the conversation, store the question, ask the model while the answer streams to the platform, commit everything
in one transaction, finish the delivery. After a crash anywhere the next delivery of the same message goes on: a stored
answer is delivered again and never bought a second time, a platform message that was begun is edited to its end.
"""

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from agent import entries, parking
from agent.attachments import Attachments, Occasion, spent_on, tell_unread
from agent.budget import check_budget
from agent.collaborators import Collaborators
from agent.history import Prompt, render_prompt
from agent.language import detect_language
from agent.parking import Parking, TurnParkedError, find_place
from agent.people import Refusal, say_refusal
from agent.pictures import SeeingModel
from agent.records import ClaimRecords
from agent.resuming import resume
from agent.snapshots import Snapshot
from agent.stopping import StopCheck, TurnStoppedError
from agent.task_run import TaskRun
from agent.tools.sub_agent import SubAgents
from core.configuration import Input, Limits
from core.errors import PermanentError, ServiceError
from core.events import MessageReceived
from core.models import Company, ConversationStatus, Message, Role, Task, User
from core.platforms import Outbound, Reply, reply_to
from core.queues import Delivery
from core.store import Claim, ClaimLostError, Opening, keys
from core.telemetry import logger, metrics
from core.texts import explain_failure, say, speak

__all__ = ["Collaborators", "answer"]

_LEASE_MARGIN = timedelta(seconds=5)  # a lease outlives its invocation by this
_NEW_CONVERSATION = frozenset({"/new", "new conversation"})


def answer(delivery: Delivery[MessageReceived], *, collaborators: Collaborators) -> None:
    """Answer one message once.

    Returns normally when the message needs no further delivery: answered, refused, ignored, or failed and told so.

    Raises:
        RetryableError: Deliver the message again.
    """
    message = delivery.message
    installation = collaborators.people.find_installation(message)
    if installation is None:
        _end(message, "no-installation")
        return
    outbound = collaborators.connect(installation)
    company = collaborators.people.find_company(installation.company_id)
    conversation_id = find_place(collaborators.store, installation.company_id, company, message)
    if conversation_id is None and (message.resumed or not message.is_addressed):
        _end(message, "no-conversation" if message.resumed else "not-addressed")
        return
    person = collaborators.people.validate(message, installation, outbound)
    if isinstance(person, Refusal):
        if person.is_to_be_said:
            say_refusal(message, outbound)
        _end(message, "refused")
        return
    placed = outbound.place(message)
    if placed.address != message.address:
        conversation_id = collaborators.store.find_conversation_id(installation.company_id, placed.address)
    turn = _Turn(replace(delivery, message=placed), installation.company_id, company, person, outbound, collaborators)
    if turn.is_new_conversation:
        turn.start_afresh()
    else:
        turn.run(conversation_id)


def _end(message: MessageReceived, outcome: str) -> None:
    metrics.count("TurnsEnded", outcome=outcome, platform=message.address.platform)
    logger.info("turn ended", extra={"correlation_id": message.correlation_id, "outcome": outcome})


class _Turn:
    """One delivery of one message, and how far it has come."""

    def __init__(
        self,
        delivery: Delivery[MessageReceived],
        company_id: str,
        company: Company | None,
        user: User,
        outbound: Outbound,
        collaborators: Collaborators,
    ) -> None:
        self._delivery = delivery
        self._message = message = delivery.message
        self._company_id = company_id
        self._user = user
        self._outbound = outbound
        self._use = collaborators
        self._store = collaborators.store
        self._model = SeeingModel(collaborators.model, self._store.files)
        self._text = entries.read_question(self._message, outbound.read_text(self._message))
        self._language: str | None = None
        self._shown: Reply | None = None
        self._spoken_so_far: list[str] = []
        self._stored_reply: Message | None = None
        self._task: Task | None = None
        self._failed_task: Task | None = None
        self._ulid = keys.question_ulid(message.address, message.external_message_id, message.sent_at)
        name = company.name if company else company_id
        self._fill = partial(entries.fill_prompts, company=name, person=user.name)
        self._retention_days = company.retention_days if company else None

    @property
    def is_new_conversation(self) -> bool:
        """Whether the message says nothing but that a new conversation begins."""
        return not self._message.files and self._text.strip().casefold() in _NEW_CONVERSATION

    def start_afresh(self) -> None:
        """Begin a new conversation in the same place; its id follows from the message, so that twice is once."""
        conversation_id = "cnv_" + hashlib.sha256(self._ulid.encode()).hexdigest()[:26]
        address = self._message.address
        self._store.start_afresh(self._company_id, address, conversation_id, retention_days=self._retention_days)
        target = reply_to(self._message, is_unrecorded=True)
        notice = say("new-conversation", detect_language(self._text))
        self._outbound.open_reply(target, posted=lambda _: None).finish(notice)
        _end(self._message, "new-conversation")

    def _make_opening(self) -> Opening:
        settings = self._use.people.find_settings(self._company_id, self._use.default_settings)
        save = partial(self._store.save_input, self._company_id)
        find = partial(self._use.people.find_sub_settings, self._company_id)
        current_hash = save(Snapshot(find=find, save=save).take(settings))
        session_id = self._use.new_id("ses")
        return entries.make_opening(
            self._message, self._user, text=self._text, input_hash=current_hash, session_id=session_id
        )

    def run(self, conversation_id: str | None) -> None:
        opening = self._make_opening()
        if conversation_id is None:
            conversation_id = self._store.open_conversation(
                self._company_id,
                self._message.address,
                self._use.new_id("cnv"),
                retention_days=self._retention_days,
            )
        self._conversation_id = conversation_id
        claim = self._store.claim_conversation(
            self._company_id,
            conversation_id,
            opening=opening,
            task_id=keys.task_id(conversation_id, self._ulid),
            lease=timedelta(seconds=self._delivery.remaining()) + _LEASE_MARGIN,
            now=self._use.clock(),
            retention_days=self._retention_days,
        )
        try:
            answered = self._answer(claim, opening)
        except ClaimLostError:
            raise
        except PermanentError as exc:
            self._fail(claim, exc)
            return
        except Exception:
            with suppress(ServiceError):  # the next delivery waits for the lease instead
                self._store.release_claim(claim, status=ConversationStatus.IN_PROGRESS, now=self._use.clock())
            raise
        if answered:
            self._deliver(*answered)
        else:
            _end(self._message, "parked")

    def _answer(self, claim: Claim, opening: Opening) -> tuple[Message, Reply] | None:
        """The stored reply, and where it is shown; committed by this delivery or by an earlier one.

        None where a person has to decide something first.
        """
        conversation = claim.conversation
        input_ = self._store.get_input(self._company_id, conversation.input)
        question_id = keys.message_id(conversation.id, self._ulid)
        history = self._store.history(claim, limit=input_.limits.history_messages, before=question_id)
        before = next((m.language for m in reversed(history) if m.role is Role.USER and m.language), None)
        attached = Attachments(self._store.files, self._use.model.transcribe).read(
            Occasion(self._delivery, claim, question_id, input_, self._outbound, self._check_budget)
        )
        self._language = detect_language(attached.prose(self._text), previous=before)
        written = entries.make_question(
            self._message,
            opening,
            conversation_id=conversation.id,
            ulid=self._ulid,
            text=self._text,
            parent_id=history[-1].id if history else None,
            language=self._language,
        )
        question = attached.complete(written)
        self._language = question.language
        prompts = self._fill(input_)
        system = entries.make_system_message(
            opening,
            conversation_id=conversation.id,
            ulid=self._ulid,
            prompt="\n\n".join(prompts.prompts),
            now=self._use.clock(),
        )
        is_new = self._store.save_question(claim, question, opening_message=None if history else system)
        answered_ids = frozenset(i for m in history if m.role is Role.ASSISTANT for i in m.outgoing_ids)
        if not is_new and (reply := self._store.find_reply(self._company_id, question.id)):
            self._stored_reply = reply
            shown = self._open(reply.outgoing_ids, answered_ids, is_redelivery=True)
            is_stopped = reply.finish_reason == "canceled"
            status = ConversationStatus.CANCELED if is_stopped else ConversationStatus.COMPLETED
            self._store.release_claim(claim, status=status, now=self._use.clock())
            return reply, shown
        return self._ask(claim, question, prompts, history, answered_ids, is_redelivery=not is_new)

    def _ask(
        self,
        claim: Claim,
        question: Message,
        input_: Input,
        history: tuple[Message, ...],
        answered_ids: frozenset[str],
        *,
        is_redelivery: bool,
    ) -> tuple[Message, Reply] | None:
        prompt = resume(
            render_prompt(input_, claim.conversation.input, history, question), history, question, self._store, claim
        )
        task = self._store.start_task(
            claim, entries.make_task(question, input_, prompt.manifest, now=self._use.clock())
        )
        self._task = task
        recorded = self._store.list_tool_usages(self._company_id, question.id) if is_redelivery else ()
        silent = parking.count_silent(recorded)
        known, others = parking.find_messages(claim.conversation, task, is_parked=silent > 0)
        shown = self._open(known, answered_ids | others, is_redelivery=is_redelivery, claim=claim)
        if not recorded:
            self._check_budget(input_.limits)
        place = self._park_at(claim)
        agents = SubAgents(self._use, self._model, claim, question, recorded, self._fill, place.make_approval())
        run = self._make_run(claim, question, task, input_, prompt, shown, agents, silent)
        try:
            answered = run.run([usage for usage in recorded if not usage.under])
        except TurnParkedError as parked:
            if self._store.interruptions.is_cancel_requested(claim):
                return self._stop(claim, question, entries.count_spent(task, *run.spent()), shown), shown
            place.ask(parked.waiting, task, shown, is_shaped=input_.output_configuration is not None)
            return None
        except TurnStoppedError:
            return self._stop(claim, question, entries.count_spent(task, *run.spent()), shown), shown
        except PermanentError:
            self._task = entries.count_spent(task, *run.spent())
            raise
        return self._commit(claim, question, task, answered, shown), shown

    def _commit(self, claim: Claim, question: Message, task: Task, answered: entries.Answered, shown: Reply) -> Message:
        now = self._use.clock()
        notice = tell_unread(question, are_pictures_refused=self._model.is_refused)
        reply = entries.make_reply(question, answered, outgoing_ids=shown.outgoing_ids, now=now, notice=notice)
        self._store.commit_reply(claim, reply, entries.complete_task(task, answered, now=now), now=now)
        self._stored_reply = reply
        self._measure(answered)
        return reply

    def _make_run(
        self,
        claim: Claim,
        question: Message,
        task: Task,
        input_: Input,
        prompt: Prompt,
        shown: Reply,
        agents: SubAgents,
        silent: int,
    ) -> TaskRun:
        return TaskRun(
            model=self._model,
            tools=agents.open(input_),
            input_=input_,
            prompt=prompt.messages,
            company_id=self._company_id,
            user_id=self._user.id,
            conversation_id=question.llm_conversation_id,
            question_id=question.id,
            task_id=task.id,
            records=ClaimRecords(self._store, claim),
            remaining=self._delivery.remaining,
            show=lambda text: self._show(shown, text),
            check=StopCheck(self._store, claim, self._use.monotonic),
            clock=self._use.clock,
            monotonic=self._use.monotonic,
            said=self._spoken_so_far,
            spent_before=spent_on(question),
            approval=agents.approval,
            silent_steps=silent,
        )

    def _park_at(self, claim: Claim) -> Parking:
        user_id, clock = self._user.id, self._use.clock
        return Parking(self._store, self._outbound, claim, self._message, user_id, self._language, clock)

    def _stop(self, claim: Claim, question: Message, task: Task, shown: Reply) -> Message:
        """End a turn that somebody stopped: what was said stands, with a word that it was stopped."""
        now = self._use.clock()
        answered = entries.make_stopped("".join(self._spoken_so_far), task)
        reply = entries.make_reply(question, answered, outgoing_ids=shown.outgoing_ids, now=now)
        self._store.cancel_turn(claim, reply, task, now=now)
        self._stored_reply = reply
        return reply

    def _open(
        self,
        known: tuple[str, ...],
        answered_ids: frozenset[str],
        *,
        is_redelivery: bool,
        claim: Claim | None = None,
    ) -> Reply:
        def remember(ids: tuple[str, ...]) -> None:
            if self._stored_reply is not None:
                self._store.save_outgoing_ids(self._company_id, self._stored_reply, ids)
            elif self._failed_task is not None:
                self._store.save_task_outgoing_ids(self._company_id, self._failed_task, ids)
            elif claim is not None:
                self._store.mark_streaming(claim, outgoing_ids=ids, now=self._use.clock())

        target = reply_to(
            self._message,
            outgoing_ids=known,
            is_unrecorded=is_redelivery or self._delivery.attempt > 1,
            answered_ids=answered_ids,
            is_alone=True,  # the claim is ours
            stop_reference=keys.task_id(self._conversation_id, self._ulid),
            feedback_reference=keys.message_id(self._conversation_id, keys.reply_ulid(self._ulid)),
            language=self._language,
        )
        if claim is not None:
            self._outbound.show_working(target)
        self._shown = self._outbound.open_reply(target, posted=remember)
        return self._shown

    def _check_budget(self, limits: Limits) -> None:
        check_budget(limits, self._store, company_id=self._company_id, user_id=self._user.id, now=self._use.clock())

    def _show(self, shown: Reply, text: str) -> None:
        try:
            shown.append(text)
        except ClaimLostError:
            raise
        except ServiceError as exc:
            # The answer is paid for: it is taken to its end, stored, and delivered when the platform takes it.
            logger.warning("answer not shown yet", extra={**self._about(), "code": exc.code})

    def _deliver(self, reply: Message, shown: Reply) -> None:
        outcome = "answered"
        try:
            ids = shown.finish(speak(reply))
        except PermanentError as exc:
            logger.error("answer cannot be delivered", extra={**self._about(), "code": exc.code})
            outcome = "undeliverable"
        else:
            if ids != reply.outgoing_ids:
                self._store.save_outgoing_ids(self._company_id, reply, ids)
        _end(self._message, outcome)

    def _fail(self, claim: Claim, error: PermanentError) -> None:
        """Record the failure, then tell the person, after whatever they already saw of the answer."""
        logger.error("turn failed", extra={**self._about(), "code": error.code})
        if self._task is None:
            self._store.release_claim(claim, status=ConversationStatus.FAILED, now=self._use.clock())
        else:
            task = entries.fail_task(self._task, code=error.code, reason=error.message, now=self._use.clock())
            self._store.fail_turn(claim, task, now=self._use.clock())
            self._failed_task = task
        text = "\n\n".join(filter(None, ["".join(self._spoken_so_far), explain_failure(error.code, self._language)]))
        shown = self._shown or self._open((), frozenset(), is_redelivery=False)
        try:
            ids = shown.finish(text)
        except PermanentError as exc:
            logger.error("failure cannot be told", extra={**self._about(), "code": exc.code})
        else:
            if self._failed_task is not None:
                self._store.save_task_outgoing_ids(self._company_id, self._failed_task, ids)
        _end(self._message, "failed")

    def _measure(self, answered: entries.Answered) -> None:
        platform = self._message.address.platform
        metrics.milliseconds("TimeToFirstToken", answered.time_to_first_token_ms, platform=platform)
        metrics.milliseconds("TurnDuration", answered.duration_ms, platform=platform)
        if usage := answered.usage:
            metrics.count("InputTokens", usage.input_tokens, platform=platform)
            metrics.count("OutputTokens", usage.output_tokens, platform=platform)

    def _about(self) -> dict[str, str]:
        return {"correlation_id": self._message.correlation_id}
