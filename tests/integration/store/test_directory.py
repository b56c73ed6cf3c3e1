"""The directory: who belongs to which company."""

from datetime import timedelta

import pytest

from core.configuration import Limits, Settings
from core.errors import PermanentError
from core.models import ApiKind, Company, Identity, Installation, User
from core.store import Directory, Store
from tests.integration.store.test_claims import at_once
from tests.integration.store.turns import COMPANY, OTHER_COMPANY, START


@pytest.fixture
def directory(store: Store) -> Directory:
    return store.directory


def user(id_: str = "usr_1", email: str = "Ada@Example.com", company_id: str = COMPANY) -> User:
    return User(id=id_, company_id=company_id, email=email, name="Ada", created_at=START)


def identity(external_user_id: str = "U1", **fields: str) -> Identity:
    return Identity(
        company_id=COMPANY,
        platform="slack",
        workspace_id="T1",
        external_user_id=external_user_id,
        created_at=START,
        **fields,
    )


def installation(company_id: str = COMPANY, workspace_id: str = "T1") -> Installation:
    return Installation(
        id=f"ins_{company_id}",
        company_id=company_id,
        platform="slack",
        workspace_id=workspace_id,
        settings={"bot_user_id": "U0", "nested": {"ratio": 0.5, "list": [1, None]}},
        secret_name="parley/test/slack/T1",
        created_at=START,
        updated_at=START,
    )


def refuses(code: str) -> "pytest.RaisesExc[PermanentError]":
    return pytest.raises(PermanentError, check=lambda error: error.code == code)


def test_companies_are_added_once_and_listed(directory: Directory) -> None:
    acme, other = (Company(id=id_, name=id_.title(), created_at=START) for id_ in (COMPANY, OTHER_COMPANY))
    directory.add_company(other)
    directory.add_company(acme)
    with refuses("exists"):
        directory.add_company(acme.model_copy(update={"name": "Another"}))
    assert directory.list_companies() == (acme, other)
    assert directory.get_company(COMPANY) == acme
    assert directory.get_company("nobody") is None


@pytest.mark.parametrize("written", ["ada@example.com", "ADA@EXAMPLE.COM", "  Ada@Example.com\n"])
def test_a_person_is_found_by_email_however_it_is_written(directory: Directory, written: str) -> None:
    directory.add_user(user())
    assert directory.find_user_by_email(COMPANY, written) == user()
    assert directory.find_user_by_email(COMPANY, "bob@example.com") is None
    assert directory.find_user_by_email(OTHER_COMPANY, written) is None


def test_an_email_is_compared_in_one_unicode_form(directory: Directory) -> None:
    composed, decomposed = "j\u00f6rg@example.com", "jo\u0308rg@example.com"
    directory.add_user(user(email=composed))
    assert directory.find_user_by_email(COMPANY, decomposed) == user(email=composed)
    with refuses("email-taken"):
        directory.add_user(user("usr_2", decomposed))


def test_an_id_and_an_email_belong_to_one_person_of_a_company(directory: Directory) -> None:
    directory.add_user(user())
    with refuses("exists"):
        directory.add_user(user(email="other@example.com"))
    with refuses("email-taken"):
        directory.add_user(user("usr_2", "ada@example.com"))
    directory.add_user(user("usr_2", "bob@example.com"))
    directory.add_user(user(company_id=OTHER_COMPANY))
    assert [person.id for person in directory.list_users(COMPANY)] == ["usr_1", "usr_2"]
    assert directory.find_user_by_email(COMPANY, "other@example.com") is None


def test_of_two_people_added_at_once_with_one_email_one_stands(directory: Directory) -> None:
    def add(id_: str) -> str:
        try:
            directory.add_user(user(id_))
        except PermanentError as exc:
            return exc.code
        return "added"

    assert sorted(map(str, at_once(lambda: add("usr_1"), lambda: add("usr_2")))) == ["added", "email-taken"]
    assert len(directory.list_users(COMPANY)) == 1


def test_a_person_who_changes_the_email_leaves_the_old_one_free(directory: Directory) -> None:
    directory.add_user(user())
    directory.put_user(user(email="ada@new.example"))
    assert directory.find_user_by_email(COMPANY, "ada@example.com") is None
    assert directory.find_user_by_email(COMPANY, "ada@new.example") == user(email="ada@new.example")
    directory.add_user(user("usr_2", "ada@example.com"))
    with refuses("email-taken"):
        directory.put_user(user(email="ada@example.com"))


def test_a_disabled_person_stays_in_the_directory(directory: Directory) -> None:
    directory.put_user(user())
    disabled = user().model_copy(update={"enabled": False})
    directory.put_user(disabled)
    assert directory.get_user(COMPANY, "usr_1") == disabled
    assert directory.get_user(OTHER_COMPANY, "usr_1") is None


def test_an_identity_links_a_platforms_user_to_a_person(directory: Directory) -> None:
    linked = identity(user_id="usr_1", email="ada@example.com")
    directory.put_identity(linked)
    assert directory.get_identity(COMPANY, "slack", "T1", "U1") == linked
    assert directory.get_identity(COMPANY, "slack", "T2", "U1") is None
    assert directory.get_identity(OTHER_COMPANY, "slack", "T1", "U1") is None
    directory.put_identity(identity("U0"))
    assert directory.list_identities(COMPANY) == (identity("U0"), linked)


def test_a_person_is_refused_once(directory: Directory) -> None:
    assert directory.record_refusal(identity(refused_for="1.1")).refused_for == "1.1"
    assert directory.record_refusal(identity(refused_for="1.2")).refused_for == "1.1"
    assert directory.get_identity(COMPANY, "slack", "T1", "U1") == identity(refused_for="1.1")


def test_a_person_who_is_known_by_now_is_not_refused(directory: Directory) -> None:
    directory.put_identity(identity(user_id="usr_1"))
    standing = directory.record_refusal(identity(refused_for="1.1"))
    assert (standing.user_id, standing.refused_for) == ("usr_1", None)


def test_of_two_refusals_at_once_one_is_said(directory: Directory) -> None:
    refusals = [identity(refused_for=f"1.{number}") for number in range(6)]
    standing = at_once(*(lambda refusal=refusal: directory.record_refusal(refusal) for refusal in refusals))
    assert len({identity_.refused_for for identity_ in standing if isinstance(identity_, Identity)}) == 1


def test_a_workspace_belongs_to_one_company(directory: Directory) -> None:
    directory.add_installation(installation())
    with refuses("workspace-taken"):
        directory.add_installation(installation(OTHER_COMPANY))
    with refuses("exists"):
        directory.add_installation(installation())
    assert directory.find_installation("slack", "T1") == installation()
    assert directory.find_installation("teams", "T1") is None
    assert directory.list_installations(OTHER_COMPANY) == ()
    directory.add_installation(installation(OTHER_COMPANY, "T2"))
    assert directory.list_installations(OTHER_COMPANY) == (installation(OTHER_COMPANY, "T2"),)


def test_an_installation_is_switched_off_and_on(directory: Directory) -> None:
    directory.add_installation(installation())
    later = START + timedelta(days=1)
    directory.set_installation_enabled(COMPANY, "slack", "T1", enabled=False, now=later)
    switched = directory.find_installation("slack", "T1")
    assert switched == installation().model_copy(update={"enabled": False, "updated_at": later})
    directory.set_installation_enabled(COMPANY, "slack", "T1", enabled=True, now=later)
    assert directory.list_installations(COMPANY)[0].enabled
    with refuses("not-found"):
        directory.set_installation_enabled(OTHER_COMPANY, "slack", "T1", enabled=True, now=later)
    assert directory.list_installations(OTHER_COMPANY) == ()


def test_settings_grow_version_by_version(directory: Directory) -> None:
    first = Settings(
        id="default",
        company_id=COMPANY,
        version=1,
        name="Default",
        model="gpt-5-mini",
        api_kind=ApiKind.CHAT,
        prompt="You help.",
        limits=Limits(history_messages=5),
        created_at=START,
    )
    assert directory.current_settings(COMPANY) is None
    directory.put_settings(first)
    assert directory.current_settings(COMPANY) == first
    with refuses("version"):
        directory.put_settings(first)
    with refuses("version"):
        directory.put_settings(first.model_copy(update={"version": 3}))
    for version in range(2, 12):
        directory.put_settings(first.model_copy(update={"version": version}))
    current = directory.current_settings(COMPANY)
    assert current is not None
    assert current.version == 11
    assert directory.current_settings(OTHER_COMPANY) is None
    assert directory.current_settings(COMPANY, "other") is None
