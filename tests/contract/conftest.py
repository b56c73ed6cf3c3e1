"""Each case once for each platform: the real webhook on moto, the real adapter against the fake over HTTP."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from core.settings import ConsumerSettings
from tests.aws_over_http import running_aws
from tests.contract.cases import title_of
from tests.contract.platform import ROOT, Platform, load, names
from tests.contract.stage import Stage
from tests.unit.platforms.slack.stage import Clock

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_AWS = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
_AWS |= dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "eu-central-1")
_FIFO = {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}


@dataclass(slots=True)
class Aws:
    """What lives as long as a file of cases: the queues, and doors that were opened with the same settings."""

    sqs: "SQSClient"
    queue_urls: Mapping[str, str]
    url: str
    doors: dict[tuple[str, ...], ModuleType] = field(default_factory=dict)

    def door(self, name: str, settings: Mapping[str, str]) -> ModuleType:
        """A platform's webhook, imported as a cold start does."""
        key = (name, *settings.values())
        if key not in self.doors:
            with pytest.MonkeyPatch.context() as environment:
                for variable, value in {**settings, "AWS_ENDPOINT_URL": self.url}.items():
                    environment.setenv(variable, value)
                self.doors[key] = _load_door(name)
        return self.doors[key]


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as environment, mock_aws(), running_aws() as url:
        for variable, value in _AWS.items():
            environment.setenv(variable, value)
        sqs, secrets = boto3.client("sqs"), boto3.client("secretsmanager")
        urls = {
            queue: sqs.create_queue(QueueName=f"{queue}.fifo", Attributes=dict(_FIFO))["QueueUrl"]  # type: ignore[arg-type] # the stubs want literal keys
            for queue in ("messages", "signals")
        }
        for name in names():
            for secret, value in load(name).secrets.items():
                secrets.create_secret(Name=secret, SecretString=value)
        yield Aws(sqs, urls, url)


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    """A platform's folder."""
    named: str = request.param
    try:
        cannot = load(named).cannot
    except LookupError as missing:
        pytest.fail(str(missing), pytrace=False)
    if reason := cannot.get(title_of(request.function.__name__)):
        pytest.skip(f"not {named}: {reason}")
    return named


@pytest.fixture
def clock() -> Clock:
    """The fake's and the adapter's; the door's is the real one."""
    return Clock()


@pytest.fixture
def platform(name: str, clock: Clock) -> Iterator[Platform]:
    """The platform, running."""
    with load(name)(clock) as running:
        yield running


@pytest.fixture
def stage(name: str, platform: Platform, clock: Clock, aws: Aws) -> Stage:
    """The platform before our two halves."""
    queues = {f"{queue.upper()}_QUEUE_URL": url for queue, url in aws.queue_urls.items()}
    told = {"table_name": "table", "bucket_name": "bucket"}
    told |= {variable.lower(): value for variable, value in platform.processor_settings().items()}
    made = Stage(
        name=name,
        platform=platform,
        clock=clock,
        door=aws.door(name, {"STAGE": "test", **queues, **platform.webhook_settings()}),
        sqs=aws.sqs,
        queue_urls=aws.queue_urls,
        options=ConsumerSettings.model_validate(told).platform_options,
    )
    made.messages()
    made.signals()
    return made


def _load_door(name: str) -> ModuleType:
    """The webhook's `app.py`, imported anew as a cold start does."""
    spec = spec_from_file_location(f"contract_{name}", ROOT / "functions" / f"{name}_webhook" / "app.py")
    assert spec is not None
    assert spec.loader is not None
    door = module_from_spec(spec)
    spec.loader.exec_module(door)
    return door
