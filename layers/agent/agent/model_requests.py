"""The body of a model call, in the dialect of the server that takes it.

What differs between servers with an OpenAI-compatible API, as of late 2026:

- The output limit of Chat Completions. OpenAI and Azure refuse `max_tokens` for reasoning models and want
  `max_completion_tokens`; vLLM and llama.cpp take both; Ollama knows `max_tokens` only and ignores the other without
  a word, so that an answer would have no limit at all (https://github.com/ollama/ollama/issues/7125).
- The person's id. OpenAI: `safety_identifier`, in place of `user`, which everyone else takes or ignores.
- `prompt_cache_key` is OpenAI's and Azure's.

The Responses API has one name for its limit everywhere. A server that states in its error that it does not know a
parameter is not sent it again.
"""

import threading
from urllib.parse import urlsplit

from agent.model_stream import Json, JsonObject
from agent.model_values import ModelRequest
from core.models import ApiKind

_OPENAI_DOMAINS = ("openai.com",)
_AZURE_DOMAINS = ("azure.com", "azure.us", "azure.cn")
_OPTIONAL = frozenset({"prompt_cache_key", "safety_identifier", "store", "stream_options", "user"})


class Dialect:
    """Which parameters one server understands. Safe to share between threads: what it learns only ever grows."""

    def __init__(self, base_url: str) -> None:
        host = urlsplit(base_url).hostname or ""
        is_openai, is_azure = _is_within(host, _OPENAI_DOMAINS), _is_within(host, _AZURE_DOMAINS)
        self._user_name = "safety_identifier" if is_openai else "user"
        self._chat_limit_names = ["max_tokens", "max_completion_tokens"]
        if is_openai or is_azure:
            self._chat_limit_names.reverse()
        self._lock = threading.Lock()
        self._unknown: frozenset[str] = frozenset() if is_openai or is_azure else frozenset({"prompt_cache_key"})

    def leave_out(self, parameter: str) -> bool:
        """Never send `parameter` again; False where the request would lose its meaning or its limit without it."""
        with self._lock:
            others = set(self._chat_limit_names) - {parameter}
            is_replaceable = parameter in self._chat_limit_names and not others <= self._unknown
            if parameter not in _OPTIONAL and not is_replaceable:
                return False
            self._unknown |= {parameter}
            return True

    def write(self, request: ModelRequest) -> JsonObject:
        """The JSON body that asks for a streamed answer to `request`."""
        messages: list[Json] = [{"role": each.role.value, "content": each.text} for each in request.messages]
        body: JsonObject = {"model": request.model, "stream": True}
        if request.api_kind is ApiKind.RESPONSES:
            # The vendor keeps no copy: the conversation is ours to keep and to delete.
            body |= {"input": messages, "max_output_tokens": request.max_output_tokens, "store": False}
        else:
            limit_name = next(name for name in self._chat_limit_names if name not in self._unknown)
            body |= {"messages": messages, limit_name: request.max_output_tokens}
            body["stream_options"] = {"include_usage": True}
        body |= {self._user_name: request.user, "prompt_cache_key": request.prompt_cache_key}
        return {name: value for name, value in body.items() if name not in self._unknown}


def _is_within(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith("." + domain) for domain in domains)
