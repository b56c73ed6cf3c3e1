"""The views.* methods: the home tab and forms.

https://docs.slack.dev/reference/methods/views.open
"""

from local.fake_slack.arguments import Arguments, SlackError, missing_field
from local.fake_slack.chat import check_blocks
from local.fake_slack.state import App, SlackState

_MOST_BLOCKS = 100
TRIGGER_SECONDS = 3.0


def publish_view(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """views.publish: the home tab of one person."""
    user = state.user(app, arguments.required("user_id"))
    view = _read_view(arguments, "home")
    with state.changed:
        state.homes[app.team_id, user.id] = view
        state.touch(None)
    return {"view": view}


def open_view(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """views.open: a form, once for each thing that a person did, and at once."""
    trigger = arguments.required("trigger_id")
    view = _read_view(arguments, "modal")
    with state.changed:
        made_at = state.triggers.get(trigger)
        if made_at is None:
            raise SlackError("invalid_trigger_id")
        if trigger in state.forms:
            raise SlackError("exchanged_trigger_id")
        if state.clock() - made_at > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        state.forms[trigger] = view
        state.touch(None)
    return {"view": view | {"id": f"V{len(state.forms):09}", "team_id": app.team_id}}


def _read_view(arguments: Arguments, kind: str) -> dict[str, object]:
    view = arguments.object_or_none("view", error="invalid_arguments")
    if view is None:
        raise missing_field("view")
    blocks = view.get("blocks")
    if view.get("type") != kind or not isinstance(blocks, list) or len(blocks) > _MOST_BLOCKS:
        raise SlackError("invalid_arguments")
    for start in range(0, len(blocks), 50):
        check_blocks(blocks[start : start + 50])
    return view
