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
        told=settings,
        store=Store(settings.table_name, bucket_name=settings.bucket_name),
        secrets=Secrets(),
        http=Http(),
        clock=partial(datetime.now, UTC),
    ),
)


def handler(event: dict[str, Any], _context: object) -> Page:
    """Lambda entry point."""
    return answer(event)
