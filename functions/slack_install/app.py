"""Door: GET /slack/install, GET /slack/oauth/callback. Installs the app in a workspace for the company of a link."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.http import Http
from core.installing.pages import Page
from core.installing.slack import Installer, serve
from core.settings import Secrets, SlackInstallSettings
from core.store import Store

settings = SlackInstallSettings.from_env()

# Built once per cold start; every collaborator is named here and nowhere else.
answer = partial(
    serve,
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


def handler(event: dict[str, Any], _context: object) -> Page:
    """Lambda entry point."""
    return answer(event)
