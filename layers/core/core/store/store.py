"""Conversations and what happens in one turn: claim, question, task, history, commit.

Every write of a turn is a condition on keys or on the fencing token, so that whatever dies or is delivered twice, a
question is stored once, has one task and gets one reply.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from core.configuration import Input
from core.models import Address, Conversation, ConversationStatus, Message, Task, TaskStatus, ToolUsage
from core.store import conversations, keys
from core.store.claims import Claim, Entity, Opening
from core.store.contents import Contents
from core.store.counters import Counters, UsageCounter, count_turn
from core.store.directory import Directory
from core.store.expiry import expiry_after, read_clock
from core.store.faults import ConditionFailedError
from core.store.feedback import FeedbackBook
from core.store.files import Files
from core.store.hand_overs import HandOvers
from core.store.imports import Imports
from core.store.inputs import Inputs
from core.store.interruptions import Interruptions
from core.store.items import ConversationItem
from core.store.leases import Leases
from core.store.messages import Messages
from core.store.overflow import Overflow
from core.store.privacy import Privacy
from core.store.questions import Questions
from core.store.recollections import Recollections
from core.store.table import Change, Delete, Put, Table
from core.store.tasks import Tasks
from core.store.templates import Templates
from core.store.threads import Threads
from core.store.tool_usages import ToolUsages
from core.store.waiting import Waiting

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Store:
    """The table and the bucket. Safe to share between threads.

    Attributes:
        directory: Companies, users, identities, installations and settings.
        files: Pictures and transcripts of what people attached.
        threads: Which conversations took place in a thread.
        waiting: What a person is to decide or to say.
        interruptions: What is said to a turn from outside while it runs.
        hand_overs: Turns that go on with the next delivery of their message.
        imports: Files that become clean data.
        templates: What imports are made into, and where they are handed to.
        feedback: What people think of answers.
        questions: What people ask, and what they make of it afterwards.
        recollections: What conversations remember beside their messages, and their titles.
        privacy: What ops do with what people said.
    """

    def __init__(
        self,
        table_name: str,
        *,
        bucket_name: str,
        region: str | None = None,
        endpoint_url: str | None = None,
        s3: "S3Client | None" = None,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = read_clock,
    ) -> None:
        overflow = Overflow(bucket_name, s3, region=region, endpoint_url=endpoint_url)
        self._table = Table(table_name, region=region, endpoint_url=endpoint_url, pause=pause, clock=clock)
        contents = Contents(overflow)
        self._messages = Messages(self._table, contents)
        self._leases = Leases(self._table)
        self.recollections = Recollections(self._table, self._messages)
        self.threads = Threads(self._table, clock)
        self._counters = Counters(self._table)
        self._tasks = Tasks(self._table, contents)
        self._tool_usages = ToolUsages(self._table, overflow)
        self.hand_overs = HandOvers(self._tasks, self._leases)
        self._inputs = Inputs(self._table, overflow)
        self.directory = Directory(self._table, overflow)
        self.imports = Imports(self._table, overflow, self._messages)
        self.templates = Templates(self._table, overflow)
        self.interruptions = Interruptions(self._table)
        self.files = Files(overflow, self._messages)
        self.waiting = Waiting(self._table, self._tool_usages)
        self.feedback = FeedbackBook(self._table)
        self.questions = Questions(self._table, self._messages, self._tasks, contents, overflow, self.files)
        self.privacy = Privacy(self._table, overflow, self.directory, self.imports, clock=clock)

    # Conversations

    def find_conversation_id(
        self, company_id: str, address: Address, *, retention_days: int | None = None
    ) -> str | None:
        """The conversation that takes place at `address`; None where there is none yet.

        With `retention_days`, the thread is used now and kept for so long: one more request, once a day.
        """
        return self.threads.find(company_id, address, retention_days)

    def open_conversation(
        self, company_id: str, address: Address, conversation_id: str, *, retention_days: int | None = None
    ) -> str:
        """Give `address` a conversation unless it has one; the thread is kept for `retention_days`.

        Returns the id that stands: `conversation_id`, or the one that came first.
        """
        return self.threads.open(company_id, address, conversation_id, retention_days)

    def start_afresh(
        self,
        company_id: str,
        address: Address,
        conversation_id: str,
        *,
        opening: Opening,
        now: datetime,
        retention_days: int | None = None,
    ) -> None:
        """Give `address` another conversation, CREATED as `opening` says; the one before stays as it is.

        The same id again changes nothing.
        """
        expiry = expiry_after(retention_days, now)
        created = conversations.create(company_id, conversation_id, opening, expiry=expiry, now=now)
        replaced = self.threads.replacing(company_id, address, conversation_id, retention_days)
        with suppress(ConditionFailedError):
            self._table.transact([replaced, created])

    def save_input(self, company_id: str, input_: Input) -> str:
        """Store an input once, and return the hash of its content, by which it is found again."""
        return self._inputs.save(company_id, input_)

    def get_input(self, company_id: str, sha256: str) -> Input:
        """The input with this content hash.

        Raises:
            PermanentError: There is none.
        """
        return self._inputs.get(company_id, sha256)

    def claim_conversation(
        self,
        company_id: str,
        conversation_id: str,
        *,
        opening: Opening,
        task_id: str,
        lease: timedelta,
        now: datetime,
        retention_days: int | None = None,
    ) -> Claim:
        """Take a conversation for one turn; it is made, as `opening` says, where there is none.

        The conversation, and all that is written with the claim, is kept for `retention_days`.

        Raises:
            ConversationBusyError: Another turn's lease is not over. A later delivery of the same task does not wait: it
                takes the conversation over, and the earlier processor is refused from then on.
        """
        expiry, ulid = expiry_after(retention_days, now), keys.ulid_of(task_id)
        wanted = conversations.claim(
            company_id, conversation_id, opening, task_ulid=ulid, until=now + lease, expiry=expiry, now=now
        )
        return self._leases.take(wanted, task_id=task_id, lease=lease, expiry=expiry, now=now)

    def renew_claim(self, claim: Claim, *, lease: timedelta, now: datetime) -> None:
        """Hold the conversation for another `lease` from `now`.

        Raises:
            ClaimLostError: A later processor holds it, or the turn is over.
        """
        self._leases.change(claim, conversations.renew(lease, now))

    def release_claim(self, claim: Claim, *, status: ConversationStatus, now: datetime) -> None:
        """Give the conversation up: as IN_PROGRESS for the turn to be tried again at once, else as it ended.

        Raises:
            ClaimLostError: A later processor holds it, or the turn ended differently.
        """
        is_over = status is not ConversationStatus.IN_PROGRESS
        actions = conversations.end(status, now) if is_over else conversations.give_back(now)
        self._leases.change(claim, actions, status)

    # One turn

    def find_reply(self, company_id: str, question_id: str) -> Message | None:
        """The one reply to a question; None while there is none."""
        conversation_id, ulid = keys.split_message_id(question_id)
        return self._messages.find(company_id, keys.message_id(conversation_id, keys.reply_ulid(ulid)))

    def start_task(self, claim: Claim, task: Task) -> Task:
        """Store a task as running: made now, or, after a redelivery, tried once more.

        Returns:
            The task that stands. One that is COMPLETED or CANCELED stays so.
        """
        return self._tasks.start(claim.conversation.user_company_id, task, claim.expiry)

    def end_sub_task(self, claim: Claim, task: Task) -> None:
        """Store how a sub-agent's task ended; its tokens are counted with the turn's own."""
        self._tasks.end(claim.conversation.user_company_id, task, claim.expiry)

    def park(self, claim: Claim, *, now: datetime) -> None:
        """Give the conversation up until a person has decided: no lease. Raises as `release_claim` does."""
        self._leases.change(claim, conversations.park(now))

    def history(self, claim: Claim, *, limit: int, before: str, after: str | None = None) -> tuple[Message, ...]:
        """The last `limit` messages before the message `before` and after a ULID, in order; one request for all."""
        conversation = claim.conversation
        return self._messages.list_last(
            conversation.user_company_id, conversation.id, limit=limit, before=before, after=after
        )

    def mark_streaming(self, claim: Claim, *, outgoing_ids: Sequence[str], now: datetime) -> None:
        """Note that the answer arrives in these messages of the platform, so that a successor goes on in them.

        Raises:
            ClaimLostError: A later processor holds the conversation, or the turn is over.
        """
        self._leases.change(claim, conversations.stream(keys.ulid_of(claim.task_id), outgoing_ids, now))

    def start_tool_usages(self, claim: Claim, usages: Sequence[ToolUsage]) -> None:
        """Write down the tools that a step asks for, before they run; one request for up to 25, no claim checked."""
        self._tool_usages.put(claim, usages)

    def finish_tool_usages(self, claim: Claim, usages: Sequence[ToolUsage]) -> None:
        """Write down what tools gave, before it is used; one request for up to 25."""
        self._tool_usages.put(claim, usages)

    def list_tool_usages(self, company_id: str, question_id: str) -> tuple[ToolUsage, ...]:
        """The tools used for one question, in the order of its steps and of the places in them; one request."""
        return self._tool_usages.list_of_question(company_id, question_id)

    def commit_reply(
        self,
        claim: Claim,
        reply: Message,
        task: Task,
        *,
        now: datetime,
        title: str | None = None,
        session_id: str | None = None,
        entity: Entity | None = None,
        edition: datetime | None = None,
    ) -> None:
        """Store the reply, its task, the conversation and the usage counters: all of it, once.

        A `title`, `session_id` or `entity` that is given is the conversation's from now on. `edition` is the form of
        the question that the reply answers.

        Raises:
            ClaimLostError: A later processor holds the conversation, the question has its reply or was changed, or
                somebody asked the turn to stop: see `interruptions.look`.
        """
        ended = [
            *conversations.end(ConversationStatus.COMPLETED, now),
            *conversations.rename(title, session_id),
            *conversations.set_entity(claim.conversation.user_company_id, entity, now),
            *conversations.count(task, messages=2),
        ]
        undisturbed = conversations.is_undisturbed(keys.ulid_of(claim.task_id), edition)
        self._end_turn(claim, ended, reply, task, user_id=reply.user_id, now=now, also=undisturbed)

    def cancel_turn(
        self, claim: Claim, reply: Message | None, task: Task, *, now: datetime, user_id: str | None = None
    ) -> None:
        """End a turn that was stopped: what was said is its reply, None where nothing was.

        The task is stored as CANCELED; its tokens are counted for `user_id`, who asked (default: the reply's, else the
        conversation's person).

        Raises:
            ClaimLostError: A later processor holds the conversation, or the question has its reply.
        """
        asker = user_id or (reply.user_id if reply else claim.conversation.user_id)
        ended = [
            *conversations.end(ConversationStatus.CANCELED, now),
            *conversations.count(task, messages=2 if reply else 1),
        ]
        canceled = task.model_copy(update={"status": TaskStatus.CANCELED, "updated_at": now})
        self._end_turn(claim, ended, reply, canceled, user_id=asker, now=now)

    def _end_turn(
        self,
        claim: Claim,
        ended: Sequence[Action],
        reply: Message | None,
        task: Task,
        *,
        user_id: str,
        now: datetime,
        also: Condition | None = None,
    ) -> None:
        company_id = claim.conversation.user_company_id
        held = self._leases.changing(claim, ended)
        writes: list[Put | Change | Delete] = [
            self._tasks.complete(company_id, task, reply, claim.expiry),
            held if also is None else replace(held, condition=held.condition & also),
            *count_turn(company_id, claim.conversation.id, user_id, task, now),
        ]
        if reply:
            writes.append(self._messages.adding(company_id, reply, claim.expiry))
        self._leases.transact(writes)

    def save_outgoing_ids(self, company_id: str, message: Message, outgoing_ids: Sequence[str]) -> None:
        """Remember in which messages of the platform a stored message was delivered."""
        self._messages.save_outgoing_ids(company_id, message, outgoing_ids)

    def fail_turn(self, claim: Claim, task: Task, *, now: datetime, user_id: str | None = None) -> None:
        """Record the task and the conversation as FAILED; the tokens that the task took are counted as a stopped one's.

        Raises:
            ClaimLostError: A later processor holds the conversation, or the turn is over.
        """
        company_id = claim.conversation.user_company_id
        failed = [*conversations.end(ConversationStatus.FAILED, now), *conversations.count(task, messages=1)]
        recorded = self._tasks.fail(company_id, task, now, claim.expiry)
        writes: list[Put | Change | Delete] = [recorded, self._leases.changing(claim, failed)]
        if task.total_tokens:  # what was spent counts, though there is no answer to show for it
            asker = user_id or claim.conversation.user_id
            writes += count_turn(company_id, claim.conversation.id, asker, task, now, messages=0)
        self._leases.transact(writes)

    def record_dead_letter(self, company_id: str, conversation_id: str, task: Task, *, now: datetime) -> Task:
        """Record a task as FAILED although nobody holds its conversation.

        The conversation fails with it where it waits for this very task and no processor is alive. The task is kept for
        as long as the conversation.

        Returns:
            The task that stands. One that is COMPLETED or CANCELED stays so.
        """
        key = keys.conversation_key(company_id, conversation_id)
        conversation = self._table.get(ConversationItem, key)
        ttl = int(conversation.ttl) if conversation and conversation.ttl else None
        standing = self._tasks.record_failure(company_id, task, now, ttl)
        if standing.status is TaskStatus.FAILED:
            ended = conversations.end(ConversationStatus.FAILED, now)
            abandoned = conversations.is_abandoned(keys.ulid_of(task.id), now)
            self._table.change_known(ConversationItem, key, ended, abandoned)
        return standing

    def save_task_outgoing_ids(self, company_id: str, task: Task, outgoing_ids: Sequence[str]) -> None:
        """Remember in which messages of the platform a task's failure was told, so that a redrive edits them."""
        self._tasks.save_outgoing_ids(company_id, task, outgoing_ids)

    # Reading, for ops

    def get_conversation(self, company_id: str, conversation_id: str) -> Conversation | None:
        """A conversation as it stands."""
        key = keys.conversation_key(company_id, conversation_id)
        item = self._table.get(ConversationItem, key, consistent=True)
        return conversations.unpack_conversation(item) if item else None

    def list_conversations(self, company_id: str, user_id: str, limit: int = 50) -> tuple[Conversation, ...]:
        """A person's conversations, the last one used first."""
        partition = keys.user_conversations_partition(company_id, user_id)
        found = self._table.query_index("GSI1", partition, limit=limit, newest_first=True)
        items = self._table.get_many(ConversationItem, found)
        return tuple(conversations.unpack_conversation(item) for item in items)

    def list_messages(self, company_id: str, conversation_id: str) -> tuple[Message, ...]:
        """A conversation's messages, in order."""
        return self._messages.list_of(company_id, conversation_id)

    def list_tasks(self, company_id: str, conversation_id: str) -> tuple[Task, ...]:
        """A conversation's tasks, in the order of their questions."""
        return self._tasks.list_of(company_id, conversation_id)

    def list_conversation_tool_usages(self, company_id: str, conversation_id: str) -> tuple[ToolUsage, ...]:
        """A conversation's uses of tools, in the order of their questions."""
        return self._tool_usages.list_of_conversation(company_id, conversation_id)

    def list_failed_tasks(self, company_id: str, limit: int = 50) -> tuple[Task, ...]:
        """A company's failed tasks, the last one first."""
        return self._tasks.list_failed(company_id, limit)

    def month_usage(self, company_id: str, month: str) -> tuple[UsageCounter, ...]:
        """What a company used in a month such as `2026-11`: the sum first, then every person's days."""
        return self._counters.month(company_id, date.fromisoformat(f"{month}-01"))

    def day_usage(self, company_id: str, user_id: str, day: date) -> UsageCounter:
        """What one person used on one day (UTC), for limits; one request, may lag a moment behind."""
        return self._counters.day(company_id, user_id, day)

    def company_month_usage(self, company_id: str, month: str) -> UsageCounter:
        """What a company used in a month such as `2026-11`; one request, however many people it has."""
        return self._counters.company_month(company_id, date.fromisoformat(f"{month}-01"))
