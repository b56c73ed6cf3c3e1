"""Settings from the environment, and secrets from Secrets Manager as moto plays it."""

import json
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto import mock_aws

from core import settings
from core.errors import PermanentError, RetryableError, ServiceError
from core.models import ApiKind
from core.settings import (
    DeadLetterSettings,
    FunctionSettings,
    ProcessorSettings,
    Secrets,
    SettingsError,
    SlackWebhookSettings,
    create_secrets_client,
    read_trace_header,
)

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

_TOKEN = "xoxb-never-shown"
_PROCESSOR = {
    "STAGE": "prod",
    "TABLE_NAME": "parley",
    "BUCKET_NAME": "parley-data",
    "MESSAGES_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/1/messages.fifo",
    "SIGNALS_QUEUE_URL": "https://signals",
    "DEAD_LETTER_QUEUE_URL": "https://dead-letters",
    "OPENAI_API_KEY_SECRET_NAME": "parley/prod/openai",
    "OPENAI_MODEL": "gpt-5-mini",
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator["SecretsManagerClient"]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield boto3.client("secretsmanager")


def test_a_processor_is_told_everything_by_its_environment() -> None:
    read = ProcessorSettings.from_env({**_PROCESSOR, "OPENAI_API_KIND": "chat", "MAX_RECEIVE_COUNT": "5", "PATH": "/"})

    assert (read.stage, read.table_name, read.bucket_name) == ("prod", "parley", "parley-data")
    assert read.openai_api_kind is ApiKind.CHAT
    assert read.max_receive_count == 5
    assert str(read.openai_base_url) == "https://api.openai.com/v1"
    assert read.platform_options == {"slack": {"api_base_url": "https://slack.com/api/"}}


def test_a_base_url_may_lead_elsewhere() -> None:
    read = ProcessorSettings.from_env({**_PROCESSOR, "SLACK_API_BASE_URL": "http://127.0.0.1:4010/api/"})

    assert read.platform_options == {"slack": {"api_base_url": "http://127.0.0.1:4010/api/"}}


def test_teams_is_known_where_the_stack_names_its_app() -> None:
    given = {**_PROCESSOR, "TEAMS_APP_ID": "app", "TEAMS_APP_TENANT_ID": "tenant", "TEAMS_SERVICE_HOSTS": "a,b"}
    told = ProcessorSettings.from_env(given).platform_options
    assert told["teams"]["app_id"] == "app"
    assert told["teams"]["service_hosts"] == "a,b"
    assert "teams" not in ProcessorSettings.from_env(_PROCESSOR).platform_options


def test_an_empty_variable_counts_as_missing_and_leaves_its_default() -> None:
    assert FunctionSettings.from_env({"STAGE": "", "AWS_ENDPOINT_URL": ""}) == FunctionSettings.from_env({})


def test_the_environment_itself_is_read_where_nothing_else_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", "https://queue")
    monkeypatch.setenv("SIGNALS_QUEUE_URL", "https://signals")
    monkeypatch.setenv("TABLE_NAME", "parley")
    monkeypatch.setenv("BUCKET_NAME", "parley-data")

    assert DeadLetterSettings.from_env().dead_letter_queue_url == "https://queue"


def test_everything_missing_empty_or_invalid_is_named_together_and_nothing_shown() -> None:
    wrong = {
        **_PROCESSOR,
        "TABLE_NAME": "",
        "BUCKET_NAME": "   ",
        "OPENAI_BASE_URL": f"not a url {_TOKEN}",
        "OPENAI_API_KIND": _TOKEN,
        "MAX_RECEIVE_COUNT": "0",
    }
    del wrong["OPENAI_MODEL"]

    with pytest.raises(SettingsError) as raised:
        ProcessorSettings.from_env(wrong)

    names = "BUCKET_NAME, MAX_RECEIVE_COUNT, OPENAI_API_KIND, OPENAI_BASE_URL, OPENAI_MODEL, TABLE_NAME"
    assert raised.value.message.endswith(f": {names}")
    assert _TOKEN not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_settings_cannot_be_changed() -> None:
    read = SlackWebhookSettings.from_env(
        {
            "MESSAGES_QUEUE_URL": "https://queue",
            "SIGNALS_QUEUE_URL": "https://signals",
            "SLACK_SIGNING_SECRET_NAME": "slack",
        }
    )

    with pytest.raises(ValueError, match="frozen"):
        read.messages_queue_url = "elsewhere"  # type: ignore[misc]  # what is tested


def test_the_trace_header_is_the_one_of_the_running_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    assert read_trace_header() is None
    for header in ("Root=1-1;Sampled=1", "Root=1-2;Sampled=0"):
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
        assert read_trace_header() == header


@pytest.mark.parametrize(
    "stored",
    [
        _TOKEN,
        f"  {_TOKEN}\n",
        json.dumps({"value": _TOKEN}),
        json.dumps({"value": f"{_TOKEN}\n", "note": "rotated in May"}) + "\n",
    ],
    ids=["text", "text-with-newline", "json", "json-with-newline"],
)
def test_a_secret_is_read_in_each_form_people_store_it(secrets_manager: "SecretsManagerClient", stored: str) -> None:
    secrets_manager.create_secret(Name="slack", SecretString=stored)

    assert Secrets(client=secrets_manager).read("slack") == _TOKEN


@pytest.mark.parametrize("stored", ["{not json", '{"token": "other"}', '{"value": 7}', "[1]"])
def test_a_secret_of_another_shape_is_handed_on_as_it_is(secrets_manager: "SecretsManagerClient", stored: str) -> None:
    with Stubber(secrets_manager) as stub:
        stub.add_response("get_secret_value", {"SecretString": stored})
        assert Secrets(client=secrets_manager).read("slack") == stored


def test_a_rotated_secret_is_in_use_five_minutes_later(secrets_manager: "SecretsManagerClient") -> None:
    clock = Clock()
    secrets = Secrets(client=secrets_manager, monotonic=clock)
    secrets_manager.create_secret(Name="slack", SecretString="before")
    secrets_manager.create_secret(Name="openai", SecretString="key")
    assert (secrets.read("slack"), secrets.read("openai")) == ("before", "key")
    secrets_manager.put_secret_value(SecretId="slack", SecretString="after")

    clock.seconds += 299
    assert (secrets.read("slack"), secrets.read("openai")) == ("before", "key")
    clock.seconds += 2
    assert secrets.read("slack") == "after"


def test_a_failure_to_read_is_not_kept(secrets_manager: "SecretsManagerClient") -> None:
    secrets = Secrets(client=secrets_manager)
    with pytest.raises(PermanentError):
        secrets.read("slack")
    secrets_manager.create_secret(Name="slack", SecretString=_TOKEN)

    assert secrets.read("slack") == _TOKEN


def test_no_secret_shows_in_a_repr(secrets_manager: "SecretsManagerClient") -> None:
    secrets_manager.create_secret(Name="slack", SecretString=_TOKEN)
    secrets = Secrets(client=secrets_manager)
    secrets.read("slack")

    assert _TOKEN not in repr(secrets)
    assert "1 kept" in repr(secrets)


def test_a_secret_that_is_not_there_is_a_permanent_error_that_names_it(
    secrets_manager: "SecretsManagerClient",
) -> None:
    with pytest.raises(PermanentError, match="'slack'"):
        Secrets(client=secrets_manager).read("slack")


def test_a_secret_that_is_being_deleted_is_a_permanent_error(secrets_manager: "SecretsManagerClient") -> None:
    secrets_manager.create_secret(Name="slack", SecretString=_TOKEN)
    secrets_manager.delete_secret(SecretId="slack")

    with pytest.raises(PermanentError, match="InvalidRequestException"):
        Secrets(client=secrets_manager).read("slack")


@pytest.mark.parametrize(
    "stored", [{"SecretBinary": _TOKEN.encode()}, {"SecretString": " \n"}, {"SecretString": '{"value": ""}'}]
)
def test_a_secret_without_text_is_a_permanent_error_that_does_not_show_it(
    secrets_manager: "SecretsManagerClient", stored: dict[str, str | bytes]
) -> None:
    with Stubber(secrets_manager) as stub:
        stub.add_response("get_secret_value", stored)
        with pytest.raises(PermanentError, match="binary") as raised:
            Secrets(client=secrets_manager).read("slack")

    assert _TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("AccessDeniedException", PermanentError),
        ("DecryptionFailure", PermanentError),
        ("InvalidParameterException", PermanentError),
        ("ThrottlingException", RetryableError),
        ("InternalServiceError", RetryableError),
        ("ExpiredTokenException", RetryableError),
    ],
)
def test_what_secrets_manager_refuses_is_permanent_and_what_it_cannot_now_is_retryable(
    secrets_manager: "SecretsManagerClient", answer: str, error: type[ServiceError]
) -> None:
    with Stubber(secrets_manager) as stub:
        stub.add_client_error("get_secret_value", answer, _TOKEN)
        with pytest.raises(error) as raised:
            Secrets(client=secrets_manager).read("slack")

    assert answer in raised.value.message
    assert _TOKEN not in raised.value.message


def test_no_answer_of_secrets_manager_is_retryable() -> None:
    config = Config(connect_timeout=1, retries={"total_max_attempts": 1})
    client = boto3.client(
        "secretsmanager",
        region_name="eu-central-1",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=config,
    )

    with pytest.raises(RetryableError) as raised:
        Secrets(client=client).read("slack")
    assert raised.value.code == "secrets-unavailable"


def test_threads_share_one_client_and_all_read_the_secret(
    secrets_manager: "SecretsManagerClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets_manager.create_secret(Name="slack", SecretString=_TOKEN)
    created: list[SecretsManagerClient] = []

    def create() -> "SecretsManagerClient":
        created.append(create_secrets_client())
        return created[-1]

    monkeypatch.setattr(settings, "create_secrets_client", create)
    secrets = Secrets()
    together = threading.Barrier(12)
    read: list[str] = []

    def work() -> None:
        together.wait(10)
        read.append(secrets.read("slack"))

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert read == [_TOKEN] * 12
    assert len(created) == 1
