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
        told=settings,
        store=Store(settings.table_name, bucket_name=settings.bucket_name),
        secrets=Secrets(),
        http=Http(),
        clock=partial(datetime.now, UTC),
    ),
)


def handler(_event: object, _context: object) -> None:
    """Lambda entry point."""
    rotate()
