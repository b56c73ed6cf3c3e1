"""The tools of one turn, made of the definitions in a conversation's input."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING

from agent.parking import NeedsApproval
from agent.tools import Tool
from agent.tools.action_flow import make_action_flow_tool
from agent.tools.ask_person import AskPerson
from agent.tools.mcp import McpServers
from agent.tools.more_information import SearchConversations
from agent.tools.third_party import make_third_party_tools
from core.configuration import (
    ActionFlowTool,
    AskPersonTool,
    Input,
    McpTool,
    SearchConversationsTool,
    SubAgentTool,
    ThirdPartyTool,
    ToolDefinition,
)
from core.errors import ServiceError
from core.outside import OutsideHttp
from core.store import Store
from core.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_stepfunctions.client import SFNClient

_MOST_TOOLS = 128  # what the vendor's API takes
_MOST_SECONDS = 10.0  # until the first model call; all servers together


class Toolbox:
    """What tools are made with; built once per cold start, with clients that are made when a flow first needs them."""

    def __init__(
        self,
        store: Store,
        read_secret: Callable[[str], str],
        create_flow_clients: Callable[[], "tuple[LambdaClient, SFNClient]"],
        *,
        insecure_hosts: frozenset[str] = frozenset(),
    ) -> None:
        self._store = store
        self._read_secret = read_secret
        self._http = OutsideHttp(insecure_hosts=insecure_hosts)
        self._mcp = McpServers(read_secret=read_secret, http=self._http)
        self._create_flow_clients = create_flow_clients
        self._flow_clients: tuple[LambdaClient, SFNClient] | None = None
        self._creating = threading.Lock()  # boto3's default session makes one client at a time

    def open(self, input_: Input) -> dict[str, Tool]:
        """The tools by the names that the model calls them.

        A definition whose tools cannot be had now (a server that is down) is left out: the others stay usable. All
        servers are asked at the same time, and waited for together.
        """
        tools: dict[str, Tool] = {}
        lists = self._ask_servers(definition for definition in input_.tools if isinstance(definition, McpTool))
        for definition in input_.tools:
            try:
                made = list(lists[definition.name]() if isinstance(definition, McpTool) else self._make(definition))
                if definition.requires_approval:
                    made = [NeedsApproval(tool, definition.approvers) for tool in made]
            # What a foreign document or server says must not end a turn, whatever it is.
            except Exception as exc:  # noqa: BLE001
                code = exc.code if isinstance(exc, ServiceError) else type(exc).__name__
                logger.warning("tool left out", extra={"tool": definition.name, "code": code})
                continue
            for tool in made:
                if len(tools) < _MOST_TOOLS:
                    tools.setdefault(tool.name, tool)
        return tools

    def _ask_servers(self, definitions: Iterable[McpTool]) -> dict[str, Callable[[], Iterable[Tool]]]:
        """By name, what gives each server's tools. One that is late is left out now; its list is kept for later."""
        wanted = list(definitions)
        if not wanted:
            return {}
        threads = ThreadPoolExecutor(max_workers=len(wanted), thread_name_prefix="mcp")
        asked = {each.name: threads.submit(self._make, each) for each in wanted}
        wait(asked.values(), timeout=_MOST_SECONDS)
        threads.shutdown(wait=False)
        return {name: partial(future.result, timeout=0) for name, future in asked.items()}

    def _make(self, definition: ToolDefinition) -> Iterable[Tool]:
        match definition:
            case ActionFlowTool():
                lambda_client, states_client = self._get_flow_clients()
                return (make_action_flow_tool(definition, lambda_client=lambda_client, states_client=states_client),)
            case ThirdPartyTool():
                return make_third_party_tools(definition, read_secret=self._read_secret, http=self._http)
            case McpTool():
                return self._mcp.make_tools(definition)
            case SearchConversationsTool():
                return (SearchConversations(definition, store=self._store),)
            case AskPersonTool():
                return (AskPerson(definition),)
            case SubAgentTool():
                return ()  # made of the running turn, in `agent.sub_agents`

    def _get_flow_clients(self) -> "tuple[LambdaClient, SFNClient]":
        with self._creating:
            if self._flow_clients is None:
                self._flow_clients = self._create_flow_clients()
            return self._flow_clients
