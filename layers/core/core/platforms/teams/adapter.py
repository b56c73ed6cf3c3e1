"""Microsoft Teams: who a person is, what a file holds, and everything that is said into a chat or a channel."""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace

from core.errors import PermanentError, RetryableError, ServiceError
from core.events import FileReference, MessageReceived, SignalReceived
from core.models import Address
from core.platforms import (
    CommentForm,
    Connection,
    HomePage,
    Outbound,
    Person,
    Posted,
    Question,
    Reply,
    ReplyTarget,
    SharedFile,
    Welcome,
)
from core.platforms.teams import cards
from core.platforms.teams.api import Json, TeamsApi, TeamsRefusedError, conversation_id
from core.platforms.teams.format import measure, to_markdown, to_teams
from core.platforms.teams.hosts import is_known, split_hosts
from core.platforms.teams.reply import TeamsReply, clean
from core.splitting import split

_FILE_SECONDS = 30.0
_LONGEST_NAME = 200  # characters
_LONGEST_TEXT = 12_000  # UTF-16 units of one message
_MOST_PROMPTS = 6


def connect(connection: Connection) -> Outbound:
    """Teams's outbound half for one installation."""
    return Teams(connection)


class Teams:
    """The app in one tenant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._api = TeamsApi(connection)
        self._file_hosts = split_hosts(connection.options["file_hosts"])

    def identify(self, external_user_id: str, at: MessageReceived | SignalReceived) -> Person:
        """Who Teams says this person is, as a member of the conversation that `at` belongs to.

        Raises:
            RetryableError: Teams cannot say now.
            PermanentError: The person is unknown there, or the app's secret is refused.
        """
        path = (conversation_id(at.address), "members", external_user_id)
        try:
            member = self._api.call("GET", at.reply_url, path, is_patient=True)
        except TeamsRefusedError as exc:
            if exc.status == 404:
                raise PermanentError("person-unknown", "Teams knows no such person there") from exc
            raise
        return _read_person(external_user_id, at.address.workspace_id, member)

    def fetch_file(self, file: FileReference, *, max_bytes: int) -> bytes:
        """The bytes of an attached file. The app's token goes to the connector's hosts and nowhere else.

        Raises:
            PermanentError: The host is not Microsoft's, the file is too large, gone, or its link has expired.
            RetryableError: The host cannot give it now.
        """
        return b"".join(self.stream_file(file, max_bytes=max_bytes, seconds=_FILE_SECONDS))

    def stream_file(self, file: FileReference, *, max_bytes: int, seconds: float) -> Generator[bytes]:
        """The same piece by piece, for a file that is too large to be held. Raises what `fetch_file` raises."""
        is_own = self._api.is_service(file.url)
        if not is_own and not is_known(file.url, self._file_hosts):
            raise PermanentError("file-host-refused", "the file is not kept at Microsoft")
        if file.size > max_bytes:
            raise PermanentError("file-too-large", f"the file is over {max_bytes} bytes")
        try:
            with self._api.download(file.url, seconds=seconds, max_bytes=max_bytes, is_own=is_own) as answer:
                if answer.status in (404, 410):
                    raise PermanentError("file-gone", "Teams no longer has the file")
                if answer.status != 200:
                    raise PermanentError("file-not-readable", f"the file's host answered {answer.status}")
                yield from answer.pieces
        except RetryableError as exc:
            if exc.code == "answer-too-long":
                raise PermanentError("file-too-large", f"the file is over {max_bytes} bytes") from exc
            raise

    def place(self, message: MessageReceived) -> MessageReceived:
        """`message` as it came: Teams's commands are messages."""
        return message

    def open_reply(self, target: ReplyTarget, *, posted: Posted) -> Reply:
        """Start an answer. `posted` is called with all ids as soon as a message was made, before any more."""
        return TeamsReply(self._api, target, posted=posted, monotonic=self._connection.monotonic)

    def show_working(self, target: ReplyTarget) -> None:
        """Show the dots of somebody who writes."""
        with suppress(ServiceError):
            self._post(target, {"type": "typing"})

    def open_chat(self, external_user_id: str, at: MessageReceived) -> Address:
        """The personal chat with this person.

        https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/send-proactive-messages

        Raises:
            RetryableError: Teams cannot say now.
            PermanentError: The person does not have the app, or blocked it.
        """
        tenant = at.address.workspace_id
        wanted: Json = {
            "isGroup": False,
            "bot": {"id": at.bot_user_id},
            "members": [{"id": external_user_id}],
            "tenantId": tenant,
            "channelData": {"tenant": {"id": tenant}},
        }
        made_id = self._api.call("POST", at.reply_url, (), wanted, is_patient=True).get("id")
        if not isinstance(made_id, str):
            raise RetryableError("answer-malformed", "the connector names no conversation")
        return Address(platform="teams", workspace_id=tenant, channel_id=made_id, thread_id="", is_direct=True)

    def ask(self, target: ReplyTarget, question: Question, *, posted: Posted) -> tuple[str, ...]:
        """Show `question` with its buttons, once. Raises as `TeamsReply.finish` does."""
        return self._say(target, question.text, posted, [cards.question_card(question.buttons)])

    def close_question(self, target: ReplyTarget, ids: tuple[str, ...], text: str) -> None:
        """Let the messages of a question say `text`, without buttons."""
        self._say(replace(target, outgoing_ids=ids), text, lambda _: None, [])

    def welcome(self, target: ReplyTarget, welcome: Welcome) -> None:
        """Greet, and offer what could be asked as buttons that say it."""
        prompts = welcome.prompts[:_MOST_PROMPTS]
        below = [cards.prompts_card(prompts)] if prompts else []
        self._say(target, welcome.greeting, lambda _: None, below)

    def show_home(self, external_user_id: str, home: HomePage) -> None:
        """Nothing: a page in Teams would be a web application of its own."""

    def ask_for_comment(self, trigger_id: str, form: CommentForm) -> bool:  # noqa: ARG002 - Teams has its own form
        """False: Teams asks for a comment by itself, below its thumbs."""
        return False

    def share_file(self, target: ReplyTarget, file: SharedFile, *, posted: Posted) -> tuple[str, ...]:
        """Say where the file is: a bot may put one only where a person has consented to each."""
        return self._say(target, file.fallback, posted, []) if file.fallback else target.outgoing_ids

    def read_text(self, message: MessageReceived) -> str:
        """What the person wrote, as Markdown: the assistant's own name removed, others readable."""
        return to_markdown(message.text, message.bot_user_id)

    def _say(self, target: ReplyTarget, text: str, posted: Posted, below: list[Json]) -> tuple[str, ...]:
        """A message that is no answer, in place of `target.outgoing_ids` if there are some, with `below` under it."""
        parts = split(clean(text).strip(), _LONGEST_TEXT, to_teams, measure)
        ids = list(target.outgoing_ids)
        for place, part in enumerate(parts):
            attachments = below if place == len(parts) - 1 else []
            made = cards.message(to_teams(part) or "…", attachments=attachments)
            if place < len(ids) and self._edit(target, ids[place], made):
                continue
            answer = self._post(target, made)
            made_id = answer.get("id")
            if not isinstance(made_id, str):
                raise RetryableError("answer-malformed", "the connector names no message", is_outcome_unknown=True)
            ids[place : place + 1] = [made_id]
            posted(tuple(ids))
        return tuple(ids)

    def _post(self, target: ReplyTarget, activity: Json) -> Json:
        path = (conversation_id(target.address), "activities")
        return self._api.call("POST", target.reply_url, path, activity, is_patient=activity["type"] == "message")

    def _edit(self, target: ReplyTarget, activity_id: str, activity: Json) -> bool:
        path = (conversation_id(target.address), "activities", activity_id)
        try:
            self._api.call("PUT", target.reply_url, path, activity, is_patient=True)
        except TeamsRefusedError as exc:
            if exc.status != 404:
                raise
            return False
        return True


def _read_person(external_user_id: str, workspace_id: str, member: Json) -> Person:
    """A member of a conversation. One of another tenant says so, and is no colleague whatever the e-mail says."""
    tenant = member.get("tenantId")
    emails = [each for each in (member.get("email"), member.get("userPrincipalName")) if isinstance(each, str)]
    name = member.get("name")
    return Person(
        external_user_id=external_user_id,
        workspace_id=tenant.lower() if isinstance(tenant, str) and tenant else workspace_id,
        email=next((each for each in emails if "@" in each and "#EXT#" not in each), None),
        name=(name if isinstance(name, str) and name else external_user_id)[:_LONGEST_NAME],
        is_bot=member.get("userRole") == "bot",
    )
