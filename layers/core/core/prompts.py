"""What is stored of a prompt in place of its text, and its parts as they can be read from that."""

import json

from pydantic import Field, ValidationError

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


def list_parts(raw_prompt: str | None, message_id: str) -> str | None:
    """The parts of a stored prompt for the question `message_id`, in order, as JSON; None where there is none.

    Each has the role in which the model reads it and names what it is made of: nothing that was said is said again.
    """
    try:
        manifest = PromptManifest.model_validate_json(raw_prompt or "")
    except ValidationError:  # of a release that stored the text itself
        return None
    range_ = {"from": manifest.first_message_id, "until": message_id, "count": manifest.message_count - 1}
    parts: list[dict[str, object]] = [
        {"role": "system", "input": manifest.input or "conversation", "variables": manifest.variables},
    ]
    if manifest.summary:
        parts.append({"role": "user", "summary": manifest.summary})
    if manifest.message_count > 1:
        parts.append({"role": "conversation", **range_, "toolDigests": manifest.digests})
    parts.append({"role": "user", "message": message_id})
    return json.dumps({"template": manifest.template, "parts": parts}, ensure_ascii=False)
