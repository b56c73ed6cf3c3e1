"""Deploys the real template to the local cloud with the SAM CLI."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.aws import Aws
from local.processes import run
from local.stack import PROJECT
from local.tools import install, tool_environment

STAGE = "local"
STACK_NAME = "parley-local"
SIGNING_SECRET_NAME = f"parley/{STAGE}/slack-signing-secret"
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
    _connect_routes(aws, resources)
    stack = aws.cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return resources | {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _physical_ids(aws: Aws) -> dict[str, str]:
    found = aws.cloudformation.list_stack_resources(StackName=STACK_NAME)["StackResourceSummaries"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}


# Delete _connect_routes and _target once the emulator imports the OpenAPI body of an HTTP API, as AWS does: until then
# a deployed API has no routes. They are made here from the deployed template's own body.
def _connect_routes(aws: Aws, resources: Mapping[str, str]) -> None:
    # boto3 types a template as an open dictionary, which it is.
    template: dict[str, Any] = aws.cloudformation.get_template(StackName=STACK_NAME, TemplateStage="Processed")[
        "TemplateBody"
    ]
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != "AWS::ApiGatewayV2::Api":
            continue
        api_id = resources[logical_id]
        for path, operations in resource["Properties"]["Body"]["paths"].items():
            for method, operation in operations.items():
                integration = aws.apigateway.create_integration(
                    ApiId=api_id,
                    IntegrationType="AWS_PROXY",
                    IntegrationMethod="POST",
                    IntegrationUri=_target(operation["x-amazon-apigateway-integration"], resources),
                    PayloadFormatVersion=operation["x-amazon-apigateway-integration"]["payloadFormatVersion"],
                )
                aws.apigateway.create_route(
                    ApiId=api_id,
                    RouteKey=f"{method.upper()} {path}",
                    Target=f"integrations/{integration['IntegrationId']}",
                )


def _target(integration: dict[str, Any], resources: Mapping[str, str]) -> str:
    """The ARN that `${XFunction.Arn}` in the integration's address stands for."""
    uri: str = integration["uri"]["Fn::Sub"]
    named = re.search(r"\$\{(\w+)\.Arn\}", uri)
    if named is None:
        msg = f"no function is named in {uri}"
        raise ValueError(msg)
    return f"arn:aws:lambda:us-east-1:000000000000:function:{resources[named[1]]}"
