"""How many columns of real-looking headers find their field: by names alone, and with a model for what is left.

`python benchmarks/mapping.py` (or `make eval-mapping`) prints both. The model is that of OPENAI_BASE_URL, OPENAI_MODEL
and OPENAI_API_KEY; without a key its half is skipped, never made up.
"""

import os
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), *(str(_ROOT / "layers" / room) for room in ("importer", "agent", "core"))]

from agent.model import OpenAIModel  # noqa: E402 - found from the project's root, however this file is started
from agent.model_values import Finished, ModelMessage, ModelRequest, TextDelta  # noqa: E402
from benchmarks.header_sets import SETS, TEMPLATES, HeaderSet  # noqa: E402
from core.models import ApiKind, Role, Usage  # noqa: E402
from importer.mapping import propose  # noqa: E402
from importer.model import Completion, Model, Prompt  # noqa: E402

_SECONDS = 120.0


class AskedModel:
    """The agent room's model as the importer asks one."""

    sees_images = False

    def __init__(self, model: OpenAIModel, name: str, api_kind: ApiKind = ApiKind.CHAT) -> None:
        """Ask `model` under the name that its API knows."""
        self._model = model
        self._name = name
        self._api_kind = api_kind
        self.asked: list[Prompt] = []

    def complete(self, prompt: Prompt) -> Completion:
        """The whole answer."""
        self.asked.append(prompt)
        request = ModelRequest(
            model=self._name,
            api_kind=self._api_kind,
            messages=(ModelMessage(Role.SYSTEM, prompt.instructions), ModelMessage(Role.USER, prompt.content)),
            max_output_tokens=prompt.max_output_tokens,
            user="eval",
            prompt_cache_key=prompt.cache_key,
            output_schema=prompt.schema,
        )
        text, finish_reason, usage = "", "", None
        for event in self._model.stream(request, seconds=_SECONDS):
            if isinstance(event, TextDelta):
                text += event.text
            elif isinstance(event, Finished):
                finish_reason, usage = event.finish_reason, event.usage
        return Completion(text=text, finish_reason=finish_reason, usage=usage)

    def cost_of(self, usage: Usage) -> Decimal | None:  # noqa: ARG002 - it is not known here
        """Nobody says."""
        return None


@dataclass(slots=True)
class Score:
    """Fields that found their column, found none, or found another one; and what was asked."""

    right: int = 0
    missing: int = 0
    wrong: int = 0
    tokens: int = 0


def score(sets: tuple[HeaderSet, ...], model: Model | None) -> Score:
    """How well the headers are mapped."""
    total = Score()
    for each in sets:
        samples = {name: [value] for name, value in each.row.items()}
        proposal = propose(samples, TEMPLATES[each.template], model=model)
        found = {made.target: made.columns for made in proposal.mapping.fields}
        for target, names in each.wanted.items():
            wanted = (names,) if isinstance(names, str) else names
            total.right += found.get(target) == wanted
            total.missing += target not in found
            total.wrong += target in found and found[target] != wanted
        total.wrong += len(found.keys() - each.wanted.keys())
        total.tokens += proposal.usage.total_tokens if proposal.usage else 0
    return total


def main() -> int:
    """Measure and print."""
    _say("by names alone", score(SETS, None))
    key = os.environ.get("OPENAI_API_KEY", "")
    if not key:
        print("with a model: skipped, there is no OPENAI_API_KEY")
        return 0
    name = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
    base_url = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
    model = OpenAIModel(api_key=lambda: key, base_url=base_url)
    _say(f"with {name}", score(SETS, AskedModel(model, name)))
    model.close()
    return 0


def _say(how: str, found: Score) -> None:
    count = found.right + found.missing + found.wrong
    print(
        f"{how}: {found.right} of {count} fields right ({found.right / count:.0%}), {found.missing} left open, "
        f"{found.wrong} wrong, {found.tokens} tokens, {len(SETS)} headers"
    )


if __name__ == "__main__":
    sys.exit(main())
