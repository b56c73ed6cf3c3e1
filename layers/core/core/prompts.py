"""What is stored of a prompt in place of its text."""

from pydantic import Field

from core.models import Value


class PromptManifest(Value):
    """What a prompt was made of, in place of the prompt itself, and the hash that proves a new rendering equal.

    A range, not a list of ids: a list would make every task cost a second write unit. The prompt's messages are the
    last `message_count` ones that its template takes, from the ULID `first_message_id` to the task's question. Of those
    that carry digests of tools, the last `digests` ones show them. `summary` is the ULID up to which a summary stands
    before them, `variables` what the instructions were filled with.

    Short, because a task is to stay below 1 KB: what the conversation says is not said again. Earlier releases did:
    `input` is the conversation's where it is empty, and `first_message_id` was the whole id.
    """

    template: str
    input: str = ""
    first_message_id: str
    message_count: int
    digests: int = 0
    summary: str | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    sha256: str
