"""What the emulator does not do yet as AWS does. Delete each function once it does; nothing else depends on them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from local.aws import ACCOUNT, REGION, Aws

# boto3 types templates and policies as open dictionaries, which they are: hence the Any below.


def connect_routes(aws: Aws, stack_name: str, resources: Mapping[str, str]) -> None:
    """Make the routes of each HTTP API from the OpenAPI body in its deployed template, which is not imported."""
    template: dict[str, Any] = aws.cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")[
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
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{resources[named[1]]}"


_BATCHED = {f"sqs:{action}" for action in ("ChangeMessageVisibility", "DeleteMessage", "SendMessage")}


def allow_batch_actions(aws: Aws, stack_name: str) -> None:
    """Let each role do in a batch what it may do one by one: AWS has no permission of its own for SQS batches."""
    for resource in aws.cloudformation.list_stack_resources(StackName=stack_name)["StackResourceSummaries"]:
        if resource["ResourceType"] != "AWS::IAM::Role":
            continue
        role = resource["PhysicalResourceId"]
        for name in aws.iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document: dict[str, Any] = aws.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for statement in document["Statement"]:
                given = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                statement["Action"] = [*given, *(f"{action}Batch" for action in given if action in _BATCHED)]
            aws.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def count_concurrency(aws: Aws) -> None:
    """Give each queue's consumer its concurrency as a number: a parameter of the template is left the text it was."""
    for mapping in aws.functions.list_event_source_mappings()["EventSourceMappings"]:
        if scaling := mapping.get("ScalingConfig"):
            aws.functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=scaling)
