"""Gives a fresh stack its demo company, its person and its Slack installation, through the operators' own commands."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import urllib3

from local.fake_slack.demo import DEMO
from local.fake_teams.demo import DEMO as TEAMS
from local.processes import LocalError, run
from local.stack import PROJECT, Demo, Stack

COMPANY_ID = "acme"
_USER_ID = "demo-user"
_TOKEN_VARIABLE = "PARLEY_SEED_BOT_TOKEN"
_STRANGER = {"id": "U0GRACE001", "name": "grace", "email": "grace@demo.example"}


@dataclass(frozen=True, slots=True)
class Bot:
    """Who a bot token belongs to, as Slack says."""

    team_id: str
    bot_user_id: str
    bot_id: str


def identify_bot(base_url: str, token: str) -> Bot:
    """Ask Slack whose token this is.

    Raises:
        LocalError: Slack cannot be reached, or does not know the token.
    """
    try:
        response = urllib3.request(
            "POST", f"{base_url}auth.test", headers={"Authorization": f"Bearer {token}"}, timeout=10, retries=False
        )
        answer = json.loads(response.data)
    except (urllib3.exceptions.HTTPError, ValueError) as exc:
        msg = f"Slack does not answer at {base_url}: {type(exc).__name__}"
        raise LocalError(msg) from exc
    if not answer.get("ok"):
        msg = f"Slack refuses SLACK_BOT_TOKEN: {answer.get('error')}"
        raise LocalError(msg)
    return Bot(answer["team_id"], answer["user_id"], answer.get("bot_id", ""))


def demo_of(bot: Bot, user_email: str | None) -> Demo:
    """The demo's ids in the workspace of this bot."""
    return Demo(
        company_id=COMPANY_ID,
        user_id=_USER_ID,
        user_email=user_email or DEMO.user_email,
        team_id=bot.team_id,
        channel_id=DEMO.channel_id,
        slack_user_id=DEMO.user_id,
        bot_user_id=bot.bot_user_id,
        bot_id=bot.bot_id,
    )


def seed(stack: Stack, stack_file: Path, *, logs: Path) -> None:
    """Fill the directory. Doing it again changes nothing.

    Raises:
        LocalError: A command failed.
    """
    demo = stack.demo
    if stack.fake_slack_url:
        _add_stranger(stack.fake_slack_url, demo.team_id)
    user = ["--company", demo.company_id, "--email", demo.user_email, "--name", "Alice Demo", "--id", demo.user_id]
    installation = ["--company", demo.company_id, "--platform", "slack", "--workspace", demo.team_id]
    installation += ["--bot-user-id", demo.bot_user_id, "--bot-id", demo.bot_id, "--token-env", _TOKEN_VARIABLE]
    commands = (
        ["companies", "add", demo.company_id, "--name", "Acme Ltd"],
        ["users", "add", *user],
        ["installations", "add", *installation],
        ["installations", "add", "--company", demo.company_id, "--platform", "teams", "--workspace", TEAMS.tenant_id],
    )
    for command in commands:
        _ops(command, stack, stack_file, logs=logs)


def _ops(command: Sequence[str], stack: Stack, stack_file: Path, *, logs: Path) -> None:
    environment = os.environ | {_TOKEN_VARIABLE: stack.slack_bot_token}
    log = logs / f"seed-{command[0]}.log"
    run(
        [sys.executable, "-m", "ops", "--stack-file", stack_file, *command, "--if-absent"],
        env=environment,
        log=log,
        cwd=PROJECT,
    )


def _add_stranger(fake_slack_url: str, team_id: str) -> None:
    """Somebody in the workspace who is not in the directory: the assistant refuses her."""
    urllib3.request("POST", f"{fake_slack_url}/_fake/users", json={**_STRANGER, "team": team_id}, timeout=10)
