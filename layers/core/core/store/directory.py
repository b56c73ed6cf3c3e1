"""The system directory: companies, users, identities, installations and settings."""

from datetime import datetime

from core.configuration import Settings
from core.errors import PermanentError
from core.models import Company, Identity, Installation, User
from core.store import keys
from core.store.configurations import pack_settings, unpack_settings
from core.store.faults import ConditionFailedError
from core.store.items import (
    CompanyItem,
    EmailItem,
    IdentityItem,
    InstallationItem,
    OnceItem,
    SettingsItem,
    UserItem,
    WorkspaceItem,
)
from core.store.overflow import Overflow
from core.store.sub_agents import check_sub_agents
from core.store.table import Delete, Put, Table

_USED_STATES_SECONDS = 86_400  # a used state is remembered for longer than it is good

_MOST_IDENTITIES = 5  # of a person in one workspace


class Directory:
    """Who belongs to which company. Reads may lag a moment behind writes."""

    def __init__(self, table: Table, overflow: Overflow) -> None:
        self._table = table
        self._overflow = overflow

    # Companies

    def add_company(self, company: Company) -> None:
        """Add a company.

        Raises:
            PermanentError: `exists`, there is one with this id.
        """
        item = CompanyItem.from_value(company, keys.company_key(company.id), gsi1pk=keys.COMPANIES, gsi1sk=company.id)
        if not self._table.put_new(item):
            raise PermanentError("exists", f"there is a company {company.id!r}")

    def get_company(self, company_id: str) -> Company | None:
        """The company with this id."""
        item = self._table.get(CompanyItem, keys.company_key(company_id))
        return Company.model_validate(item.fields()) if item else None

    def list_companies(self) -> tuple[Company, ...]:
        """All companies, by id."""
        found = self._table.query_index("GSI1", keys.COMPANIES, newest_first=False)
        return tuple(Company.model_validate(item.fields()) for item in self._table.get_many(CompanyItem, found))

    def set_retention(self, company_id: str, days: int | None) -> Company:
        """Say for how many days what a company's people say is kept from now on; None keeps it for good.

        Raises:
            PermanentError: `not-found`, there is no such company.
        """
        action = CompanyItem.retention_days.remove() if days is None else CompanyItem.retention_days.set(days)
        try:
            item = self._table.change(CompanyItem, keys.company_key(company_id), [action], CompanyItem.pk.exists())
        except ConditionFailedError as exc:
            raise PermanentError("not-found", f"there is no company {company_id!r}") from exc
        return Company.model_validate(item.fields())

    # Users

    def add_user(self, user: User) -> None:
        """Add a person.

        Raises:
            PermanentError: `exists`, the company has a user with this id; `email-taken`, it has one with this e-mail.
        """
        try:
            self._table.transact(
                [
                    Put(_user_item(user), UserItem.pk.does_not_exist()),
                    Put(_email_item(user), EmailItem.pk.does_not_exist()),
                ]
            )
        except ConditionFailedError as exc:
            if 0 in exc.places:
                raise PermanentError("exists", f"the company has a user {user.id!r}") from exc
            raise PermanentError("email-taken", "the company has a user with this e-mail address") from exc

    def put_user(self, user: User) -> None:
        """Add a person, or change one.

        Raises:
            PermanentError: `email-taken`, another user of the company has this e-mail.
        """
        known = self._table.get(UserItem, _user_key(user.company_id, user.id), consistent=True)
        writes: list[Put | Delete] = [
            Put(_user_item(user), UserItem.pk.does_not_exist() if known is None else UserItem.email == known.email),
            Put(_email_item(user), EmailItem.pk.does_not_exist() | (EmailItem.user_id == user.id)),
        ]
        if known and keys.normalise_email(known.email) != keys.normalise_email(user.email):
            writes.append(Delete(keys.email_key(user.company_id, known.email)))
        try:
            self._table.transact(writes)
        except ConditionFailedError as exc:
            if 1 in exc.places:
                raise PermanentError("email-taken", "the company has a user with this e-mail address") from exc
            raise PermanentError("changed", "somebody else changes this user just now: look again") from exc

    def get_user(self, company_id: str, user_id: str) -> User | None:
        """The person with this id."""
        item = self._table.get(UserItem, _user_key(company_id, user_id))
        return User.model_validate(item.fields()) if item else None

    def find_user_by_email(self, company_id: str, email: str) -> User | None:
        """The person with this e-mail address, in whatever case it is written."""
        place = UserItem.gsi1sk == keys.normalise_email(email)
        found = self._table.query_index("GSI1", keys.users_partition(company_id), place, limit=1, newest_first=False)
        items = self._table.get_many(UserItem, found)
        return User.model_validate(items[0].fields()) if items else None

    def list_users(self, company_id: str) -> tuple[User, ...]:
        """A company's people, by id."""
        items = self._table.query(UserItem, keys.users_partition(company_id))
        return tuple(User.model_validate(item.fields()) for item in items)

    def delete_user(self, user: User) -> None:
        """Remove a person, and free the e-mail address; identities and conversations are not touched."""
        is_theirs = EmailItem.pk.does_not_exist() | (EmailItem.user_id == user.id)
        self._table.transact(
            [
                Delete(_user_key(user.company_id, user.id)),
                Delete(keys.email_key(user.company_id, user.email), is_theirs),
            ]
        )

    # Identities

    def get_identity(self, company_id: str, platform: str, workspace_id: str, external_user_id: str) -> Identity | None:
        """Who a platform's user is, as far as we know."""
        item = self._table.get(IdentityItem, keys.identity_key(company_id, platform, workspace_id, external_user_id))
        return Identity.model_validate(item.fields()) if item else None

    def put_identity(self, identity: Identity) -> None:
        """Remember who a platform's user is, in place of what was known."""
        self._table.put(_identity_item(identity))

    def record_refusal(self, identity: Identity) -> Identity:
        """Remember that a person was refused, unless the person is known or was refused before.

        Returns:
            The identity that stands: only the message that it names in `refused_for` is answered with the refusal.
        """
        item = _identity_item(identity)
        is_new = IdentityItem.user_id.does_not_exist() & IdentityItem.refused_for.does_not_exist()
        try:
            self._table.put(item, is_new)
        except ConditionFailedError as exc:
            standing = exc.find(IdentityItem) or self._table.get(IdentityItem, (item.pk, item.sk), consistent=True)
            return Identity.model_validate((standing or item).fields())
        return identity

    def list_identities(self, company_id: str) -> tuple[Identity, ...]:
        """A company's identities, by platform, workspace and user."""
        found = self._table.query_index("GSI1", keys.identities_partition(company_id), newest_first=False)
        return tuple(Identity.model_validate(item.fields()) for item in self._table.get_many(IdentityItem, found))

    def find_external_ids(self, company_id: str, user_id: str, *, platform: str, workspace_id: str) -> tuple[str, ...]:
        """The ids that a person has in a platform's workspace, as far as the person was met there."""
        there = IdentityItem.gsi2sk.startswith(keys.identity_place(platform, workspace_id, ""))
        partition = keys.person_identities_partition(company_id, user_id)
        found = self._table.query_index("GSI2", partition, there, limit=_MOST_IDENTITIES, newest_first=False)
        return tuple(place for _, place in found)

    def delete_identity(self, identity: Identity) -> None:
        """Forget who a platform's user is."""
        item = _identity_item(identity)
        self._table.delete(Delete((item.pk, item.sk)))

    # Installations

    def add_installation(self, installation: Installation) -> None:
        """Give a workspace to a company.

        Raises:
            PermanentError: `workspace-taken`, it is another company's; `exists`, it is this company's already.
        """
        workspace = WorkspaceItem(
            *keys.workspace_key(installation.platform, installation.workspace_id), company_id=installation.company_id
        )
        is_ours = WorkspaceItem.pk.does_not_exist() | (WorkspaceItem.company_id == installation.company_id)
        item = InstallationItem.from_value(installation, _installation_key(installation))
        try:
            self._table.transact([Put(workspace, is_ours), Put(item, InstallationItem.pk.does_not_exist())])
        except ConditionFailedError as exc:
            if 0 in exc.places:
                raise PermanentError("workspace-taken", "the workspace belongs to another company") from exc
            raise PermanentError("exists", "the workspace is installed for this company already") from exc

    def find_installation(self, platform: str, workspace_id: str) -> Installation | None:
        """The installation of a workspace, whichever company it belongs to."""
        workspace = self._table.get(WorkspaceItem, keys.workspace_key(platform, workspace_id))
        if workspace is None:
            return None
        key = keys.installation_key(workspace.company_id, platform, workspace_id)
        item = self._table.get(InstallationItem, key)
        return Installation.model_validate(item.fields()) if item else None

    def set_installation_enabled(
        self, company_id: str, platform: str, workspace_id: str, enabled: bool, now: datetime
    ) -> Installation:
        """Switch an installation on or off, and return it.

        Raises:
            PermanentError: `not-found`, the company has no such installation.
        """
        key = keys.installation_key(company_id, platform, workspace_id)
        actions = [InstallationItem.enabled.set(enabled), InstallationItem.updated_at.set(now)]
        try:
            item = self._table.change(InstallationItem, key, actions, InstallationItem.pk.exists())
        except ConditionFailedError as exc:
            raise PermanentError("not-found", "the company has no installation in this workspace") from exc
        return Installation.model_validate(item.fields())

    def put_installation(self, installation: Installation) -> None:
        """Store a company's installation as it is now, in the place of what stood there.

        Raises:
            PermanentError: `workspace-taken`, the workspace is another company's.
        """
        place = installation.platform, installation.workspace_id
        workspace = WorkspaceItem(*keys.workspace_key(*place), company_id=installation.company_id)
        is_ours = WorkspaceItem.pk.does_not_exist() | (WorkspaceItem.company_id == installation.company_id)
        item = InstallationItem.from_value(installation, _installation_key(installation))
        try:
            self._table.transact([Put(workspace, is_ours), Put(item)])
        except ConditionFailedError as exc:
            raise PermanentError("workspace-taken", "the workspace belongs to another company") from exc

    def end_installation(self, installation: Installation, *, installed_before: datetime, now: datetime) -> bool:
        """Switch off what the platform removed, unless it was installed anew since; True where it is off now."""
        item = InstallationItem
        actions = [item.enabled.set(False), item.status.set("UNINSTALLED"), item.updated_at.set(now)]
        is_older = (item.updated_at <= installed_before) | (item.status == "UNINSTALLED")
        return self._table.change_known(item, _installation_key(installation), actions, is_older)

    def use_once(self, nonce: str, *, until: datetime) -> bool:
        """Use up the state of an installation; False where it was used before."""
        item = OnceItem(f"O#{nonce}", keys.ONLY)
        item.ttl = int(until.timestamp()) + _USED_STATES_SECONDS
        return self._table.put_new(item)

    def hold_rotation(self, installation: Installation, *, until: datetime, now: datetime) -> bool:
        """Be the one who exchanges an installation's tokens until then; False where somebody else is, or has been."""
        item, ends_at = InstallationItem, installation.token_expires_at
        is_free = item.rotating_until.does_not_exist() | (item.rotating_until <= now)
        is_same = (item.token_expires_at == ends_at) & is_free
        key = _installation_key(installation)
        return self._table.change_known(item, key, [item.rotating_until.set(until)], is_same)

    def end_rotation(self, installation: Installation, *, expires_at: datetime | None) -> None:
        """Say when the new token ends."""
        item = InstallationItem
        ends = item.token_expires_at.set(expires_at) if expires_at else item.token_expires_at.remove()
        key = _installation_key(installation)
        self._table.change_known(item, key, [ends, item.rotating_until.remove()])

    def list_installations(self, company_id: str) -> tuple[Installation, ...]:
        """A company's installations, by platform and workspace."""
        items = self._table.query(InstallationItem, keys.installations_partition(company_id))
        return tuple(Installation.model_validate(item.fields()) for item in items)

    # Settings

    def put_settings(self, settings: Settings) -> None:
        """Store the next version of a company's AI configuration.

        Raises:
            PermanentError: `version`, it is not the one after the current version; `settings-invalid`, a sub-agent is
                not there or would ask itself.
        """
        check_sub_agents(settings, lambda id_, version: self.find_settings(settings.company_id, id_, version))
        current = self.current_settings(settings.company_id, settings.id)
        following = current.version + 1 if current else 1
        if settings.version != following:
            raise PermanentError("version", f"the next version of these settings is {following}")
        if not self._table.put_new(pack_settings(settings, self._overflow)):
            raise PermanentError("version", "somebody else stored this version of the settings just now")

    def current_settings(self, company_id: str, settings_id: str = "default") -> Settings | None:
        """The latest version of a company's AI configuration; None where it has none of its own."""
        partition = keys.settings_partition(company_id, settings_id)
        items = self._table.query(SettingsItem, partition, limit=1, newest_first=True, consistent=True)
        return unpack_settings(items[0], self._overflow) if items else None

    def find_settings(self, company_id: str, settings_id: str, version: int | None) -> Settings | None:
        """One version of a company's AI configuration; for None, the latest."""
        if version is None:
            return self.current_settings(company_id, settings_id)
        return self.get_settings(company_id, settings_id, version)

    def get_settings(self, company_id: str, settings_id: str, version: int) -> Settings | None:
        """One version of a company's AI configuration."""
        key = keys.settings_partition(company_id, settings_id), keys.settings_place(version)
        item = self._table.get(SettingsItem, key, consistent=True)
        return unpack_settings(item, self._overflow) if item else None

    def list_settings(self, company_id: str) -> tuple[Settings, ...]:
        """The latest version of each of a company's AI configurations, by id."""
        first = self._table.query_index("GSI1", keys.settings_list_partition(company_id), newest_first=False)
        items = self._table.get_many(SettingsItem, first)
        return tuple(current for item in items if (current := self.current_settings(company_id, item.id)))

    def list_settings_versions(self, company_id: str, settings_id: str) -> tuple[Settings, ...]:
        """Every version of an AI configuration, the latest first."""
        partition = keys.settings_partition(company_id, settings_id)
        items = self._table.query(SettingsItem, partition, newest_first=True, consistent=True)
        return tuple(unpack_settings(item, self._overflow) for item in items)

    def rollback_settings(self, company_id: str, settings_id: str, version: int, now: datetime) -> Settings:
        """Store what an earlier version says as the next one, and return that.

        Raises:
            PermanentError: `not-found`, there is no such version; `version`, somebody else stored one just now.
        """
        earlier = self.get_settings(company_id, settings_id, version)
        current = self.current_settings(company_id, settings_id)
        if earlier is None or current is None:
            raise PermanentError("not-found", f"the settings {settings_id!r} have no version {version}")
        following = earlier.model_copy(update={"version": current.version + 1, "created_at": now})
        self.put_settings(following)
        return following


def _user_key(company_id: str, user_id: str) -> keys.Key:
    return keys.users_partition(company_id), user_id


def _user_item(user: User) -> UserItem:
    return UserItem.from_value(
        user,
        _user_key(user.company_id, user.id),
        gsi1pk=keys.users_partition(user.company_id),
        gsi1sk=keys.normalise_email(user.email),
    )


def _email_item(user: User) -> EmailItem:
    return EmailItem(*keys.email_key(user.company_id, user.email), user_id=user.id)


def _identity_item(identity: Identity) -> IdentityItem:
    place = identity.platform, identity.workspace_id, identity.external_user_id
    return IdentityItem.from_value(
        identity,
        keys.identity_key(identity.company_id, *place),
        gsi1pk=keys.identities_partition(identity.company_id),
        gsi1sk=keys.identity_place(*place),
        **_of_person(identity, keys.identity_place(*place)),
    )


def _of_person(identity: Identity, place: str) -> dict[str, str]:
    if identity.user_id is None:
        return {}
    return {"gsi2pk": keys.person_identities_partition(identity.company_id, identity.user_id), "gsi2sk": place}


def _installation_key(installation: Installation) -> keys.Key:
    return keys.installation_key(installation.company_id, installation.platform, installation.workspace_id)
