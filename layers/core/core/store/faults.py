"""What DynamoDB refuses, in the store's words: every error of the table is translated here, once."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from core.errors import PermanentError, RetryableError, ServiceError
from core.store.items import Item, RawItem

_CONDITION = "ConditionalCheckFailed"
_CONFLICTS = frozenset({"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"})
_THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
    }
)
_FAULTS_OF_OURS = frozenset(
    {
        "IdempotentParameterMismatchException",
        "ItemCollectionSizeLimitExceeded",
        "ItemCollectionSizeLimitExceededException",
        "SerializationException",
        "ValidationError",
        "ValidationException",
    }
)


class ConditionFailedError(Exception):
    """A write's condition did not hold; nothing was written. Never leaves the store.

    Attributes:
        standing: The item that the condition failed on, where DynamoDB returned it.
        places: Which of a transaction's writes were refused, by their position.
    """

    def __init__(self, *, standing: RawItem | None = None, places: Sequence[int] = (0,)) -> None:
        super().__init__("a condition did not hold")
        self.standing = standing
        self.places = tuple(places)

    def find[I: Item](self, kind: type[I]) -> I | None:
        """The item that stands, where DynamoDB returned it."""
        return kind.from_raw(self.standing) if self.standing else None


class ConflictError(Exception):
    """Another transaction holds one of the items just now."""


def translate(error: Exception) -> Exception:
    """The error that says of an error of PynamoDB or botocore what a caller can do about it."""
    if not isinstance(error, ClientError):
        return _translate_silence(error)
    code = error.response["Error"]["Code"]
    if code == "TransactionCanceledException":
        return _translate_cancellation(error)
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError(standing=_find_standing(error))
    if code in _CONFLICTS:
        return ConflictError()
    return _name_fault(code)


def _translate_cancellation(error: ClientError) -> Exception:
    reasons = getattr(error, "cancellation_reasons", ())  # PynamoDB's error has them, in the order of the writes
    codes = [reason.code if reason else "" for reason in reasons]
    refused = [place for place, code in enumerate(codes) if code == _CONDITION]
    if refused:
        return ConditionFailedError(places=refused)
    if any(code in _CONFLICTS for code in codes):
        return ConflictError()
    return _name_fault(next((code for code in codes if code), "TransactionCanceledException"))


def _name_fault(code: str) -> ServiceError:
    if code in _FAULTS_OF_OURS:
        return PermanentError("table-refused", f"the table refuses this write for good: {code}")
    if code in _THROTTLES:
        return RetryableError("table-throttled", f"the table is throttled: {code}")
    return RetryableError("table-unavailable", f"the table answered {code}")


def _translate_silence(error: Exception) -> ServiceError:
    is_sent = isinstance(error, ReadTimeoutError | ConnectionClosedError | ResponseStreamingError) or (
        type(error) is HTTPClientError
    )
    return RetryableError(
        "table-unavailable", f"the table gave no answer: {type(error).__name__}", is_outcome_unknown=is_sent
    )


def _find_standing(error: ClientError) -> RawItem | None:
    """The item that a condition failed on: PynamoDB drops it from its error, botocore's own still has it."""
    cause = error.__cause__
    answer: Mapping[str, Any] = cause.response if isinstance(cause, ClientError) else error.response
    return answer.get("Item")
