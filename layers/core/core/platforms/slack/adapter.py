"""Slack: who a person is, what a file holds, and everything that is said into a channel or a direct message."""

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

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
from core.platforms.slack import blocks, files, placing
from core.platforms.slack.api import SlackApi, SlackRefusedError
from core.platforms.slack.format import to_markdown
from core.platforms.slack.private import PrivateReply, RetreatingReply
from core.platforms.slack.reply import Buttons, SlackReply
from core.platforms.slack.sessions import Sessions

_PERSON_UNKNOWN = frozenset({"user_not_found", "users_not_found", "user_not_visible"})
_LONGEST_NAME = 200  # characters


def connect(connection: Connection) -> Outbound:
    """Slack's outbound half for one installation."""
    return Slack(connection)


class Slack:
    """One installation of the app in a Slack workspace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._api = SlackApi(connection)
        self._sessions = Sessions(connection, self._api)

    def identify(self, external_user_id: str, at: MessageReceived | SignalReceived) -> Person:  # noqa: ARG002
        """Who Slack says this user is, wherever met; no e-mail where Slack keeps it back or nobody has confirmed it.

        Raises:
            RetryableError: Slack cannot say now.
            PermanentError: The user is unknown or deactivated there, or the token is revoked.
        """
        try:
            user = self._api.read("users.info", {"user": external_user_id}).get("user")
        except SlackRefusedError as exc:
            if exc.word in _PERSON_UNKNOWN:
                raise PermanentError("person-unknown", "Slack knows no such user") from exc
            raise
        if not isinstance(user, dict):
            raise RetryableError("answer-malformed", "Slack's answer to users.info holds no user")
        if user.get("deleted") is True:
            raise PermanentError("person-deactivated", "the Slack user is deactivated")
        profile = user.get("profile")
        profile = profile if isinstance(profile, dict) else {}
        email = profile.get("email")
        is_trusted = isinstance(email, str) and "@" in email and user.get("is_email_confirmed") is not False
        names = (profile.get("real_name"), profile.get("display_name"), user.get("real_name"), user.get("name"))
        workspace_id = self._workspace_of(user)
        return Person(
            external_user_id=external_user_id,
            workspace_id=workspace_id,
            email=email if is_trusted else None,
            name=next((name for name in names if isinstance(name, str) and name), external_user_id)[:_LONGEST_NAME],
            is_bot=user.get("is_bot") is True,
        )

    def _workspace_of(self, user: Mapping[str, object]) -> str:
        """Where a user belongs: the installation's organisation, where the user is one of its people; else a team."""
        own, team = self._connection.installation.workspace_id, user.get("team_id")
        organisation = user.get("enterprise_user")
        if isinstance(organisation, dict) and organisation.get("enterprise_id") == own:
            return own
        return team if isinstance(team, str) else own

    def fetch_file(self, file: FileReference, *, max_bytes: int) -> bytes:
        """The bytes of an attached file. The token goes to Slack's own hosts and nowhere else.

        Raises:
            PermanentError: The host is not Slack's, the file is too large, gone, or not readable with this token.
            RetryableError: Slack cannot give it now.
        """
        return files.fetch(self._connection, file, max_bytes=max_bytes)

    def stream_file(self, file: FileReference, *, max_bytes: int, seconds: float) -> Generator[bytes]:
        """The same piece by piece, for a file that is too large to be held. Raises what `fetch_file` raises."""
        return files.stream(self._connection, file, max_bytes=max_bytes, seconds=seconds)

    def place(self, message: MessageReceived) -> MessageReceived:
        """`message` where its conversation goes on: a command gets a message of its own, and is in its thread."""
        return placing.place(self._api, message)

    def open_reply(self, target: ReplyTarget, *, posted: Posted) -> Reply:
        """Start an answer. `posted` is called with all ids as soon as a message was made, before any more."""
        if target.is_private or placing.is_command(target.in_reply_to):
            return self._open_private(target, posted)
        buttons, monotonic = self._buttons(target), self._connection.monotonic
        reply = SlackReply(self._api, target, posted=posted, monotonic=monotonic, buttons=buttons)
        ending = _EndingReply(reply, self._sessions)
        return (
            RetreatingReply(ending, target, partial(self._open_private, posted=posted)) if target.reply_url else ending
        )

    def _open_private(self, target: ReplyTarget, posted: Posted) -> PrivateReply:
        return PrivateReply(self._connection, self._api, target, posted=posted)

    def _buttons(self, target: ReplyTarget) -> Buttons | None:
        if not (target.stop_reference or target.feedback_reference or target.outgoing_ids):
            return None
        stop = [blocks.stop_button(target.stop_reference, target.language)] if target.stop_reference else []
        is_stop_there = self._sessions.has_stop_button
        feedback = target.feedback_reference
        return Buttons(
            arriving=[] if is_stop_there else stop,
            streaming=[] if is_stop_there else stop,
            finished=[blocks.feedback_buttons(feedback, target.language)] if feedback else [],
        )

    def show_working(self, target: ReplyTarget) -> None:
        """Show that the assistant is at work, with Slack's own Stop button where the app is an agent."""
        self._sessions.begin(target)

    def open_chat(self, external_user_id: str, at: MessageReceived) -> Address:
        """The direct message with this person. Needs a right (`im:write`) that earlier installations do not have.

        Raises:
            RetryableError: Slack cannot say now.
            PermanentError: Slack does not let the assistant write to this person.
        """
        channel = self._api.call("conversations.open", {"users": external_user_id}, is_patient=True).get("channel")
        channel_id = channel.get("id") if isinstance(channel, dict) else None
        if not isinstance(channel_id, str):
            raise RetryableError("answer-malformed", "Slack's answer to conversations.open holds no channel")
        return Address(
            platform="slack", workspace_id=at.address.workspace_id, channel_id=channel_id, thread_id="", is_direct=True
        )

    def ask(self, target: ReplyTarget, question: Question, *, posted: Posted) -> tuple[str, ...]:
        """Show `question` with its buttons, once. Raises as `SlackReply.finish` does."""
        buttons = [blocks.question_buttons(question)]
        return self._say(target, question.text, buttons, part=question.buttons[0].reference, posted=posted)

    def close_question(self, target: ReplyTarget, ids: tuple[str, ...], text: str) -> None:
        """Let the messages of a question say `text`, without buttons."""
        self._say(replace(target, outgoing_ids=ids, search_from=None), text, [], part=None, posted=lambda _: None)

    def _say(
        self, target: ReplyTarget, text: str, below: list[blocks.Block], *, part: str | None, posted: Posted
    ) -> tuple[str, ...]:
        """A message that is no answer: never streamed, found again by its `part`."""
        buttons = Buttons(arriving=below, finished=below)
        monotonic = self._connection.monotonic
        reply = SlackReply(self._api, target, posted=posted, monotonic=monotonic, buttons=buttons, part=part)
        return reply.finish(text)

    def welcome(self, target: ReplyTarget, welcome: Welcome) -> None:
        """Greet in an assistant's thread and offer prompts. The messages tab is opened often: there it only offers."""
        address = target.address
        if address.thread_id:
            self._say(target, welcome.greeting, [], part="welcome", posted=lambda _: None)
        thread = {"thread_ts": address.thread_id} if address.thread_id else {}
        prompts = [{"title": each.title, "message": each.message} for each in welcome.prompts[:4]]
        arguments = {"channel_id": address.channel_id, **thread, "prompts": prompts}
        with suppress(SlackRefusedError):  # an app that is no agent has none
            self._api.call("assistant.threads.setSuggestedPrompts", arguments, is_patient=True)

    def show_home(self, external_user_id: str, home: HomePage) -> None:
        """Show the person's home tab."""
        view = blocks.home_view(home)
        self._api.call("views.publish", {"user_id": external_user_id, "view": view}, is_patient=True)

    def ask_for_comment(self, trigger_id: str, form: CommentForm) -> bool:
        """Open a form; False where the three seconds in which Slack allows it have passed."""
        if not trigger_id:
            return False
        try:
            self._api.call("views.open", {"trigger_id": trigger_id, "view": blocks.comment_view(form)})
        except ServiceError:
            return False
        return True

    def share_file(self, target: ReplyTarget, file: SharedFile, *, posted: Posted) -> tuple[str, ...]:
        """Upload a file of up to 20 MB into the thread, else say where it is, where that is not said already."""
        if file_id := files.share(self._connection, self._api, target, file):
            posted((*target.outgoing_ids, file_id))
            return (*target.outgoing_ids, file_id)
        if not file.fallback:
            return target.outgoing_ids
        if target.is_private:
            return self._open_private(target, posted).finish(file.fallback)
        return self._say(target, file.fallback, [], part=f"file:{file.name}"[:200], posted=posted)

    def read_text(self, message: MessageReceived) -> str:
        """What the person wrote, as Markdown: mentions of the assistant removed, others made readable."""
        return to_markdown(message.text, message.bot_user_id)


class _EndingReply:
    """A reply whose end is the end of the session, too."""

    def __init__(self, reply: SlackReply, sessions: Sessions) -> None:
        self._reply = reply
        self._sessions = sessions

    @property
    def outgoing_ids(self) -> tuple[str, ...]:
        """Ids of the platform messages posted so far, in order."""
        return self._reply.outgoing_ids

    def append(self, text: str) -> None:
        """Show more of the answer."""
        self._reply.append(text)

    def finish(self, text: str) -> tuple[str, ...]:
        """Make Slack show exactly `text`, whole; then the session is no longer at work."""
        ids = self._reply.finish(text)
        self._sessions.end()
        return ids
