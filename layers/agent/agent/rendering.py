"""A stored prompt, rendered again from its manifest: of a turn, of one that a question back began, of a sub-agent."""

import json
from collections.abc import Sequence

from agent.entries import hash_prompt
from agent.history import Prompt, render_again
from agent.resuming import RESUMED, resume_again
from agent.revisions import leave_out_erased
from agent.tools.sub_agent import SUB_AGENT, render_task
from core.configuration import Input
from core.errors import PermanentError
from core.models import Conversation, Message, Task
from core.prompts import PromptManifest
from core.store import Store, keys


def render_stored(store: Store, conversation: Conversation, task: Task, messages: Sequence[Message]) -> Prompt:
    """What the model read for `task` first; the same if its hash is that of the task's manifest.

    Raises:
        PermanentError: `prompt-gone`, what it was made of is deleted or has expired.
    """
    company_id = conversation.user_company_id
    manifest = PromptManifest.model_validate_json(task.llm_raw_prompt or "")
    question = next((each for each in messages if each.id == task.message_id), None)
    if question is None:
        raise PermanentError("prompt-gone", "the messages of this prompt are deleted or have expired")
    input_ = store.get_input(company_id, manifest.input or conversation.input)
    if manifest.template == SUB_AGENT:
        return _render_sub_agent(store, company_id, task, manifest, input_)
    summary = store.recollections.find_summary(conversation, manifest.summary) if manifest.summary else None
    known = leave_out_erased(messages)
    prompt = render_again(input_, manifest, known, question, summary=summary)
    if manifest.template != RESUMED:
        return prompt
    before = [each for each in known if keys.ulid_of(each.id) < keys.ulid_of(question.id)]
    return resume_again(prompt, before, question, store, company_id)


def _render_sub_agent(store: Store, company_id: str, task: Task, manifest: PromptManifest, input_: Input) -> Prompt:
    usage = store.waiting.find(company_id, task.message_id, keys.place_of_task(task.id))
    if usage is None:
        raise PermanentError("prompt-gone", "the call that asked the sub-agent is deleted or has expired")
    messages = render_task(input_, json.loads(usage.request)["task"], manifest.variables)
    again = manifest.model_copy(update={"sha256": hash_prompt(messages)})
    return Prompt(messages=messages, manifest=again, parts={}, is_cut=False)
