"""A company's own services in small: an HTTP API with an OpenAPI document, and an MCP server.

Both keep one book of orders. Every call is remembered, and what took effect is counted once per `Idempotency-Key`.
"""

from local.fake_tools.orders import Call, Orders
from local.fake_tools.server import FakeTools, Scripted

__all__ = ["Call", "FakeTools", "Orders", "Scripted"]
