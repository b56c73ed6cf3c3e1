"""Door: every half hour. Exchanges the tokens of Slack workspaces that end soon."""

from datetime import UTC, datetime
from functools import partial

from core.http import Http
from core.installing.rotation import rotate_tokens
from core.installing.slack import Installer
from core.settings import Secrets, SlackInstallSettings
from core.store import Store

settings = SlackInstallSettings.from_env()

# Built once per cold start; every collaborator is named here and nowhere else.
rotate = partial(
    rotate_tokens,
    installer=Installer(
        store=Store(settings.table_name, bucket_name=settings.bucket_name),
        secrets=Secrets(),
        http=Http(),
        client_id=settings.slack_client_id,
        client_secret_name=settings.slack_client_secret_name,
        key_name=settings.install_key_name,
        secret_prefix=settings.secret_prefix,
        api_base_url=str(settings.slack_api_base_url),
        authorize_url=str(settings.slack_authorize_url),
        public_url=settings.public_url,
        clock=partial(datetime.now, UTC),
    ),
)


def handler(_event: object, _context: object) -> None:
    """Lambda entry point."""
    rotate()
