"""One turn: from a message on the queue to one delivered answer, however often the message is delivered.

Claim the conversation, store the question, ask the model while the answer streams to the platform, commit everything
in one transaction, finish the delivery. After a crash anywhere the next delivery of the same message goes on: a stored
answer is delivered again and never bought a second time, a platform message that was begun is edited to its end.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from agent import entries, parking
from agent.afresh import says_afresh, start_afresh
from agent.afterwards import Afterwards
from agent.attachments import spent_on, tell_unread
from agent.collaborators import Collaborators
from agent.delivering import Delivering
from agent.entities import find_entity
from agent.handing_on import Allowance, TurnHandedOnError, hand_on
from agent.history import Prompt, fill_prompts, render_prompt
from agent.parking import Parking, TurnParkedError, find_place
from agent.people import Refusal, say_refusal
from agent.pictures import SeeingModel
from agent.reading import Past, Reading
from agent.records import ClaimRecords
from agent.resuming import resume
from agent.revisions import QuestionDeletedError, sort_out, tell_done, withdraw
from agent.snapshots import Snapshot
from agent.spending import Totals
from agent.stopping import QuestionChangedError, TurnStoppedError, Watch, find_stop, look_for
from agent.task_run import TaskRun
from agent.tools.sub_agent import SubAgents
from core.configuration import Input
from core.errors import PermanentError, RetryableError, ServiceError
from core.events import MessageReceived
from core.models import STOPPED, UNDECIDED, Company, ConversationStatus, Message, Task, ToolUsage, User
from core.platforms import Outbound, Reply
from core.queues import Delivery
from core.store import Claim, ClaimLostError, Opening, keys
from core.telemetry import logger, metrics
from core.texts import explain_failure
from core.tries import HandedOnError

__all__ = ["Collaborators", "answer"]

_LEASE_MARGIN = timedelta(seconds=5)  # a lease outlives its invocation by this
_MOST_READINGS = 20  # of a question that is edited again and again


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
        self._spoken_so_far: list[str] = []
        self._task: Task | None = None
        self._before: Totals | None = None
        self._ulid = keys.question_ulid(message.address, message.external_message_id, message.sent_at)
        self._variables = {"{company}": company.name if company else company_id, "{person}": user.name}
        self._fill = partial(fill_prompts, variables=self._variables)
        self._check_budget = partial(collaborators.check_budget, company_id, user.id)
        self._reading = Reading(delivery, outbound, collaborators, self._fill, self._check_budget)
        self._afterwards: Afterwards | None = None
        self._delivering = Delivering(
            message, outbound, self._store, company_id, collaborators.clock, is_again=delivery.attempt > 1
        )
        self._retention_days = company.retention_days if company else None

    @property
    def is_new_conversation(self) -> bool:
        """Whether the message says nothing but that a new conversation begins."""
        return says_afresh(self._message, self._reading.text)

    def start_afresh(self) -> None:
        """Begin a new conversation in the same place."""
        start_afresh(
            self._message,
            self._reading.text,
            store=self._store,
            outbound=self._outbound,
            company_id=self._company_id,
            opening=self._make_opening(""),
            retention_days=self._retention_days,
            now=self._use.clock(),
        )
        _end(self._message, "new-conversation")

    def _make_opening(self, title: str) -> Opening:
        settings = self._use.people.find_settings(self._company_id, self._use.default_settings)
        save = partial(self._store.save_input, self._company_id)
        find = partial(self._use.people.find_sub_settings, self._company_id)
        current_hash = save(Snapshot(find=find, save=save).take(settings))
        session_id = self._use.new_id("ses")
        return entries.make_opening(
            self._message, self._user, text=title, input_hash=current_hash, session_id=session_id
        )

    def run(self, conversation_id: str | None) -> None:
        opening = self._make_opening(self._reading.text)
        if conversation_id is None:
            conversation_id = self._store.open_conversation(
                self._company_id,
                self._message.address,
                self._use.new_id("cnv"),
                retention_days=self._retention_days,
            )
        self._delivering.conversation_id = conversation_id
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
        except (ClaimLostError, HandedOnError):
            raise
        except PermanentError as exc:
            self._fail(claim, exc)
            return
        except Exception:
            with suppress(ServiceError):  # the next delivery waits for the lease instead
                self._store.release_claim(claim, status=ConversationStatus.IN_PROGRESS, now=self._use.clock())
            raise
        if answered is None:
            _end(self._message, "parked")
            return
        _end(self._message, self._delivering.finish(*answered))
        if (later := self._afterwards) and later.is_needed:
            self._delivery.afterwards.append(lambda left: later.run(seconds=left, now=self._use.clock()))

    def _answer(self, claim: Claim, opening: Opening) -> tuple[Message, Reply] | None:
        """The stored reply, and where it is shown; committed by this delivery or by an earlier one.

        None where a person has to decide something first.
        """
        input_ = self._store.get_input(self._company_id, claim.conversation.input)
        past = Past.recall(self._store, claim, input_.limits)
        for _ in range(_MOST_READINGS):
            question, standing = self._reading.save(claim, opening, input_, past)
            self._delivering.language = question.language
            if standing and (reply := self._store.find_reply(self._company_id, question.id)):
                return reply, self._show_again(claim, reply, past)
            if standing and not self._reading.is_current(claim, question, standing):
                continue
            try:
                return self._ask(claim, question, input_, past, is_redelivery=standing is not None)
            except QuestionChangedError:
                logger.info("question changed", extra=self._delivering.about())
                self._spoken_so_far = []
        raise RetryableError("question-unsteady", "the question changed too often to be answered just now")

    def _show_again(self, claim: Claim, reply: Message, past: Past) -> Reply:
        """Where a reply is shown that an earlier delivery stored."""
        self._delivering.stored_reply = reply
        shown = self._delivering.open(reply.outgoing_ids, past.answered_ids, is_redelivery=True)
        is_stopped = reply.finish_reason in {STOPPED, UNDECIDED}
        status = ConversationStatus.CANCELED if is_stopped else ConversationStatus.COMPLETED
        self._store.release_claim(claim, status=status, now=self._use.clock())
        return shown

    def _ask(
        self, claim: Claim, question: Message, input_: Input, past: Past, *, is_redelivery: bool
    ) -> tuple[Message, Reply] | None:
        rendered = render_prompt(input_, past.history, question, summary=past.summary, variables=self._variables)
        prompt = resume(rendered, past.history, question, self._store, claim)
        made = entries.make_task(question, input_, prompt.manifest, now=self._use.clock())
        self._task = task = self._store.start_task(claim, made)
        used = self._store.list_tool_usages(self._company_id, question.id) if is_redelivery else ()
        recorded, abandoned = sort_out(used, question)
        silent = parking.count_silent(recorded)
        shown = self._open(claim, task, past, is_parked=silent > 0, is_redelivery=is_redelivery)
        if not recorded:
            self._check_budget()
        place = Parking(self._store, self._outbound, claim, self._message, question, self._use.clock)
        stop = find_stop(claim.conversation, question.created_at)
        with Watch(lambda: look_for(self._store, claim, question.edited_at), known=stop) as watch:
            approval = place.make_approval()
            own = self._use.imports.offer(self._outbound, self._message, claim, question, past.history, input_)
            agents = SubAgents(self._use, self._model, claim, question, recorded, self._variables, watch, approval, own)
            run = self._make_run(claim, question, task, input_, prompt, shown, agents, silent, abandoned)
            try:
                reply = self._run(claim, question, task, input_, run, recorded, place, shown)
            except TurnHandedOnError as exc:
                raise hand_on(self._store, claim, task, took_seconds=run.time.took, now=self._use.clock()) from exc
            except TurnStoppedError as exc:
                spent = entries.count_spent(task, *run.spent())
                return self._stop(claim, question, spent, shown, run.used(), exc.finish_reason), shown
            except (QuestionChangedError, PermanentError):
                self._before = run.totals()
                self._task = entries.count_spent(task, *run.spent())
                raise
        if reply is None:
            return None
        self._afterwards = self._plan(claim, question, input_, past, prompt, reply)
        return reply, shown

    def _plan(
        self, claim: Claim, question: Message, input_: Input, past: Past, prompt: Prompt, reply: Message
    ) -> Afterwards:
        return Afterwards(
            store=self._store,
            model=self._use.model,
            input_=input_,
            conversation=claim.conversation,
            history=past.history,
            summary=past.summary,
            is_cut=prompt.is_cut,
            written=self._reading.text,
            question=question,
            reply=reply,
            retention_days=self._retention_days,
            check_budget=self._check_budget,
        )

    def _open(self, claim: Claim, task: Task, past: Past, *, is_parked: bool, is_redelivery: bool) -> Reply:
        """Where the answer arrives: in the messages that this delivery or an earlier one began it in."""
        known, others = parking.find_messages(claim.conversation, task, is_parked=is_parked)
        if self._delivering.shown:
            known = self._delivering.shown.outgoing_ids
        answered_ids = (past.answered_ids | others) - frozenset(known)
        return self._delivering.open(known, answered_ids, is_redelivery=is_redelivery, claim=claim)

    def _run(
        self,
        claim: Claim,
        question: Message,
        task: Task,
        input_: Input,
        run: TaskRun,
        recorded: Sequence[ToolUsage],
        place: Parking,
        shown: Reply,
    ) -> Message | None:
        """The reply, stored; None where a person was asked to decide something first."""
        try:
            answered = run.run([usage for usage in recorded if not usage.under])
        except TurnParkedError as parked:
            look_for(self._store, claim, question.edited_at, consistent=True)
            place.ask(parked.waiting, task, shown, is_shaped=input_.output_configuration is not None)
            return None
        return self._commit(claim, question, input_, task, answered, run.used(), shown)

    def _commit(
        self,
        claim: Claim,
        question: Message,
        input_: Input,
        task: Task,
        answered: entries.Answered,
        used: Sequence[ToolUsage],
        shown: Reply,
    ) -> Message:
        now, entity = self._use.clock(), find_entity(input_, used)
        reply = entries.make_reply(
            question,
            answered,
            used=used,
            entity=entity,
            outgoing_ids=shown.outgoing_ids,
            now=now,
            notice=tell_unread(question, are_pictures_refused=self._model.is_refused, used=used),
        )
        session_id = entries.renew_session(claim.conversation, input_.limits, self._use.new_id)
        done, edition = entries.complete_task(task, answered, now=now), question.edited_at
        try:
            self._store.commit_reply(claim, reply, done, now=now, session_id=session_id, entity=entity, edition=edition)
        except ClaimLostError:
            look_for(self._store, claim, edition, consistent=True)  # the last moment to stop or to edit
            raise
        self._delivering.stored_reply = reply
        self._delivering.measure(answered)
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
        abandoned: Sequence[ToolUsage],
    ) -> TaskRun:
        tools = {**agents.own, **agents.open(input_)}
        return TaskRun(
            model=self._model,
            tools=tools,
            input_=input_,
            prompt=(*prompt.messages, *tell_done(abandoned, tools)),
            company_id=self._company_id,
            user_id=self._user.id,
            conversation_id=question.llm_conversation_id,
            question_id=question.id,
            task_id=task.id,
            records=ClaimRecords(self._store, claim, question.edited_at),
            remaining=self._delivery.remaining,
            show=lambda text: self._delivering.show(shown, text),
            watch=agents.watch,
            first_step=max((usage.step + 1 for usage in abandoned if not usage.under), default=0),
            clock=self._use.clock,
            monotonic=self._use.monotonic,
            said=self._spoken_so_far,
            before=self._before or Totals.of(*spent_on(question)).with_abandoned(abandoned, input_.model),
            approval=agents.approval,
            silent_steps=silent,
            allowance=Allowance.of(task, is_final=self._delivery.is_final),
        )

    def _stop(
        self, claim: Claim, question: Message, task: Task, shown: Reply, used: Sequence[ToolUsage], finish_reason: str
    ) -> Message:
        """End a turn that somebody stopped: what was said stands, with a word that it was stopped."""
        now = self._use.clock()
        answered = entries.make_stopped("".join(self._spoken_so_far), task, finish_reason)
        reply = entries.make_reply(question, answered, used=used, outgoing_ids=shown.outgoing_ids, now=now)
        self._store.cancel_turn(claim, reply, task, now=now)
        self._delivering.stored_reply = reply
        return reply

    def _fail(self, claim: Claim, error: PermanentError) -> None:
        """Record the failure, then tell the person, after whatever they already saw of the answer."""
        if isinstance(error, QuestionDeletedError):
            withdraw(self._store, claim, self._task, self._delivering, user_id=self._user.id, now=self._use.clock())
            _end(self._message, "withdrawn")
            return
        logger.error("turn failed", extra={**self._delivering.about(), "code": error.code})
        if self._task is None:
            self._store.release_claim(claim, status=ConversationStatus.FAILED, now=self._use.clock())
        else:
            task = entries.fail_task(self._task, code=error.code, reason=error.message, now=self._use.clock())
            self._store.fail_turn(claim, task, user_id=self._user.id, now=self._use.clock())
            self._delivering.failed_task = task
        said = "".join(self._spoken_so_far)
        notice = explain_failure(error.code, self._delivering.language)
        self._delivering.tell_failure("\n\n".join(filter(None, [said, notice])))
        _end(self._message, "failed")
