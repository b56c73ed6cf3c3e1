"""The error tree. Three errors, because a caller can do three things: reject, try again, or give up and say so.

A third party's error is translated once, at its adapter, with `raise … from exc`. Messages here reach operators and
API callers: they never carry a text, a token, a signature or a body.
"""

from datetime import timedelta


class ServiceError(Exception):
    """What every error of ours is.

    Attributes:
        code: A stable, machine-readable word in kebab-case, safe to log and to show.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RequestRejectedError(ServiceError):
    """The caller's request is refused as it stands; sending it again unchanged will not help.

    Attributes:
        status: The HTTP status to answer with.
    """

    def __init__(self, code: str, message: str, *, status: int) -> None:
        super().__init__(code, message)
        self.status = status


class RetryableError(ServiceError):
    """The work may succeed later: give it back to the queue.

    Attributes:
        retry_after: How long to wait before the next try; None where nobody said.
        is_outcome_unknown: True where the request may have taken effect although no answer came (a timeout, a dropped
            connection after sending). Whoever retries must look before it leaps.
    """

    def __init__(
        self, code: str, message: str, *, retry_after: timedelta | None = None, is_outcome_unknown: bool = False
    ) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after
        self.is_outcome_unknown = is_outcome_unknown


class PermanentError(ServiceError):
    """The work cannot succeed: record it as failed and tell the person."""
