"""The tools of a turn, put together: servers are asked at the same time, and a dead one costs nobody else anything."""

import threading
from contextlib import ExitStack
from typing import Any

import pytest

from agent.tools import toolbox
from agent.tools.mcp_wire import Wire
from agent.tools.toolbox import Toolbox
from core.configuration import Input, McpTool
from core.models import ApiKind
from core.store import Store
from local.fake_tools import FakeTools, Scripted

_SECRET = "parley/test/tools/mcp"


def _open(*services: FakeTools) -> list[str]:
    store = Store("none", bucket_name="none", region="eu-central-1")
    secrets = {_SECRET: services[0].token}
    box = Toolbox(store, secrets.__getitem__, lambda: pytest.fail("no flow"), insecure_hosts=frozenset(("127.0.0.1",)))
    tools = tuple(
        McpTool(name=f"shop{number}", description="A shop.", url=each.mcp_url, secret_name=_SECRET)
        for number, each in enumerate(services)
    )
    given: dict[str, Any] = {"settings_id": "s", "settings_version": 1, "prompts": (), "model": "m"}
    return list(box.open(Input(tools=tools, api_kind=ApiKind.RESPONSES, **given)))


def test_servers_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3)
    to_server = Wire.list_tools

    def list_tools(self: Wire, cursor: str | None, *, deadline: float) -> Any:
        if cursor is None:
            together.wait(timeout=5)  # broken unless all three are being asked
        return to_server(self, cursor, deadline=deadline)

    monkeypatch.setattr(Wire, "list_tools", list_tools)
    with ExitStack() as running:
        shops = [running.enter_context(FakeTools()) for _ in range(3)]
        names = _open(*shops)
    assert names == [
        f"shop{n}_{tool}" for n in range(3) for tool in ("look_up_order", "place_order", "draw_order")
    ]  # in the order of the settings, whoever answered first


def test_a_server_that_never_answers_is_left_out_when_the_one_wait_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolbox, "_MOST_SECONDS", 0.5)
    with FakeTools() as first, FakeTools() as second:
        first.answer_next(Scripted(body=b"{", is_open=True))
        names = _open(first, second)
    assert names == ["shop1_look_up_order", "shop1_place_order", "shop1_draw_order"]
