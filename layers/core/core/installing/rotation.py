"""Token rotation: an access token that ends within hours is exchanged, by one process alone.

A refresh token is good for one exchange. Who exchanges it holds the installation for a minute by a conditional write,
and stores the new pair before doing anything else. Should the process die between the two, the old access token works
on until it ends, and the logs and an alarm say that the workspace has to be installed again.
"""

import json
from datetime import timedelta

from core.errors import PermanentError, ServiceError
from core.installing.slack import Installer, token_secret
from core.models import Installation
from core.platforms.slack.install import refresh
from core.telemetry import logger, metrics

_EARLY = timedelta(hours=4)  # an access token lives for twelve; processes hold one for five minutes
_HELD = timedelta(minutes=1)


def rotate_tokens(*, installer: Installer) -> None:
    """Exchange every token of Slack that ends soon. What fails is tried again the next time."""
    soon = installer.clock() + _EARLY
    for company in installer.store.directory.list_companies():
        for installation in installer.store.directory.list_installations(company.id):
            ends_at = installation.token_expires_at
            if installation.platform == "slack" and installation.enabled and ends_at and ends_at <= soon:
                _rotate(installation, installer)
    metrics.flush()


def _rotate(installation: Installation, installer: Installer) -> None:
    about = {"platform": "slack", "company_id": installation.company_id}
    directory, now = installer.store.directory, installer.clock()
    if not directory.hold_rotation(installation, until=now + _HELD, now=now):
        return  # somebody else does it
    try:
        kept = json.loads(installer.secrets.read_fresh(installation.secret_name))
        grant = refresh(installer.app, installer.http, kept["refreshToken"], now=now)
        installer.secrets.write(installation.secret_name, token_secret(grant))
        directory.end_rotation(installation, expires_at=grant.expires_at)
    except (ServiceError, ValueError, KeyError, TypeError) as exc:
        code = exc.code if isinstance(exc, ServiceError) else "secret-malformed"
        logger.error("token not rotated", extra={**about, "code": code, "is_lost": isinstance(exc, PermanentError)})
        metrics.count("RotationFailures")
        return
    logger.info("token rotated", extra=about)
    metrics.count("Rotations", platform="slack")
