"""The webhook pipeline: verify → parse → publish → acknowledge. It knows no platform by name and keeps no state.

A message counts as taken only once the queue has it: if that fails, the answer is 503 and the platform sends again.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypedDict

from core.errors import RequestRejectedError, RetryableError, ServiceError
from core.events import MessageReceived, SignalReceived
from core.platforms import Inbound, WebhookRequest, WebhookResult
from core.telemetry import logger, metrics, place_of

_MAX_BODY_BYTES = 1_000_000  # a platform's largest event is a tenth of it; what is parsed stays bounded


class HttpResponse(TypedDict):
    """API Gateway's answer, payload format 2.0."""

    statusCode: int
    headers: dict[str, str]
    body: str


def receive(
    event: Mapping[str, Any],
    *,
    inbound: Inbound,
    publish: Callable[[MessageReceived], None],
    publish_signal: Callable[[SignalReceived], None],
    now: Callable[[], datetime],
) -> HttpResponse:
    """Take one HTTP call of a platform.

    Args:
        event: API Gateway's HTTP API event, payload format 2.0.
        inbound: The platform that verifies and parses.
        publish: Puts a message on its queue; raises RetryableError where that fails.
        publish_signal: Puts a signal on its own queue, where no message is in front of it; raises the same.
        now: The clock.

    Returns:
        200 with what the platform expects, 4xx where the call is refused, 503 where it should be sent again, 500 where
        something is broken here.
    """
    try:
        result = _take(event, inbound, publish, publish_signal, now())
    except RequestRejectedError as exc:
        metrics.count("RequestsRefused", code=exc.code)
        logger.warning("request refused", extra={"code": exc.code, "status": exc.status})
        response = _respond(exc.status, {"error": exc.code, "message": exc.message})
    except RetryableError as exc:
        metrics.count("PublishFailures", code=exc.code)
        logger.error("message not taken", extra={"code": exc.code})
        response = _respond(503, {"error": exc.code, "message": "The message was not taken. Send it again."})
    # Whatever else goes wrong: the traceback that the runtime would log may show the body.
    except Exception as exc:  # noqa: BLE001
        code = exc.code if isinstance(exc, ServiceError) else "internal-error"
        metrics.count("RequestsFailed", code=code)
        logger.error("request failed", extra={"code": code, "type": type(exc).__name__, "where": place_of(exc)})
        response = _respond(500, {"error": code, "message": "The call could not be handled."})
    else:
        response = _respond(200, result.answer if result.answer is not None else {})
    metrics.flush()
    return response


def _take(
    event: Mapping[str, Any],
    inbound: Inbound,
    publish: Callable[[MessageReceived], None],
    publish_signal: Callable[[SignalReceived], None],
    now: datetime,
) -> WebhookResult:
    request = read_request(event)
    inbound.verify(request, now)
    result = inbound.parse(request, now)
    for message in result.messages:
        publish(message)
        metrics.count("MessagesIn", platform=message.address.platform)
        logger.info(
            "message taken",
            extra={"correlation_id": message.correlation_id, "platform": message.address.platform},
        )
    for signal in result.signals:
        publish_signal(signal)
        kind, platform = signal.kind.value, signal.address.platform
        metrics.count("SignalsIn", kind=kind, platform=platform)
        logger.info("signal taken", extra={"correlation_id": signal.correlation_id, "kind": kind, "platform": platform})
    if result.ignored:
        metrics.count("EventsIgnored", reason=result.ignored)
    return result


def read_request(event: Mapping[str, Any]) -> WebhookRequest:
    """The HTTP call inside API Gateway's event, its body as the raw bytes that were signed.

    Raises:
        RequestRejectedError: 413 where the body is too large, 400 where it is not what API Gateway says it is.
    """
    context = event.get("requestContext") or {}
    http = context.get("http") or {}
    body = event.get("body") or ""
    if len(body) > _MAX_BODY_BYTES * 4 // 3 + 4:
        raise RequestRejectedError("too-large", "The body is too large.", status=413)
    if event.get("isBase64Encoded"):
        try:
            raw = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise RequestRejectedError("malformed", "The body is not base64.", status=400) from exc
    else:
        raw = body.encode("utf-8", "surrogatepass")
    if len(raw) > _MAX_BODY_BYTES:
        raise RequestRejectedError("too-large", "The body is too large.", status=413)
    return WebhookRequest(
        method=http.get("method", ""),
        path=http.get("path", ""),
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=raw,
        request_id=context.get("requestId") or "",
    )


def _respond(status: int, answer: Mapping[str, Any]) -> HttpResponse:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(answer) if answer else "",
    }
