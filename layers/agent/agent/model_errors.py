"""The model API's errors, translated once: which are worth another try, and what an operator has to do about the rest.

No message here carries the vendor's own text: it may quote the prompt or the key. Codes are the vendor's words too,
so they are shown only where they look like codes.
https://platform.openai.com/docs/guides/error-codes
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

from core.errors import PermanentError, RetryableError

_CODE = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_MAX_RETRY_AFTER = 3600.0  # seconds; a longer wait is the queue's business

_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    }
)
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})  # the second is llama.cpp's
_FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "image_content_policy_violation",
        "bio_policy",
        "cyber_policy",
        "misalignment_policy_violation",
    }
)
_IMAGE_CODES = frozenset(
    {
        "empty_image_file",
        "image_file_too_large",
        "image_parse_error",
        "image_too_large",
        "image_too_small",
        "invalid_base64_image",
        "invalid_image",
        "invalid_image_format",
        "invalid_image_mode",
        "invalid_image_url",
        "unsupported_image_media_type",
    }
)
_RATE_CODES = frozenset({"rate_limit_exceeded", "rate_limit_error", "slow_down"})
_SERVER_CODES = frozenset({"server_error", "server_is_overloaded", "service_unavailable_error", "internal_error"})
# The last one is how reasoning models refuse a temperature: they take the default only.
_PARAMETER_CODES = frozenset({"unsupported_parameter", "unknown_parameter", "unsupported_value"})


class ModelTimeoutError(RetryableError):
    """The model did not answer within its time limit; asking it again at once would take as long."""

    def __init__(self, message: str) -> None:
        super().__init__("model-timeout", message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFault:
    """An error as the model API states it, in an HTTP answer or in the middle of a stream.

    Attributes:
        status: The HTTP status; None for an error within a stream.
        code: The API's own code.
        kind: The API's error type.
        param: The request parameter that the API objects to.
        retry_after: How long it asks to wait.
        request_id: The vendor's id of the call.
    """

    status: int | None = None
    code: str | None = None
    kind: str | None = None
    param: str | None = None
    retry_after: timedelta | None = None
    request_id: str | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether the vendor's content filter withholds the answer."""
        return self.code in _FILTER_CODES

    @property
    def refused_parameter(self) -> str | None:
        """The parameter that this server or model does not take, if that is what is wrong."""
        return self.param.split(".")[0] if self.param and self.code in _PARAMETER_CODES else None

    def as_error(self) -> RetryableError | PermanentError:
        """The error of ours that this is."""
        words = {self.code, self.kind}
        if words & _QUOTA_CODES or self.status == 402:
            return PermanentError("model-quota", f"the model account's quota is used up: raise it{self._details}")
        if self.status == 429 or words & _RATE_CODES:
            message = f"the model API limits the rate of requests{self._details}"
            return RetryableError("model-rate-limited", message, retry_after=self.retry_after)
        if self.status in {408, 409} or (self.status or 0) >= 500 or words & _SERVER_CODES:
            message = f"the model API failed{self._details}"
            return RetryableError("model-unavailable", message, retry_after=self.retry_after)
        return self._permanent(words)

    def _permanent(self, words: set[str | None]) -> PermanentError:
        if self.status in {401, 403}:
            code, message = "model-unauthorized", "the model API refuses the key: check the key's secret and its rights"
        elif words & _CONTEXT_CODES or self.status == 413:
            code, message = "context-too-long", "the prompt is longer than the model takes"
        elif words & _IMAGE_CODES:
            code, message = "images-refused", "the model API refuses a picture"
        elif self.status == 404 or self.code == "model_not_found":
            code, message = (
                "model-unknown",
                "the model API knows no such model or path: check model, base URL, API kind",
            )
        else:
            code, message = "model-request", "the model API refuses the request"
        return PermanentError(code, message + self._details)

    @property
    def _details(self) -> str:
        named = {"HTTP": str(self.status) if self.status else None, "code": self.code, "parameter": self.param}
        shown = [f"{name} {value}" for name, value in named.items() if value and _CODE.fullmatch(value)]
        return f" ({', '.join(shown)})" if shown else ""


def read_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The wait that an answer asks for, from any of the forms in use; None without a usable one.

    `retry-after-ms` is OpenAI's and Azure's, seconds and a date are HTTP's (RFC 9110, 10.2.3). The date is held
    against the answer's own `date`, so that a wrong clock here cannot matter.
    """
    seconds = _number(headers.get("retry-after-ms"), unit=0.001)
    if seconds is None:
        seconds = _number(headers.get("retry-after"), unit=1)
    if seconds is None:
        seconds = _seconds_between(headers.get("date"), headers.get("retry-after"))
    if seconds is None or not 0 <= seconds <= _MAX_RETRY_AFTER:
        return None
    return timedelta(seconds=seconds)


def _number(text: str | None, *, unit: float) -> float | None:
    try:
        return float(text or "") * unit
    except ValueError:
        return None


def _seconds_between(earlier: str | None, later: str | None) -> float | None:
    try:
        return (parsedate_to_datetime(later or "") - parsedate_to_datetime(earlier or "")).total_seconds()
    except (TypeError, ValueError):  # TypeError: only one of them names its zone
        return None
