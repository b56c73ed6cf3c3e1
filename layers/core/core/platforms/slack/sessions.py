"""That the assistant is at work, as Slack shows it: an agent session with Slack's own Stop button, else a status line.

https://docs.slack.dev/ai/agent-sessions. Only an app that its manifest declares as an agent has sessions. All of it is
a courtesy: what Slack refuses here is no failure of the turn.
"""

from core.errors import ServiceError
from core.labels import label
from core.platforms import Connection, ReplyTarget
from core.platforms.slack.api import SlackApi, SlackRefusedError

_SESSIONS = "agents.sessions.setStatus"
_REFUSED_SECONDS = 900.0  # an app that is no agent is not asked again for a while
_OFFERED, _REFUSED = "offered", "refused"
_NOT_TOLD = "missing_agent_session_stopped_event_subscription"  # then Slack shows no button


class Sessions:
    """The session of one turn."""

    def __init__(self, connection: Connection, api: SlackApi) -> None:
        self._connection = connection
        self._api = api
        self._begun: ReplyTarget | None = None
        self.has_stop_button = False  # one of Slack's own

    def begin(self, target: ReplyTarget) -> None:
        """Show that the assistant works in the target's thread."""
        if not target.address.thread_id or target.is_private:
            return
        if self._connection.kept.get(self._key, lambda: (_OFFERED, _REFUSED_SECONDS)) == _OFFERED:
            try:
                warning = self._set(target, "processing")
            except SlackRefusedError:
                self._connection.kept.forget(self._key)
                self._connection.kept.get(self._key, lambda: (_REFUSED, _REFUSED_SECONDS))
            except ServiceError:
                return
            else:
                self._begun, self.has_stop_button = target, _NOT_TOLD not in warning
                return
        self._show_status(target)

    def end(self) -> None:
        """The work is done: Slack's Stop button goes."""
        target, self._begun, self.has_stop_button = self._begun, None, False
        if target is not None:
            try:
                self._set(target, "active", is_patient=True)
            except ServiceError:
                return

    @property
    def _key(self) -> tuple[str, str]:
        return "slack-sessions", self._connection.installation.workspace_id

    def _set(self, target: ReplyTarget, status: str, *, is_patient: bool = False) -> str:
        address = target.address
        arguments = {"channel_id": address.channel_id, "thread_ts": address.thread_id, "status": status}
        return str(self._api.call(_SESSIONS, arguments, is_patient=is_patient).get("warning", ""))

    def _show_status(self, target: ReplyTarget) -> None:
        address = target.address
        arguments = {
            "channel_id": address.channel_id,
            "thread_ts": address.thread_id,
            "status": label("working", target.language),
        }
        try:
            self._api.call("assistant.threads.setStatus", arguments)
        except ServiceError:
            return
