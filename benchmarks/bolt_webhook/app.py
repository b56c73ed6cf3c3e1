"""The peer: a Slack webhook on Lambda the way slack_bolt documents it, with a lazy listener."""

import os
from typing import Any

from slack_bolt import Ack, App
from slack_bolt.adapter.aws_lambda import SlackRequestHandler
from slack_sdk import WebClient

# `token_verification_enabled=False` spares the peer one call to Slack at every cold start.
app = App(
    process_before_response=True,
    client=WebClient(token=os.environ["PEER_BOT_TOKEN"], base_url=os.environ["SLACK_API_BASE_URL"]),
    signing_secret=os.environ["SLACK_SIGNING_SECRET"],
    token_verification_enabled=False,
)
slack_handler = SlackRequestHandler(app)


def acknowledge(ack: Ack) -> None:
    """What Slack waits for."""
    ack()


def answer(body: dict[str, Any]) -> None:
    """The work itself: it runs in the second invocation, which is not measured."""


app.event("app_mention")(ack=acknowledge, lazy=[answer])


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point."""
    response: dict[str, Any] = slack_handler.handle(event, context)  # type: ignore[no-untyped-call] # untyped there
    return response
