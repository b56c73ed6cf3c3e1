"""What a person asks, as it stands now: read with its files, stored, and read again when the person changed it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent import entries
from agent.attachments import Attachments, Occasion
from agent.collaborators import Collaborators
from agent.language import detect_language
from agent.revisions import QuestionDeletedError, leave_out_erased
from core.configuration import Input, Limits
from core.events import MessageReceived
from core.models import Message, Role, Time
from core.platforms import Outbound
from core.queues import Delivery
from core.store import Claim, Opening, Store, Summary, keys


@dataclass(frozen=True, slots=True)
class Past:
    """What was said before a question.

    Attributes:
        messages: Those that the prompt may show, one more if there is one, and what was erased.
        summary: What stands for those before them.
    """

    messages: Sequence[Message]
    summary: Summary | None

    @classmethod
    def recall(cls, store: Store, claim: Claim, limits: Limits) -> "Past":
        """Read it: one request, and one more for a summary."""
        conversation = claim.conversation
        summary = store.recollections.find_summary(conversation)
        messages = store.history(
            claim,
            limit=limits.history_messages + 1,
            before=keys.message_id(conversation.id, keys.ulid_of(claim.task_id)),
            after=summary.until if summary else None,
        )
        return cls(messages, summary)

    @property
    def history(self) -> tuple[Message, ...]:
        """The messages that the prompt may show."""
        return leave_out_erased(self.messages)

    @property
    def answered_ids(self) -> frozenset[str]:
        """The platform's messages that hold earlier answers."""
        return frozenset(i for m in self.messages if m.role is Role.ASSISTANT for i in m.outgoing_ids)

    @property
    def language(self) -> str | None:
        """What people last spoke."""
        return next((m.language for m in reversed(self.history) if m.role is Role.USER and m.language), None)


class Reading:
    """One message, in the form in which it is to be answered.

    Attributes:
        message: What was delivered, with the text that counts.
        text: What is written in it.
        language: Of its person; None before it is known.
        edited_at: When its person changed it last; None for the message as it was sent.
    """

    def __init__(
        self,
        delivery: Delivery[MessageReceived],
        outbound: Outbound,
        collaborators: Collaborators,
        fill: Callable[[Input], Input],
        check_budget: Callable[[], None],
    ) -> None:
        self._delivery = delivery
        self._outbound = outbound
        self._use = collaborators
        self._store = collaborators.store
        self._fill = fill
        self._check_budget = check_budget
        self.message = delivery.message
        self.text = entries.read_question(self.message, outbound.read_text(self.message))
        self.language: str | None = None
        self.edited_at: Time | None = None

    def save(self, claim: Claim, opening: Opening, input_: Input, past: Past) -> tuple[Message, Message | None]:
        """Store the question, after the instructions where it is the first one.

        Returns:
            The question, and what stands in its place already; None where it is stored now.
        """
        conversation, ulid = claim.conversation, keys.ulid_of(claim.task_id)
        question_id = keys.message_id(conversation.id, ulid)
        is_again = self._delivery.attempt > 1 or self.edited_at is not None
        attached = Attachments(self._store.files, self._use.model.transcribe).read(
            Occasion(self._delivery, claim, question_id, input_, self._outbound, self._check_budget, is_again=is_again)
        )
        attached.written = self._outbound.read_text(self.message)
        self.language = detect_language(attached.prose(self.text), previous=past.language)
        written = entries.make_question(
            self.message,
            conversation,
            user_id=opening.user_id,
            ulid=ulid,
            text=self.text,
            parent_id=past.messages[-1].id if past.messages else None,
            language=self.language,
            edited_at=self.edited_at,
        )
        question = attached.complete(written)
        self.language = question.language
        system = entries.make_system_message(
            opening,
            conversation_id=conversation.id,
            ulid=ulid,
            prompt="\n\n".join(self._fill(input_).prompts),
            now=self._use.clock(),
        )
        is_first = not past.messages and past.summary is None
        return question, self._store.questions.save(claim, question, opening_message=system if is_first else None)

    def is_current(self, claim: Claim, question: Message, standing: Message) -> bool:
        """Whether `question` is what its person says now; if not, it is to be saved and read again.

        Raises:
            QuestionDeletedError: The person took it back.
        """
        if standing.deleted_at:
            if self.message.files:  # stored since
                self._store.files.forget(claim.conversation.user_company_id, question.id)
            raise QuestionDeletedError
        if standing.edited_at != self.edited_at:
            self.edited_at = standing.edited_at
            self.message = self.message.model_copy(update={"text": standing.user_prompt or ""})
            self.text = entries.read_question(self.message, self._outbound.read_text(self.message))
            return False
        return standing.edited_at is None or self._store.questions.replace(claim, question)
