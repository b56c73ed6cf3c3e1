"""AWS in one process: moto, with the table as template.yaml defines it and a bucket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml
from botocore.client import BaseClient
from moto import mock_aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGION = "eu-central-1"
TABLE_NAME = "parley-test"
BUCKET_NAME = "parley-test-data"

_TEMPLATE = Path(__file__).parents[2] / "template.yaml"
_TABLE_ARGUMENTS = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


class _TemplateLoader(yaml.SafeLoader):
    """YAML whose CloudFormation functions are left as they are: the table's keys and indexes use none."""


_TemplateLoader.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix}")


def read_table_definition() -> dict[str, Any]:
    """The arguments that create the deployed table, read from template.yaml."""
    with _TEMPLATE.open(encoding="utf-8") as template:
        resources = yaml.load(template, Loader=_TemplateLoader)["Resources"]  # noqa: S506 - a SafeLoader
    [table] = [entry for entry in resources.values() if entry["Type"] == "AWS::DynamoDB::Table"]
    return {name: table["Properties"][name] for name in _TABLE_ARGUMENTS}


@contextmanager
def running_cloud(*, table_name: str = TABLE_NAME, bucket_name: str = BUCKET_NAME) -> Iterator[None]:
    """AWS with the table and the bucket, for as long as the block runs."""
    with mock_aws(), one_request_at_a_time():
        dynamodb: DynamoDBClient = boto3.client("dynamodb", region_name=REGION)
        dynamodb.create_table(TableName=table_name, **read_table_definition())
        boto3.client("s3", region_name=REGION).create_bucket(
            Bucket=bucket_name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield


@contextmanager
def one_request_at_a_time() -> Iterator[None]:
    """Each request to DynamoDB is atomic, as it is in AWS; moto checks and writes in steps.

    Threads still interleave, from request to request.
    """
    lock = threading.RLock()
    send = BaseClient._make_api_call

    def send_alone(self: BaseClient, operation_name: str, api_params: Any) -> Any:
        if self.meta.service_model.service_name != "dynamodb":
            return send(self, operation_name, api_params)
        with lock:
            return send(self, operation_name, api_params)

    BaseClient._make_api_call = send_alone
    try:
        yield
    finally:
        BaseClient._make_api_call = send
