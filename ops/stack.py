"""The stack that a command works on: where its table, bucket, queues and secrets are, and the way to them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import PermanentError
from ops import PROJECT

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient

    from core.models import Company
    from core.store import Store

_LOCAL_FILE = PROJECT / ".local" / "stack.json"
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_ANY_STACK = "start a local one with `make run`, or name one on AWS with --stack NAME"


class QueueUrls(BaseModel):
    """URL of each queue."""

    model_config = ConfigDict(frozen=True)

    messages: str
    messages_dead_letter: str
    messages_parked: str
    signals: str
    imports: str


class Demo(BaseModel):
    """What a local stack was seeded with: the defaults of the commands there."""

    model_config = ConfigDict(frozen=True)

    company_id: str
    team_id: str = ""
    channel_id: str = ""


class Stack(BaseModel):
    """A stack's addresses and names. Reads the file of a local stack as it is; what it does not need it ignores."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str = "local"
    region: str
    endpoint_url: str | None = None
    table_name: str
    bucket_name: str
    queue_urls: QueueUrls
    aws_access_key_id: str | None = Field(default=None, repr=False)
    aws_secret_access_key: str | None = Field(default=None, repr=False)
    teams_app_id: str = ""
    teams_app_secret_name: str = ""
    demo: Demo | None = None
    api_url: str = ""

    @property
    def install_key_name(self) -> str:
        """Where the key is kept that signs install links."""
        return f"parley/{self.stage}/install-key"

    def secret_name(self, platform: str, workspace_id: str) -> str:
        """Where the token of an installation is kept; template.yaml lets the functions read what is named so."""
        if platform == "teams":
            return self.teams_app_secret_name
        return f"parley/{self.stage}/{platform}/{workspace_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which stack the command line names."""

    stack_name: str | None
    stack_file: Path | None
    region: str | None
    profile: str | None


class Operations:
    """One stack, opened: what the commands work with. AWS is only reached where a command needs it."""

    def __init__(self, stack: Stack, session: "boto3.Session", *, clock: Callable[[], datetime]) -> None:
        self.stack = stack
        self.clock = clock
        self._session = session

    @cached_property
    def store(self) -> "Store":
        """The stack's table and what overflows from it."""
        from core.store import Store  # PynamoDB takes a while to load: not for --help

        stack = self.stack
        return Store(
            stack.table_name, bucket_name=stack.bucket_name, region=stack.region, endpoint_url=stack.endpoint_url
        )

    @property
    def sqs(self) -> "SQSClient":
        """Queues."""
        return self._session.client("sqs", endpoint_url=self.stack.endpoint_url)

    @property
    def s3(self) -> "S3Client":
        """Files."""
        return self._session.client("s3", endpoint_url=self.stack.endpoint_url)

    @property
    def secrets(self) -> "SecretsManagerClient":
        """Secrets."""
        return self._session.client("secretsmanager", endpoint_url=self.stack.endpoint_url)

    def company(self, given: str | None) -> "Company":
        """The company a command is about: the given one, or a local stack's demo company.

        Raises:
            PermanentError: It is not named, or there is none.
        """
        company_id = given or (self.stack.demo.company_id if self.stack.demo else None)
        if company_id is None:
            raise typer.BadParameter("say which company this is about", param_hint="--company")
        company = self.store.directory.get_company(company_id)
        if company is None:
            message = f"there is no company {company_id!r}: see `companies list`, or make it with `companies add`"
            raise PermanentError("company-unknown", message)
        return company


def open_stack(context: typer.Context) -> Operations:
    """The stack that the command line chose.

    Raises:
        PermanentError: There is no such stack.
    """
    choice = context.obj
    if not isinstance(choice, Choice):
        raise TypeError("a command was started without the choice of its stack")
    if choice.stack_name:
        session = _open_session(choice.region, choice.profile)
        stack = _describe(session, choice.stack_name)
    else:
        stack = _read_file(choice.stack_file or _LOCAL_FILE, is_default=choice.stack_file is None)
        session = _open_session(stack.region, None, stack)
    return Operations(stack, session, clock=lambda: datetime.now(UTC))


def _read_file(path: Path, *, is_default: bool) -> Stack:
    try:
        return Stack.model_validate_json(path.read_bytes())
    except OSError:
        message = f"no stack is running here: {_ANY_STACK}" if is_default else f"cannot read {path}: {_ANY_STACK}"
        raise PermanentError("stack-unknown", message) from None
    except ValidationError as exc:
        wrong = ", ".join(sorted({".".join(map(str, error["loc"])) for error in exc.errors()})) or "JSON"
        message = f"{path} does not describe a stack (wrong: {wrong}); `make run` writes it"
        raise PermanentError("stack-unknown", message) from None  # pydantic's text would show the keys


def _open_session(region: str | None, profile: str | None, stack: Stack | None = None) -> "boto3.Session":
    """A session, and the same choice in the environment, which is where the store's own client looks."""
    import boto3

    if profile or stack:
        for name in (*_CREDENTIALS, "AWS_PROFILE"):
            os.environ.pop(name, None)
    if profile:
        os.environ["AWS_PROFILE"] = profile
    if stack and stack.aws_access_key_id and stack.aws_secret_access_key:
        os.environ["AWS_ACCESS_KEY_ID"] = stack.aws_access_key_id
        os.environ["AWS_SECRET_ACCESS_KEY"] = stack.aws_secret_access_key
    session = boto3.Session(region_name=region)
    if session.region_name is None:
        raise PermanentError("region-unknown", "say which AWS region the stack is in: --region, or your AWS profile's")
    os.environ["AWS_DEFAULT_REGION"] = session.region_name
    if stack and stack.endpoint_url:
        os.environ["AWS_ENDPOINT_URL"] = stack.endpoint_url
    return session


def _describe(session: "boto3.Session", name: str) -> Stack:
    from botocore.exceptions import ClientError

    try:
        described = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "ValidationError":
            raise
        message = f"there is no stack {name!r} in {session.region_name}: check --stack, --region and --profile"
        raise PermanentError("stack-unknown", message) from None
    outputs = {each.get("OutputKey", ""): each.get("OutputValue", "") for each in described.get("Outputs", [])}
    try:
        return Stack(
            stage=outputs["StageName"],
            region=session.region_name,
            table_name=outputs["TableName"],
            bucket_name=outputs["BucketName"],
            api_url=outputs["ApiUrl"],
            teams_app_id=outputs.get("TeamsAppId", "none").removeprefix("none"),
            teams_app_secret_name=outputs.get("TeamsAppSecretName", ""),
            queue_urls=QueueUrls(
                messages=outputs["MessagesQueueUrl"],
                messages_dead_letter=outputs["MessagesDeadLetterQueueUrl"],
                messages_parked=outputs["MessagesParkedQueueUrl"],
                signals=outputs["SignalsQueueUrl"],
                imports=outputs["ImportsQueueUrl"],
            ),
        )
    except KeyError as exc:
        message = f"the stack {name!r} has no output {exc.args[0]}: it is not Parley's, or its deployment has not ended"
        raise PermanentError("stack-unknown", message) from None
