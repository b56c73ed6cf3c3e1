"""What every integration test has: AWS in this process, and a store on it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest

from core.store import Store
from tests.integration.cloud import BUCKET_NAME, REGION, TABLE_NAME, running_cloud
from tests.integration.meter import Meter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS on moto, with credentials that open nothing elsewhere."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "testing")
    with running_cloud():
        yield


@pytest.fixture
def table_name(cloud: None) -> str:
    """The table that template.yaml defines, empty."""
    return TABLE_NAME


@pytest.fixture
def bucket_name(cloud: None) -> str:
    """The bucket, empty."""
    return BUCKET_NAME


@pytest.fixture
def store(table_name: str, bucket_name: str) -> Store:
    """A store that does not wait between its tries."""
    return Store(table_name, bucket_name=bucket_name, pause=lambda _seconds: None)


@pytest.fixture
def dynamodb(cloud: None) -> "DynamoDBClient":
    """A plain client, to look at items as ops would."""
    return boto3.client("dynamodb")


@pytest.fixture
def meter(cloud: None) -> Iterator[Meter]:
    """Counts the requests and units of DynamoDB from here on."""
    with Meter() as running:
        yield running
