"""UNINSTALL: a workspace removed the app, or the platform no longer takes its token."""

from datetime import timedelta

from core.signals.case import Case
from core.telemetry import logger

# A platform revokes the old token when an app is installed anew, and a process may hold it for five minutes: what is
# said of an installation that young is about the one before.
_YOUNG = timedelta(minutes=10)


def uninstall(case: Case) -> str:
    """Switch the installation off and forget its token. Said twice, it is the same; conversations stay."""
    installation, now = case.installation, case.clock()
    if not case.store.directory.end_installation(installation, installed_before=case.signal.sent_at - _YOUNG, now=now):
        return "installed-anew"
    about = {"platform": installation.platform, "company_id": installation.company_id}
    logger.warning("installation ended", extra=about)
    own = f"/{installation.platform}/{installation.workspace_id}"
    if installation.secret_name.endswith(own):  # a secret that several installations share is the stack's
        case.forget_secret(installation.secret_name)
    return "uninstalled"
