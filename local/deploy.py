"""Deploys the real template to the local cloud with the SAM CLI."""

import os
from collections.abc import Mapping
from pathlib import Path

from local.aws import Aws
from local.emulator_gaps import allow_batch_actions, connect_routes, count_concurrency
from local.processes import run
from local.stack import PROJECT
from local.tools import install, tool_environment

STAGE = "local"
STACK_NAME = "parley-local"
SIGNING_SECRET_NAME = f"parley/{STAGE}/slack-signing-secret"
CLIENT_SECRET_NAME = f"parley/{STAGE}/slack-client-secret"
TEAMS_SECRET_NAME = f"parley/{STAGE}/teams-app-secret"
MODEL_KEY_SECRET_NAME = f"parley/{STAGE}/openai-api-key"
_ARTIFACTS = "parley-artifacts"


def deploy(aws: Aws, template: Path, parameters: Mapping[str, str], *, log: Path) -> dict[str, str]:
    """Deploy a built template.

    Returns:
        The stack's outputs, and the logical id of each of its resources with its physical one.

    Raises:
        LocalError: The deployment failed.
    """
    aws.s3.create_bucket(Bucket=_ARTIFACTS)
    given = {
        "Stage": STAGE,
        "SlackSigningSecretName": SIGNING_SECRET_NAME,
        "SlackClientSecretName": CLIENT_SECRET_NAME,
        "TeamsAppSecretName": TEAMS_SECRET_NAME,
        "OpenAIApiKeySecretName": MODEL_KEY_SECRET_NAME,
        **parameters,
    }
    command = [str(install("sam")), "deploy", "--config-file", str(PROJECT / "samconfig.toml"), "--config-env", STAGE]
    command += ["--template-file", str(template), "--s3-bucket", _ARTIFACTS, "--parameter-overrides"]
    command += [f"{name}={value}" for name, value in given.items()]
    # A profile of the developer's would send this to a real account.
    environment = {name: value for name, value in tool_environment().items() if not name.startswith("AWS_")}
    unread = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    run(command, env=environment | aws.environment() | unread, log=log, cwd=PROJECT)
    resources = _physical_ids(aws)
    connect_routes(aws, STACK_NAME, resources)
    allow_batch_actions(aws, STACK_NAME)
    count_concurrency(aws)
    stack = aws.cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return resources | {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _physical_ids(aws: Aws) -> dict[str, str]:
    found = aws.cloudformation.list_stack_resources(StackName=STACK_NAME)["StackResourceSummaries"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}
