"""When a conversation is told of an import that came from it, and by which signal.

A state is told once: the processor that leaves an import in one says so, again where it cannot know whether it had. A
state is a status and the claim that ended in it, so that a second review is told, too.
"""

import re
from datetime import datetime

from core.events import SignalKind, SignalReceived
from core.imports import ENDED, Import, ImportStatus

_TOLD = ENDED | {ImportStatus.AWAITING_REVIEW}
_REFERENCE = re.compile(r"(imp_[A-Za-z0-9]{8,40}):(\d{1,9})")


def state_of(import_: Import) -> str | None:
    """What a conversation is told of an import now; None where that is nothing."""
    if import_.origin is None or import_.processing_status not in _TOLD:
        return None
    return f"{import_.processing_status.value}:{import_.fencing_token}"


def make_signal(import_: Import, now: datetime) -> SignalReceived | None:
    """The signal that has a conversation told; None where there is nothing to tell, or it is told."""
    state, origin = state_of(import_), import_.origin
    if state is None or origin is None or (import_.notice and import_.notice.is_told and import_.notice.state == state):
        return None
    return SignalReceived(
        kind=SignalKind.IMPORT,
        external_id=f"{import_.id}:{state}",
        address=origin.address,
        external_message_id=origin.external_message_id,
        external_user_id=origin.external_user_id,
        external_user_workspace_id=origin.external_user_workspace_id,
        reference=import_.id,
        reply_url=origin.reply_url,
        sent_at=import_.updated_at,
        received_at=now,
        correlation_id=import_.id,
    )


def button_reference(import_: Import) -> str:
    """What the buttons of a review carry: the import, and which of its reviews."""
    return f"{import_.id}:{import_.fencing_token}"


def split_button_reference(reference: str) -> tuple[str, int] | None:
    """The import's id and the review in what `button_reference` made; None where it is something else."""
    found = _REFERENCE.fullmatch(reference)
    return (found[1], int(found[2])) if found else None
