"""The dialect of each kind of server, told from its address."""

import pytest

from agent.model_requests import Dialect
from core.models import ApiKind
from tests.unit.agent.model_server import ask


@pytest.mark.parametrize(
    ("base_url", "chat_limit", "person", "is_cache_key_sent"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens", "safety_identifier", True),
        ("https://eu.api.openai.com/v1", "max_completion_tokens", "safety_identifier", True),
        ("https://ours.openai.azure.com/openai/v1/", "max_completion_tokens", "user", True),
        ("https://ours.openai.azure.us/openai/v1/", "max_completion_tokens", "user", True),
        ("http://localhost:11434/v1", "max_tokens", "user", False),
        ("https://openai.com.example.org/v1", "max_tokens", "user", False),
        ("https://notopenai.com/v1", "max_tokens", "user", False),
    ],
)
def test_each_server_is_spoken_to_in_its_own_words(
    base_url: str, chat_limit: str, person: str, is_cache_key_sent: bool
) -> None:
    chat = Dialect(base_url).write(ask(ApiKind.CHAT))
    responses = Dialect(base_url).write(ask(ApiKind.RESPONSES))
    shared = {"model", "stream", person} | ({"prompt_cache_key"} if is_cache_key_sent else set())
    assert chat.keys() == shared | {"messages", "stream_options", chat_limit}
    assert responses.keys() == shared | {"input", "max_output_tokens", "store"}
    assert chat[person] == responses[person] == "opaque-person"
    assert chat[chat_limit] == responses["max_output_tokens"] == 500
