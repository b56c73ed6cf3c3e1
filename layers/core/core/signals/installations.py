"""UNINSTALL: a workspace removed the app, or the platform no longer takes its token."""

from core.signals.case import Case
from core.telemetry import logger


def uninstall(case: Case) -> str:
    """Switch the installation off and forget its token. Said twice, it is the same; conversations stay.

    What happened before the installation is about the one before it, however late it is heard of.
    """
    installation, now = case.installation, case.clock()
    if not case.store.directory.end_installation(installation, installed_before=case.signal.sent_at, now=now):
        return "installed-anew"
    about = {"platform": installation.platform, "company_id": installation.company_id}
    logger.warning("installation ended", extra=about)
    own = f"/{installation.platform}/{installation.workspace_id}"
    if installation.secret_name.endswith(own):  # a secret that several installations share is the stack's
        case.forget_secret(installation.secret_name)
    return "uninstalled"
