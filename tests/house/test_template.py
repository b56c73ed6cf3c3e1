"""The template against the code: doors, settings, queues, permissions, alarms."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module

import pytest
from aws_lambda_powertools.shared import constants
from cfnlint.api import lint_file  # type: ignore[import-untyped] # it ships no types

from agent.handing_on import MOST_HAND_OVERS
from core.settings import FunctionSettings
from core.store.expiry import TEXT_DAYS
from tests.house.project import FUNCTIONS, TEMPLATE, Door, Properties, doors, resources, template

_POWERTOOLS = {str(value) for value in vars(constants).values()}  # the names of the variables that powertools reads
_LIBRARIES = _POWERTOOLS | {"PYDANTIC_DISABLE_PLUGINS"}
_MANAGED_POLICIES = {"AWSXRayDaemonWriteAccess"}  # X-Ray knows no resource to name
_WEBHOOK_ACTIONS = {"logs:CreateLogStream", "logs:PutLogEvents", "secretsmanager:GetSecretValue", "sqs:SendMessage"}
# Each alarm that every function must have.
_FUNCTION_METRICS = {"Errors", "Throttles"}
_each_door = pytest.mark.parametrize("door", doors(), ids=lambda door: door.name)


def test_cfn_lint_finds_nothing() -> None:
    assert not [str(problem) for problem in lint_file(TEMPLATE)]


def test_every_folder_of_functions_is_deployed_and_nothing_else_is() -> None:
    folders = {path.parent.resolve() for path in FUNCTIONS.glob("*/*.py")}
    assert folders
    assert sorted(door.folder for door in doors()) == sorted(folders)


@_each_door
def test_a_function_is_named_after_its_folder(door: Door) -> None:
    assert door.logical_id.lower() == f"{door.name.replace('_', '')}function"
    assert door.variables["POWERTOOLS_SERVICE_NAME"] == door.name


@_each_door
def test_a_door_is_given_the_settings_it_reads_and_no_others(door: Door) -> None:
    read = {name.upper() for name in _settings_class(door).model_fields}
    assert set(door.variables) - _LIBRARIES == read - _LIBRARIES


@_each_door
def test_a_door_accepts_the_settings_it_is_given(door: Door) -> None:
    assert _settings_class(door).from_env(door.environment())


def _settings_class(door: Door) -> type[FunctionSettings]:
    """The settings that a door reads."""
    room = import_module("core.settings")
    imported = [
        getattr(room, alias.name)
        for node in door.source.body
        if isinstance(node, ast.ImportFrom) and node.module == "core.settings"
        for alias in node.names
    ]
    found: list[type[FunctionSettings]] = [
        thing for thing in imported if isinstance(thing, type) and issubclass(thing, FunctionSettings)
    ]
    assert len(found) == 1
    return found[0]


def test_every_queue_gives_up_to_a_dead_letter_queue_of_its_own_kind() -> None:
    queues = resources("AWS::SQS::Queue")
    assert queues
    for name, queue in queues.items():
        if name in _last_queues():
            continue
        redrive = queue["RedrivePolicy"]
        target = redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]
        assert queues[target].get("FifoQueue") == queue.get("FifoQueue"), name
        assert queues[target]["MessageRetentionPeriod"] >= queue["MessageRetentionPeriod"], name
        assert redrive["maxReceiveCount"], name


def test_a_queue_without_a_dead_letter_queue_is_one_that_nobody_consumes() -> None:
    consumed = {name for _, name, _ in _consumers()}
    given_up_to = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for queue in resources("AWS::SQS::Queue").values()
        if "RedrivePolicy" in queue
    }
    assert _last_queues() <= given_up_to - consumed


def _last_queues() -> set[str]:
    return {name for name, queue in resources("AWS::SQS::Queue").items() if "RedrivePolicy" not in queue}


def _consumers() -> Iterator[tuple[Door, str, Properties]]:
    """Each function that consumes a queue, the queue's logical id, and the properties of the event source."""
    for door in doors():
        for source in door.properties["Events"].values():
            if source["Type"] == "SQS":
                yield door, source["Properties"]["Queue"]["Fn::GetAtt"][0], source["Properties"]


def test_a_queue_hides_a_message_for_six_times_as_long_as_its_consumer_may_run() -> None:
    consumers = list(_consumers())
    assert consumers
    queues = resources("AWS::SQS::Queue")
    for door, queue, _ in consumers:
        assert queues[queue]["VisibilityTimeout"] >= 6 * door.setting("Timeout"), queue


def test_a_consumer_reports_each_message_of_a_batch_that_a_fifo_queue_can_give() -> None:
    for door, queue, source in _consumers():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"], door.name
        if resources("AWS::SQS::Queue")[queue].get("FifoQueue"):
            assert 1 <= source["BatchSize"] <= 10, door.name
            assert "MaximumBatchingWindowInSeconds" not in source, door.name


def test_a_consumer_knows_how_often_its_queue_tries() -> None:
    for door, queue, _ in _consumers():
        tries = resources("AWS::SQS::Queue")[queue]["RedrivePolicy"]["maxReceiveCount"]
        assert door.variables["MAX_RECEIVE_COUNT"] == tries, door.name


def test_a_message_has_a_delivery_for_each_try_and_each_hand_over() -> None:
    told = {door.name: door.environment() for door in doors()}
    deliveries = int(told["llm_processor"]["MAX_RECEIVE_COUNT"])
    assert deliveries == int(told["llm_processor"]["MAX_TRIES"]) + MOST_HAND_OVERS
    assert int(told["dead_letter_processor"]["RECEIVED_BEFORE"]) == deliveries
    assert int(told["dead_letter_processor"]["MAX_RECEIVE_COUNT"]) > deliveries


def test_every_queue_is_encrypted() -> None:
    for name, queue in resources("AWS::SQS::Queue").items():
        assert queue.get("SqsManagedSseEnabled") is True or "KmsMasterKeyId" in queue, name


def _statements(properties: Properties) -> list[Properties]:
    """The statements of a role's or a managed policy's documents that allow something."""
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    return [
        statement for document in documents for statement in document["Statement"] if statement["Effect"] == "Allow"
    ]


def _allowed() -> list[tuple[str, Properties]]:
    """Every statement that allows something, with the logical id it stands in."""
    kinds = (
        "AWS::IAM::Role",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::SQS::QueuePolicy",
        "AWS::S3::BucketPolicy",
    )
    return [
        (name, statement)
        for kind in kinds
        for name, properties in resources(kind).items()
        for statement in _statements(properties)
    ]


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def test_no_permission_names_its_actions_with_a_wildcard() -> None:
    assert _allowed()
    for name, statement in _allowed():
        assert "NotAction" not in statement, name
        assert not [action for action in _as_list(statement["Action"]) if "*" in str(action)], name


def test_no_permission_covers_everything_of_a_service() -> None:
    for name, statement in _allowed():
        assert "NotResource" not in statement, name
        for resource in _as_list(statement["Resource"]):
            assert not _is_wide(resource), f"{name}: {resource}"


def _is_wide(resource: object) -> bool:
    """Whether an ARN leaves open which queue, table or secret it is."""
    text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
    if isinstance(resource, dict) and not text:
        return not ({"Ref", "Fn::GetAtt"} & set(resource))
    # Of `arn:partition:service:region:account:kind:name` all that a wildcard may stand for is the end of the name.
    parts = re.sub(r"\$\{[^}]*\}", "x", str(text)).split(":", 5)
    name = re.split(r"[:/]", parts[-1], maxsplit=1)[-1]
    return "*" in ":".join(parts[:-1]) or name.startswith(("*", "?"))


def test_functions_use_roles_that_are_written_out() -> None:
    roles = resources("AWS::IAM::Role")
    for door in doors():
        assert door.properties["Role"]["Fn::GetAtt"][0] in roles, door.name
        assert "Policies" not in door.properties, door.name
    used = [door.properties["Role"]["Fn::GetAtt"][0] for door in doors()]
    assert len(used) == len(set(used)), "two functions share a role"


def test_the_only_policies_of_others_are_ones_without_a_resource_to_name() -> None:
    for name, role in resources("AWS::IAM::Role").items():
        for arn in role.get("ManagedPolicyArns", []):
            policy = arn.get("Ref") or arn["Fn::Sub"].split("/")[-1]
            assert policy in _MANAGED_POLICIES or policy in template()["Resources"], name


def test_a_webhook_may_send_to_queues_and_read_at_most_one_secret_and_nothing_else() -> None:
    webhooks = [door for door in doors() if door.name.endswith("_webhook")]
    assert webhooks
    for door in webhooks:
        role = resources("AWS::IAM::Role")[door.properties["Role"]["Fn::GetAtt"][0]]
        assert not [arn for arn in role["ManagedPolicyArns"] if "Ref" in arn], "a webhook has no policy of the store"
        actions = [str(action) for statement in _statements(role) for action in _as_list(statement["Action"])]
        assert set(actions) <= _WEBHOOK_ACTIONS
        secrets = [s["Resource"] for s in _statements(role) if "secretsmanager:GetSecretValue" in _as_list(s["Action"])]
        assert len([secret for resource in secrets for secret in _as_list(resource)]) <= 1


def test_a_function_has_an_alarm_for_errors_and_one_for_throttles() -> None:
    for door in doors():
        alarms = {
            alarm["MetricName"]
            for alarm in resources("AWS::CloudWatch::Alarm").values()
            if {"Name": "FunctionName", "Value": {"Ref": door.logical_id}} in alarm.get("Dimensions", [])
        }
        assert alarms >= _FUNCTION_METRICS, door.name


def test_every_queue_has_an_alarm() -> None:
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        for dimension in alarm.get("Dimensions", [])
        if dimension["Name"] == "QueueName"
    }
    assert watched == set(resources("AWS::SQS::Queue"))


def test_every_alarm_notifies_the_topic_that_ops_name() -> None:
    for name, alarm in resources("AWS::CloudWatch::Alarm").items():
        assert "AlarmTopicArn" in str(alarm.get("AlarmActions")), name


def test_logs_end_some_day() -> None:
    groups = resources("AWS::Logs::LogGroup")
    for name, group in groups.items():
        assert group["RetentionInDays"], name
    for door in doors():
        assert door.properties["LoggingConfig"]["LogGroup"]["Ref"] in groups, door.name


def test_what_holds_data_survives_its_stack() -> None:
    for name, resource in template()["Resources"].items():
        if resource["Type"] in {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}:
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name


def test_every_parameter_is_used() -> None:
    used = set(re.findall(r"(?:!Ref |\$\{)(\w+)", TEMPLATE.read_text()))
    assert set(template()["Parameters"]) <= used


def test_every_class_of_kept_texts_has_its_rule_in_the_bucket() -> None:
    rules = resources("AWS::S3::Bucket")["DataBucket"]["LifecycleConfiguration"]["Rules"]
    deleted = {
        int(rule["TagFilters"][0]["Value"]): (rule["Prefix"], rule["ExpirationInDays"])
        for rule in rules
        if "TagFilters" in rule
    }
    assert deleted == {days: ("overflow/", days) for days in TEXT_DAYS}


def test_every_route_leads_to_one_function() -> None:
    routes = [
        (event["Properties"]["Method"], event["Properties"]["Path"])
        for function in resources("AWS::Serverless::Function").values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]

    assert len(routes) == len(set(routes)) >= 6
