"""Typed settings, one class per kind of function: the only reader of the environment and of Secrets Manager.

A door reads its settings at module level, so that a missing variable fails the cold start and not the thousandth
request. Secrets are known by name here and fetched lazily.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Self, cast
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, ValidationError

from core.aws import Access, SmallClient
from core.errors import PermanentError, RetryableError
from core.http import Http
from core.values import ApiKind

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_stepfunctions.client import SFNClient

_SECRET_TTL_SECONDS = 300.0  # a rotated secret is in use everywhere five minutes later
# What Secrets Manager answers as long as nobody changes the secret, its key or the function's role.
_UNREADABLE = frozenset(
    {
        "AccessDeniedException",
        "DecryptionFailure",
        "InvalidParameterException",
        "InvalidRequestException",
        "ResourceNotFoundException",
        "ValidationException",
    }
)
_SECRET_FIELD = "value"  # a secret may be the bare string, or JSON with this field  # noqa: S105

Name = Annotated[str, StringConstraints(min_length=1, max_length=2048, strip_whitespace=True)]


class SettingsError(PermanentError):
    """A variable is missing or wrong; the message names it and never shows its value."""


class FunctionSettings(BaseModel):
    """What every function is told."""

    # Built where it is first read: a function reads one class of them all.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    stage: Name = "local"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """These settings, read from the variables of the same names in upper case.

        Raises:
            SettingsError: A variable is missing or invalid.
        """
        given = {name: environ[name.upper()] for name in cls.model_fields if environ.get(name.upper())}
        try:
            return cls.model_validate(given)
        except ValidationError as exc:
            wrong = ", ".join(sorted({str(error["loc"][0]).upper() for error in exc.errors() if error["loc"]}))
            message = f"set these environment variables of the function rightly: {wrong}"
            raise SettingsError("settings", message) from None  # pydantic's text would show the values


class SlackWebhookSettings(FunctionSettings):
    """What the Slack webhook is told."""

    messages_queue_url: Name
    signals_queue_url: Name
    slack_signing_secret_name: Name


class TeamsWebhookSettings(FunctionSettings):
    """What the Teams webhook is told. Without an app it lets nobody in."""

    messages_queue_url: Name
    signals_queue_url: Name
    teams_app_id: str = ""
    teams_tenant_ids: str = ""
    teams_service_hosts: Name
    teams_openid_url: HttpUrl
    teams_token_issuer: Name


class ConsumerSettings(FunctionSettings):
    """What a function that answers on platforms is told: its storage, and where each platform's API is."""

    table_name: Name
    bucket_name: Name
    max_receive_count: int = Field(default=3, ge=1, le=1000)
    slack_api_base_url: HttpUrl = HttpUrl("https://slack.com/api/")
    teams_app_id: str = ""
    teams_app_tenant_id: Name = "botframework.com"
    teams_login_url: HttpUrl = HttpUrl("https://login.microsoftonline.com")
    teams_token_scope: Name = "https://api.botframework.com/.default"  # noqa: S105 - what a token is for
    teams_service_hosts: Name = "smba.trafficmanager.net"
    teams_file_hosts: Name = ".sharepoint.com"

    @property
    def platform_options(self) -> Mapping[str, Mapping[str, str]]:
        """By platform, what its adapter is told: the URLs of its APIs, ids of the app."""
        slack = {"slack": {"api_base_url": str(self.slack_api_base_url)}}
        if not self.teams_app_id:
            return slack
        teams = {
            "app_id": self.teams_app_id,
            "app_tenant_id": self.teams_app_tenant_id,
            "login_url": str(self.teams_login_url),
            "token_scope": self.teams_token_scope,
            "service_hosts": self.teams_service_hosts,
            "file_hosts": self.teams_file_hosts,
        }
        return {**slack, "teams": teams}


class ModelSettings(FunctionSettings):
    """What a function that asks a model, and hosts that a company names, is told."""

    openai_api_key_secret_name: Name
    openai_base_url: HttpUrl = HttpUrl("https://api.openai.com/v1")
    openai_model: Name
    openai_api_kind: ApiKind = ApiKind.RESPONSES
    tool_insecure_hosts: str = ""

    @property
    def insecure_hosts(self) -> frozenset[str]:
        """Hosts that may be asked over plain HTTP and on this machine: none on AWS, loopback on the local stack."""
        return frozenset(self.tool_insecure_hosts.split(",")) - {""}

    @property
    def openai_url(self) -> str:
        """Base URL of the model's API."""
        return str(self.openai_base_url)


class ProcessorSettings(ConsumerSettings, ModelSettings):
    """What the processor of messages is told."""

    messages_queue_url: Name
    signals_queue_url: Name
    dead_letter_queue_url: Name
    max_tries: int = Field(default=3, ge=1, le=1000)
    chat_import_max_bytes: int = Field(default=200_000_000, ge=0)  # of a file that is imported from a chat; 0: none


class ImportSettings(ModelSettings):
    """What the processor of imports is told."""

    table_name: Name
    bucket_name: Name
    max_receive_count: int = Field(default=6, ge=1, le=1000)
    imports_queue_url: Name
    import_ranges_from: int = Field(default=4096, ge=1)  # MB of a file whose ranges are worked on side by side
    import_range_size: int = Field(default=256, ge=1)  # MB
    signals_queue_url: Name  # of words to the conversations that imports came from


class DeadLetterSettings(ConsumerSettings):
    """What the processor of dead letters is told."""

    dead_letter_queue_url: Name
    signals_queue_url: Name
    received_before: int = Field(default=8, ge=0, le=1000)


class SignalSettings(ConsumerSettings):
    """What the processor of signals is told."""

    signals_queue_url: Name
    messages_queue_url: Name  # of messages whose turn waited for a signal
    imports_queue_url: Name  # of imports that waited for one


class OverdueSettings(FunctionSettings):
    """What looks for overdue approvals is told."""

    table_name: Name
    bucket_name: Name
    signals_queue_url: Name


class SlackInstallSettings(FunctionSettings):
    """What installs in Slack and keeps its tokens fresh is told."""

    table_name: Name
    bucket_name: Name
    slack_client_id: str = ""
    slack_client_secret_name: Name
    install_key_name: Name
    slack_api_base_url: HttpUrl = HttpUrl("https://slack.com/api/")
    slack_authorize_url: HttpUrl = HttpUrl("https://slack.com/oauth/v2/authorize")
    public_url: str = ""

    @property
    def secret_prefix(self) -> str:
        """How the names of the workspaces' tokens begin."""
        return f"parley/{self.stage}/slack/"


def create_small_clients(queue_url: str) -> "tuple[SQSClient, SecretsManagerClient]":
    """What a webhook calls of SQS, in the part of AWS where that queue is, and of Secrets Manager; without boto3."""
    queues = urlsplit(queue_url)
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "").rstrip("/")
    access = Access(
        key_id=os.environ.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        session_token=os.environ.get("AWS_SESSION_TOKEN", ""),
        region=os.environ.get("AWS_REGION", ""),
        sqs_url=endpoint or f"{queues.scheme}://{queues.netloc}",
        secrets_url=endpoint or f"{queues.scheme}://{queues.netloc.replace('sqs.', 'secretsmanager.', 1)}",
    )
    client = SmallClient(access, Http(), now=partial(datetime.now, UTC))
    # Both are called as boto3's own; a webhook calls nothing else of them.
    return cast("SQSClient", client), cast("SecretsManagerClient", client)


def _configure() -> "Config":
    """Time limits that suit a function: short waits, few retries, many threads."""
    from botocore.config import Config

    return Config(
        connect_timeout=2,
        read_timeout=10,
        retries={"total_max_attempts": 3, "mode": "standard"},
        max_pool_connections=32,
        user_agent="parley",  # without one botocore describes itself anew at every call, which takes a fifth of it
    )


def create_sqs_client() -> "SQSClient":
    """An SQS client for a door to hand on."""
    import boto3

    return boto3.client("sqs", config=_configure())


def create_s3_client() -> "S3Client":
    """An S3 client for a door to hand on: patient, for files are large and read as streams."""
    import boto3
    from botocore.config import Config

    patient = Config(
        connect_timeout=3,
        read_timeout=60,
        retries={"total_max_attempts": 5, "mode": "standard"},
        max_pool_connections=16,
        user_agent="parley",
    )
    return boto3.client("s3", config=patient)


def create_flow_clients() -> "tuple[LambdaClient, SFNClient]":
    """Clients for the flows of a company. Lambda's does not retry: what timed out may be running still."""
    import boto3
    from botocore.config import Config

    patient = Config(connect_timeout=2, read_timeout=130, user_agent="parley")
    once = patient.merge(Config(retries={"total_max_attempts": 1, "mode": "standard"}))
    return boto3.client("lambda", config=once), boto3.client("stepfunctions", config=patient)


def create_secrets_client() -> "SecretsManagerClient":
    """A Secrets Manager client."""
    import boto3

    return boto3.client("secretsmanager", config=_configure())


class Secrets:
    """Reads secrets by name and keeps each for five minutes. Safe to share between threads."""

    def __init__(
        self, *, client: "SecretsManagerClient | None" = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, str]] = {}
        self._creating = threading.Lock()  # boto3's default session makes one client at a time

    def __repr__(self) -> str:
        return f"Secrets({len(self._kept)} kept)"

    def read(self, name: str) -> str:
        """The secret's text (of a JSON secret its field `value`), without the blanks and newlines around it.

        Raises:
            PermanentError: There is no such secret, it is empty, or this function may not read it.
            RetryableError: Secrets Manager cannot say now.
        """
        now = self._monotonic()
        kept = self._kept.get(name)
        if kept and now - kept[0] < _SECRET_TTL_SECONDS:
            return kept[1]
        value = self._fetch(name)  # no lock: where Secrets Manager hangs, threads would wait one after the other
        self._kept[name] = (now, value)
        return value

    def read_fresh(self, name: str) -> str:
        """The secret's whole text as it is now. Raises as `read` does."""
        return self._get(name)

    def write(self, name: str, text: str) -> None:
        """Store a secret, in the place of an earlier one.

        Raises:
            PermanentError: This function may not write it.
            RetryableError: Secrets Manager cannot do it now.
        """
        client = self._connect()
        try:
            try:
                client.put_secret_value(SecretId=name, SecretString=text)
            except client.exceptions.ResourceNotFoundException:
                client.create_secret(Name=name, SecretString=text, Description="Token of an installation")
        except ClientError as exc:
            raise _explain(name, exc) from exc
        except BotoCoreError as exc:
            raise RetryableError("secrets-unavailable", "Secrets Manager gave no answer") from exc
        self._kept.pop(name, None)

    def delete(self, name: str) -> None:
        """Forget a secret for good. One that is gone, or that this function may not delete, is left at that.

        Raises:
            RetryableError: Secrets Manager cannot do it now.
        """
        client = self._connect()
        try:
            client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in _UNREADABLE:
                raise RetryableError("secrets-unavailable", "Secrets Manager cannot delete now") from exc
        except BotoCoreError as exc:
            raise RetryableError("secrets-unavailable", "Secrets Manager gave no answer") from exc
        self._kept.pop(name, None)

    def _connect(self) -> "SecretsManagerClient":
        with self._creating:
            client = self._client = self._client or create_secrets_client()
        return client

    def _get(self, name: str) -> str:
        client = self._connect()
        try:
            return client.get_secret_value(SecretId=name).get("SecretString", "").strip()
        except ClientError as exc:
            raise _explain(name, exc) from exc
        except BotoCoreError as exc:
            raise RetryableError("secrets-unavailable", "Secrets Manager gave no answer") from exc

    def _fetch(self, name: str) -> str:
        value = _unwrap(self._get(name)).strip()
        if not value:  # an empty key would verify anybody's signature
            raise PermanentError("secret-unreadable", f"the secret {name!r} is empty or binary: store it as text")
        return value


def _explain(name: str, exc: ClientError) -> PermanentError | RetryableError:
    code = exc.response["Error"]["Code"]
    if code in _UNREADABLE:
        return PermanentError("secret-unreadable", f"the secret {name!r} cannot be used: {code}")
    return RetryableError("secrets-unavailable", f"Secrets Manager answered {code}")


def _unwrap(text: str) -> str:
    if not text.startswith("{"):
        return text
    try:
        value = json.loads(text).get(_SECRET_FIELD)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def read_trace_header() -> str | None:
    """The X-Ray trace header of the running invocation, to pass on; the runtime sets it anew for each."""
    return os.environ.get("_X_AMZN_TRACE_ID")
