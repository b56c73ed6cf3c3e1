"""Companies, people, identities and installations, as an operator keeps them."""

from typing import TYPE_CHECKING

import boto3
import pytest

from core.store import Store
from tests.integration.cloud import REGION
from tests.integration.ops.conftest import CommandLine

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

INSTALL = ["installations", "add", "--platform", "slack", "--workspace", "T1", "--bot-user-id", "UBOT"]


@pytest.fixture
def secrets(cloud: None) -> "SecretsManagerClient":
    return boto3.client("secretsmanager", region_name=REGION)


def test_a_company_is_added_and_listed(ops: CommandLine) -> None:
    assert "no companies yet" in ops.done("companies", "list").err
    ops.done("companies", "add", "acme", "--name", "Acme Ltd")
    assert ops.done("companies", "list").rows[0][:2] == ["acme", "Acme Ltd"]
    assert [each["name"] for each in ops.done("companies", "list", "--json").json] == ["Acme Ltd"]


def test_an_empty_list_is_an_empty_json_list(ops: CommandLine) -> None:
    ran = ops.done("companies", "list", "--json")
    assert (ran.json, ran.err) == ([], "")


def test_adding_the_same_again_changes_nothing_and_something_else_is_refused(acme: CommandLine) -> None:
    for what in (["companies", "add", "acme", "--name"], ["users", "add", "--company", "acme", "--id", "alice"]):
        if what[0] == "companies":
            same, other = [*what, "Acme Ltd"], [*what, "Other"]
        else:
            named = [*what, "--email", "Alice@acme.example", "--name"]
            same, other = [*named, "Alice"], [*named, "Other"]
        assert "there already" in acme.done(*same).out
        refused = acme(*other)
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert "there already" in acme.done(*other, "--if-absent").out
    assert acme.done("companies", "list").rows[0][1] == "Acme Ltd"
    assert [row[2] for row in acme.done("users", "list", "--company", "acme").rows] == ["Alice"]


@pytest.mark.parametrize("company_id", ["", "Acme", "a b", "a#b", "-a", "a" * 64, "ä"])
def test_an_id_that_could_not_be_a_key_is_refused(ops: CommandLine, company_id: str) -> None:
    assert ops("companies", "add", "--name", "x", "--", company_id).code == 2


def test_a_user_without_an_id_gets_one(acme: CommandLine) -> None:
    acme.done("users", "add", "--company", "acme", "--email", "bob@acme.example", "--name", "Bob")
    bob = next(each for each in acme.done("users", "list", "--company", "acme", "--json").json if each["name"] == "Bob")
    assert bob["id"].startswith("usr_")


def test_a_user_is_disabled_and_enabled_by_id_or_address(acme: CommandLine, store: Store) -> None:
    acme.done("users", "disable", "--company", "acme", "--user", "alice@ACME.example")
    assert [each.enabled for each in store.directory.list_users("acme")] == [False]
    assert acme.done("users", "list", "--company", "acme").rows[0][3] == "no"
    acme.done("users", "enable", "--company", "acme", "--user", "alice")
    assert [each.enabled for each in store.directory.list_users("acme")] == [True]


@pytest.mark.parametrize("named", ["nobody", "nobody@acme.example"])
def test_an_unknown_person_is_named_in_the_error(acme: CommandLine, named: str) -> None:
    ran = acme("users", "disable", "--company", "acme", "--user", named)
    assert (ran.code, ran.out) == (1, "")
    assert named in ran.err
    assert "users list" in ran.err


def test_an_unknown_company_is_told_once(ops: CommandLine) -> None:
    ran = ops("users", "list", "--company", "nowhere")
    assert ran.code == 1
    assert ran.err.startswith("error: there is no company 'nowhere'")


def test_a_missing_company_is_a_mistake_in_the_command(acme: CommandLine) -> None:
    ran = acme("users", "list")
    assert ran.code == 2
    assert "--company" in ran.err


def test_an_identity_is_linked_over_a_refusal(acme: CommandLine, store: Store) -> None:
    link = ["identities", "link", "--company", "acme", "--platform", "slack", "--workspace", "T1"]
    acme.done(*link, "--external-user", "U7", "--user", "alice@acme.example")
    identity = store.directory.get_identity("acme", "slack", "T1", "U7")
    assert identity is not None
    assert (identity.user_id, identity.refused_for) == ("alice", None)
    rows = acme.done("identities", "list", "--company", "acme").rows
    assert [row[:5] for row in rows] == [["slack", "T1", "U7", "alice", "alice@acme.example"]]


def test_an_installation_is_added_and_its_token_kept_as_a_secret(
    acme: CommandLine, store: Store, secrets: "SecretsManagerClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_TOKEN", "xoxb-very-secret\n")
    ran = acme.done(*INSTALL, "--company", "acme", "--bot-id", "BBOT", "--token-env", "THE_TOKEN")
    assert "very-secret" not in ran.out + ran.err
    installation = store.directory.find_installation("slack", "T1")
    assert installation is not None
    assert installation.settings == {"botUserId": "UBOT", "botId": "BBOT"}
    assert installation.secret_name == "parley/local/slack/T1"
    assert secrets.get_secret_value(SecretId="parley/local/slack/T1")["SecretString"] == "xoxb-very-secret"
    listed = acme.done("installations", "list", "--company", "acme")
    assert listed.rows[0][:6] == ["slack", "T1", "yes", "ACTIVE", "UBOT", "parley/local/slack/T1"]
    assert "very-secret" not in listed.out


def test_a_token_is_asked_for_without_showing_it_and_may_be_replaced(
    acme: CommandLine, secrets: "SecretsManagerClient"
) -> None:
    for token in ("xoxb-first", "xoxb-second"):
        ran = acme.done(*INSTALL, "--company", "acme", typed=f"{token}\n")
        assert token not in ran.out + ran.err
        assert secrets.get_secret_value(SecretId="parley/local/slack/T1")["SecretString"] == token


def test_another_companys_workspace_and_token_stay_its_own(acme: CommandLine, secrets: "SecretsManagerClient") -> None:
    acme.done(*INSTALL, "--company", "acme", typed="xoxb-acme\n")
    acme.done("companies", "add", "rival", "--name", "Rival")
    ran = acme(*INSTALL, "--company", "rival", typed="xoxb-rival\n")
    assert ran.code == 1
    assert "acme" in ran.err
    assert secrets.get_secret_value(SecretId="parley/local/slack/T1")["SecretString"] == "xoxb-acme"


def test_a_token_of_another_bot_is_refused(acme: CommandLine, secrets: "SecretsManagerClient") -> None:
    acme.done(*INSTALL, "--company", "acme", typed="xoxb-one\n")
    other = [*INSTALL[:-1], "UOTHER", "--company", "acme"]
    assert acme(*other, typed="xoxb-other\n").code == 1
    assert "there already" in acme.done(*other, "--if-absent", typed="xoxb-other\n").out
    assert secrets.get_secret_value(SecretId="parley/local/slack/T1")["SecretString"] == "xoxb-one"


def test_an_empty_token_installs_nothing(acme: CommandLine, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_TOKEN", " ")
    assert acme(*INSTALL, "--company", "acme", "--token-env", "THE_TOKEN").code == 2
    assert acme(*INSTALL, "--company", "acme", "--token-env", "NOT_SET_AT_ALL").code == 2
    assert store.directory.find_installation("slack", "T1") is None


@pytest.mark.parametrize(
    "wrong", [["--platform", "smoke-signals"], ["--workspace", "Acme Workspace"], ["--workspace", ""]]
)
def test_a_platform_or_workspace_that_cannot_be_is_refused(acme: CommandLine, wrong: list[str]) -> None:
    assert acme(*INSTALL, "--company", "acme", *wrong, typed="xoxb\n").code == 2


def test_an_installation_is_disabled_and_enabled(acme: CommandLine, store: Store) -> None:
    acme.done(*INSTALL, "--company", "acme", typed="xoxb\n")
    where = ["--company", "acme", "--platform", "slack", "--workspace", "T1"]
    acme.done("installations", "disable", *where)
    assert store.directory.list_installations("acme")[0].enabled is False
    acme.done("installations", "enable", *where)
    assert store.directory.list_installations("acme")[0].enabled is True
    assert acme("installations", "disable", *where[:-1], "T2").code == 1


def test_what_people_wrote_cannot_speak_to_the_terminal(ops: CommandLine) -> None:
    name = "[red]Evil[/red] \x1b]0;title\x07\x9b2J\u202eltd"
    ops.done("companies", "add", "evil", "--name", name)
    assert "[red]Evil[/red] ]0;title2Jltd" in ops.done("companies", "list").out
    listed = ops.done("companies", "list", "--json")
    assert listed.json[0]["name"] == name
    assert not {"\x1b", "\x9b", "\u202e"} & set(listed.out)
