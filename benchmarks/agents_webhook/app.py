"""The peer: a Teams webhook on Lambda, of Microsoft's own check of tokens and reader of activities, and boto3."""

import asyncio
import os
from typing import Any

import boto3
from microsoft_agents.activity import Activity
from microsoft_agents.hosting.core.authorization import AgentAuthConfiguration, JwtTokenValidator
from microsoft_agents.hosting.core.authorization import _entra_issuers as issuers

# Where the keys of the Bot Framework are is no setting of theirs.
issuers.BOTFRAMEWORK_JWKS_URIS[os.environ["TEAMS_TOKEN_ISSUER"]] = os.environ["PEER_KEYS_URL"]
validator = JwtTokenValidator(AgentAuthConfiguration(client_id=os.environ["TEAMS_APP_ID"]))
loop = asyncio.new_event_loop()
sqs = boto3.client("sqs")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Lambda entry point."""
    token = event["headers"]["authorization"].removeprefix("Bearer ")
    loop.run_until_complete(validator.validate_token(token))
    activity = Activity.model_validate_json(event["body"])
    sqs.send_message(
        QueueUrl=os.environ["MESSAGES_QUEUE_URL"],
        MessageBody=activity.model_dump_json(by_alias=True, exclude_unset=True),
        MessageGroupId=activity.conversation.id,
        MessageDeduplicationId=activity.id,
    )
    return {"statusCode": 200, "body": ""}
