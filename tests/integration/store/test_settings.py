"""AI configurations: in versions, whole, with documents of any size."""

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from core.configuration import ActionFlowTool, Limits, McpTool, SearchConversationsTool, Settings, ThirdPartyTool
from core.errors import PermanentError
from core.models import ApiKind
from core.store import Directory, Store
from tests.integration.meter import item_size
from tests.integration.store.test_directory import refuses
from tests.integration.store.turns import COMPANY, INPUT, LEASE, OTHER_COMPANY, START

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TOOLS = (
    ActionFlowTool(
        name="leave",
        description="Asks for leave.",
        parameters={"type": "object", "properties": {"days": {"type": "number", "minimum": 0.5}}},
        arn="arn:aws:states:eu-central-1:123456789012:stateMachine:leave",
    ),
    ThirdPartyTool(
        name="crm",
        description="Customers.",
        openapi={"openapi": "3.1.0", "info": {"description": "Größe. " * 9000}, "paths": {"/a": {"get": None}}},
        operations=("find",),
        auth="bearer",
        secret_name="parley/test/tools/crm",
    ),
    McpTool(name="wiki", description="The wiki.", url="https://wiki.example/mcp"),
    SearchConversationsTool(name="earlier", description="Earlier conversations."),
)
FULL = Settings(
    id="default",
    company_id=COMPANY,
    version=1,
    name="Default",
    model="gpt-5-mini",
    fallback_model="gpt-5-nano",
    api_kind=ApiKind.CHAT,
    temperature=0.2,
    transcription_model="whisper-1",
    prompt="You help — with ümlauts.",
    tools=TOOLS,
    output_configuration={"type": "object", "properties": {"answer": {"type": "string"}}},
    limits=Limits(history_messages=5, max_turn_cost=Decimal("0.05")),
    created_at=START,
)


@pytest.fixture
def directory(store: Store) -> Directory:
    return store.directory


def version(number: int, settings: Settings = FULL, **fields: object) -> Settings:
    return settings.model_copy(update={"version": number, **fields})


def test_settings_come_back_whole(directory: Directory) -> None:
    directory.put_settings(FULL)
    assert directory.current_settings(COMPANY) == FULL
    assert directory.get_settings(COMPANY, "default", 1) == FULL
    plain = version(2, tools=(), output_configuration=None, temperature=None, fallback_model=None, limits=Limits())
    directory.put_settings(plain)
    assert directory.current_settings(COMPANY) == plain
    cold = version(3, temperature=0.0, output_configuration={}, prompt="", transcription_model=None)
    directory.put_settings(cold)
    assert directory.current_settings(COMPANY) == cold


@pytest.mark.parametrize("model", ["whisper-large", None], ids=["another", "none"])
def test_who_listens_to_recordings_is_kept_with_the_settings_and_with_the_input(
    store: Store, table_name: str, bucket_name: str, model: str | None
) -> None:
    store.directory.put_settings(version(1, transcription_model=model))
    assert store.directory.current_settings(COMPANY) == version(1, transcription_model=model)
    given = INPUT.model_copy(update={"transcription_model": model})
    sha256 = store.save_input(COMPANY, given)
    assert Store(table_name, bucket_name=bucket_name).get_input(COMPANY, sha256) == given


def test_what_has_parts_is_one_json_text_and_a_long_one_is_in_s3(
    directory: Directory, dynamodb: "DynamoDBClient", table_name: str
) -> None:
    directory.put_settings(FULL)
    [item] = dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]
    assert (item["PK"]["S"], item["SK"]["S"]) == (f"C#{COMPANY}#S#default", "v#000001")
    assert (item["GSI1PK"]["S"], item["GSI1SK"]["S"]) == (f"C#{COMPANY}#S", "default")
    assert set(item) == {
        *("PK", "SK", "GSI1PK", "GSI1SK", "id", "companyId", "version", "name", "model", "fallbackModel", "apiKind"),
        *("temperature", "transcriptionModel", "prompt", "outputConfiguration", "limits", "createdAt", "overflow"),
    }
    assert json.loads(item["limits"]["S"])["maxTurnCost"] == "0.05"
    [(name, pointer)] = item["overflow"]["M"].items()
    assert name == "tools"
    assert pointer["M"]["key"]["S"].startswith(f"overflow/C/{COMPANY}/S/default/v000001/tools.")
    assert item_size(item) < 2048


def test_a_long_prompt_is_in_s3_too(directory: Directory, dynamodb: "DynamoDBClient", table_name: str) -> None:
    long = version(1, prompt="Be helpful. " * 5000)
    directory.put_settings(long)
    [item] = dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]
    assert set(item["overflow"]["M"]) == {"prompt", "tools"}
    assert directory.current_settings(COMPANY) == long


def test_each_of_a_companys_settings_is_listed_once_as_it_is_now(directory: Directory) -> None:
    directory.put_settings(FULL)
    directory.put_settings(version(2, name="Second"))
    sales = version(1, id="sales", name="Sales")
    directory.put_settings(sales)
    directory.put_settings(version(1, company_id=OTHER_COMPANY))
    assert directory.list_settings(COMPANY) == (version(2, name="Second"), sales)
    assert directory.list_settings("nobody") == ()


def test_versions_are_listed_the_current_one_first(directory: Directory) -> None:
    for number in range(1, 13):
        directory.put_settings(version(number))
    found = directory.list_settings_versions(COMPANY, "default")
    assert [each.version for each in found] == list(range(12, 0, -1))
    assert directory.list_settings_versions(OTHER_COMPANY, "default") == ()
    assert directory.get_settings(COMPANY, "default", 13) is None


def test_a_rollback_is_a_new_version_with_the_old_content(directory: Directory) -> None:
    directory.put_settings(FULL)
    directory.put_settings(version(2, tools=(), name="Second"))
    later = START + LEASE
    stored = directory.rollback_settings(COMPANY, "default", 1, later)
    assert stored == version(3, created_at=later)
    assert directory.current_settings(COMPANY) == stored
    with refuses("not-found"):
        directory.rollback_settings(COMPANY, "default", 9, later)
    with refuses("not-found"):
        directory.rollback_settings(OTHER_COMPANY, "default", 1, later)


def test_an_input_with_large_documents_comes_back_whole(
    store: Store, dynamodb: "DynamoDBClient", table_name: str, bucket_name: str
) -> None:
    rich = INPUT.model_copy(
        update={
            "prompts": ("First. " * 3000, "Second."),
            "tools": TOOLS,
            "limits": FULL.limits,
            "transcription_model": "whisper-1",
        }
    )
    sha256 = store.save_input(COMPANY, rich)
    assert Store(table_name, bucket_name=bucket_name).get_input(COMPANY, sha256) == rich
    [item] = dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]
    assert (item["PK"]["S"], item["SK"]["S"]) == (f"C#{COMPANY}#K#{sha256}", "#")
    assert item_size(item) < 2048
    with pytest.raises(PermanentError, match="is gone"):
        store.get_input(OTHER_COMPANY, sha256)
