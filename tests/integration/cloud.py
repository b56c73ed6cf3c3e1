"""AWS in one process: moto, with the table as template.yaml defines it and a bucket."""

import copy
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table as MotoTable

from tests.house.project import Properties, resources

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGION: Final = "eu-central-1"
TABLE_NAME = "parley-test"
BUCKET_NAME = "parley-test-data"

_TABLE_ARGUMENTS = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


def read_table_definition() -> Properties:
    """The arguments that create the deployed table, read from template.yaml."""
    [table] = resources("AWS::DynamoDB::Table").values()
    definition: Properties = json.loads(json.dumps({name: table[name] for name in _TABLE_ARGUMENTS}))
    return definition


@contextmanager
def running_cloud(*, table_name: str = TABLE_NAME, bucket_name: str = BUCKET_NAME) -> Iterator[None]:
    """AWS with the table and the bucket, for as long as the block runs."""
    with mock_aws(), one_request_at_a_time(), small_backups():
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
    send = vars(BaseClient)["_make_api_call"]

    def send_alone(self: BaseClient, operation: str, arguments: Mapping[str, Any]) -> Any:
        if self.meta.service_model.service_name != "dynamodb":
            return send(self, operation, arguments)
        with lock:
            return send(self, operation, arguments)

    with patch.object(BaseClient, "_make_api_call", send_alone):
        yield


@contextmanager
def small_backups() -> Iterator[None]:
    """A transaction backs up the partitions that it touches; moto copies the whole table for each of its writes.

    Exact only where no other request runs meanwhile.
    """
    touched: set[str] = set()
    transact = DynamoDBBackend.transact_write_items

    def transact_small(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        operations = [operation for item in transact_items for operation in item.values()]
        touched.update((operation.get("Key") or operation["Item"])["PK"]["S"] for operation in operations)
        try:
            transact(self, transact_items)
        finally:
            touched.clear()

    def back_up(table: MotoTable, memo: dict[int, Any]) -> MotoTable:
        backup = copy.copy(table)
        backup.items = copy.copy(table.items)
        for hash_value in [value for value in table.items if value.value in touched]:
            backup.items[hash_value] = copy.deepcopy(table.items[hash_value], memo)
        return backup

    with (
        patch.object(DynamoDBBackend, "transact_write_items", transact_small),
        patch.object(MotoTable, "__deepcopy__", back_up, create=True),
    ):
        yield
