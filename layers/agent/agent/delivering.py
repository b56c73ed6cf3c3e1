"""A turn's answer on its platform: begun, shown while it arrives, finished; where it stands is remembered in time."""

from collections.abc import Callable
from datetime import datetime

from agent.entries import Answered
from agent.stopping import TurnStoppedError
from core.errors import PermanentError, ServiceError
from core.events import MessageReceived
from core.models import Message, Task
from core.platforms import Outbound, Reply, ReplyStoppedError, reply_to
from core.store import Claim, ClaimLostError, Store, keys
from core.telemetry import logger, metrics
from core.texts import say, speak


class Delivering:
    """The answer to one message, as far as it can be seen.

    Attributes:
        shown: What was begun; None before.
        stored_reply: The reply in the table, once there is one.
        failed_task: The task, once it has failed for good.
        conversation_id: Where the message is answered; set before anything is opened.
        language: Of the person, once it is known.
    """

    def __init__(
        self,
        message: MessageReceived,
        outbound: Outbound,
        store: Store,
        company_id: str,
        clock: Callable[[], datetime],
        *,
        is_again: bool,
    ) -> None:
        self._message = message
        self._outbound = outbound
        self._store = store
        self._company_id = company_id
        self._clock = clock
        self._is_again = is_again
        self._ulid = keys.question_ulid(message.address, message.external_message_id, message.sent_at)
        self.conversation_id = ""
        self.language: str | None = None
        self.shown: Reply | None = None
        self.stored_reply: Message | None = None
        self.failed_task: Task | None = None

    def open(
        self,
        known: tuple[str, ...],
        answered_ids: frozenset[str],
        *,
        is_redelivery: bool,
        claim: Claim | None = None,
    ) -> Reply:
        """Begin, or go on in the platform's messages that are `known`; the claim is ours."""

        def remember(ids: tuple[str, ...]) -> None:
            if self.stored_reply is not None:
                self._store.save_outgoing_ids(self._company_id, self.stored_reply, ids)
            elif self.failed_task is not None:
                self._store.save_task_outgoing_ids(self._company_id, self.failed_task, ids)
            elif claim is not None:
                self._store.mark_streaming(claim, outgoing_ids=ids, now=self._clock())

        target = reply_to(
            self._message,
            outgoing_ids=known,
            is_unrecorded=is_redelivery or self._is_again,
            answered_ids=answered_ids,
            is_alone=True,  # the claim is ours
            stop_reference=keys.task_id(self.conversation_id, self._ulid),
            feedback_reference=keys.message_id(self.conversation_id, keys.reply_ulid(self._ulid)),
            language=self.language,
        )
        if claim is not None:
            self._outbound.show_working(target)
        self.shown = self._outbound.open_reply(target, posted=remember)
        return self.shown

    def show(self, shown: Reply, text: str) -> None:
        """A piece of the answer, if the platform takes it now.

        Raises:
            TurnStoppedError: The person stopped it there.
        """
        try:
            shown.append(text)
        except ClaimLostError:
            raise
        except ReplyStoppedError as exc:
            raise TurnStoppedError from exc
        except ServiceError as exc:
            # The answer is paid for: it is taken to its end, stored, and delivered when the platform takes it.
            logger.warning("answer not shown yet", extra={**self.about(), "code": exc.code})

    def finish(self, reply: Message, shown: Reply) -> str:
        """Deliver a stored reply to its end; how that ended, in a word."""
        try:
            ids = shown.finish(speak(reply))
        except PermanentError as exc:
            logger.error("answer cannot be delivered", extra={**self.about(), "code": exc.code})
            return "undeliverable"
        if ids != reply.outgoing_ids:
            self._store.save_outgoing_ids(self._company_id, reply, ids)
        return "answered"

    def tell_failure(self, text: str) -> None:
        """Say that there will be no answer, after whatever was shown of it."""
        shown = self.shown or self.open((), frozenset(), is_redelivery=False)
        try:
            ids = shown.finish(text)
        except PermanentError as exc:
            logger.error("failure cannot be told", extra={**self.about(), "code": exc.code})
        else:
            if self.failed_task is not None:
                self._store.save_task_outgoing_ids(self._company_id, self.failed_task, ids)

    def tell_withdrawn(self, task: Task) -> None:
        """Say in place of what was shown that the question was deleted."""
        self.failed_task = task
        shown = self.open(task.outgoing_ids, frozenset(), is_redelivery=True)
        try:
            shown.finish(say("withdrawn", self.language))
        except PermanentError as exc:
            logger.error("end cannot be told", extra={**self.about(), "code": exc.code})

    def measure(self, answered: Answered) -> None:
        """Count what the answer took."""
        platform = self._message.address.platform
        metrics.milliseconds("TimeToFirstToken", answered.time_to_first_token_ms, platform=platform)
        metrics.milliseconds("TurnDuration", answered.duration_ms, platform=platform)
        if usage := answered.usage:
            metrics.count("InputTokens", usage.input_tokens, platform=platform)
            metrics.count("OutputTokens", usage.output_tokens, platform=platform)

    def about(self) -> dict[str, str]:
        """What log lines about this turn say."""
        return {"correlation_id": self._message.correlation_id}
