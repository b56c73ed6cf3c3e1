"""Settings that a test gives a company: what all of them say alike is said here."""

from datetime import UTC, datetime
from typing import Any

from core.configuration import Settings, ThirdPartyTool
from core.models import ApiKind
from local.fake_tools.api import make_document
from local.fake_tools.server import FakeTools
from tests.integration.turns.stack import COMPANY


def make_settings(settings_id: str = "default", **given: Any) -> Settings:
    """Settings for the stand-in model, with what is given instead of what they have."""
    known: dict[str, Any] = {
        "id": settings_id,
        "company_id": COMPANY,
        "version": 1,
        "name": settings_id,
        "model": "stand-in",
        "api_kind": ApiKind.RESPONSES,
        "prompt": "You help.",
        "created_at": datetime.now(UTC),
    }
    return Settings(**(known | given))


def order_tool(book: FakeTools, name: str = "orders", **given: Any) -> ThirdPartyTool:
    """The company's order service as a tool."""
    return ThirdPartyTool(
        name=name,
        description="The company's orders.",
        openapi=make_document(book.api_url),
        auth="bearer",
        secret_name="parley/test/tools/orders",
        **given,
    )
