"""What Slack offers to apps that are agents: sessions with a Stop button, a status, suggested prompts.

https://docs.slack.dev/ai/agent-sessions, https://docs.slack.dev/reference/methods/assistant.threads.setStatus. The word
for an app that is no agent is not documented; ours is made up.
"""

from local.fake_slack.arguments import Arguments, SlackError, missing_field
from local.fake_slack.state import App, SlackState

_SESSION_STATUSES = ("active", "processing", "suspended", "closed")
_MOST_PROMPTS = 4


def set_session_status(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """agents.sessions.setStatus: while it is `processing`, Slack shows a Stop button of its own."""
    channel = state.channel(app, arguments.required("channel_id"))
    thread_ts = arguments.ts("thread_ts", error="invalid_thread_ts")
    status = arguments.required("status")
    if thread_ts is None:
        raise missing_field("thread_ts")
    if status not in _SESSION_STATUSES:
        raise SlackError("invalid_arguments")
    if not app.is_agent:
        raise SlackError("not_an_agent")
    with state.changed:
        state.sessions[channel.id, thread_ts] = status
        state.touch(None)
    return {"agent_status": status}


def set_status(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """assistant.threads.setStatus: shown until the app speaks in the thread or sends an empty one."""
    channel = state.channel(app, arguments.required("channel_id"))
    thread_ts = arguments.ts("thread_ts", error="invalid_thread_ts")
    if thread_ts is None:
        raise missing_field("thread_ts")
    state.set_status(channel.id, thread_ts, arguments.text("status"))
    return {}


def set_suggested_prompts(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """assistant.threads.setSuggestedPrompts."""
    channel = state.channel(app, arguments.required("channel_id"))
    thread_ts = arguments.ts("thread_ts", error="invalid_thread_ts")
    prompts = arguments.objects("prompts", error="invalid_prompts")
    if not app.is_agent:
        raise SlackError("not_an_agent")
    if not 1 <= len(prompts) <= _MOST_PROMPTS or any({"title", "message"} - set(prompt) for prompt in prompts):
        raise SlackError("invalid_prompts")
    with state.changed:
        state.prompts[channel.id, thread_ts or ""] = prompts
        state.touch(None)
    return {}
