"""Asks a model for the records in a document, chunk by chunk, and believes only what it can look up.

The schema of the answer is strict, a cut answer is never repaired (the chunk is asked for in halves), a quote is
searched in the pages that were sent, and money is counted before it is spent. The document's text is data: it stands
between marks that carry a code it cannot know.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from core.models import Usage, Value
from importer.asking import estimate_tokens, prompt
from importer.chunks import Chunk, cut_chunks
from importer.evidence import MAX_QUOTE, find_page
from importer.model import Model, Prompt
from importer.problems import ProblemCode, refuse
from importer.template import Template
from importer.values import Page, Record

_AT_ONCE = 4  # questions under way
_OUTPUT_TOKENS = 8_000  # of one answer; above that the chunk is halved
_OUTPUT_SHARE = 0.5  # of the input, where nothing is known yet: records repeat what the page says
_SCAN_TOKENS = 2_000  # of the picture of a page
_SCANNED_TEXT_TOKENS = 1_000  # of the text on it
_MAX_RECORDS = 2_000  # of one answer
_MAX_ANSWER = 4 * 1024 * 1024  # characters
_IN_STRICT = frozenset(("title", "description", "enum", "const"))
_MAX_DEPTH = 32


class Evidence(Value):
    """Where a record comes from: words that stand on a page."""

    page: int
    quote: str


class Found(Value):
    """One record as it was found; without evidence where its quote stands nowhere in the pages."""

    record: Record
    evidence: Evidence | None


class Miss(Value):
    """Pages whose records are not known, and why."""

    first_page: int
    last_page: int
    code: ProblemCode
    message: str


class ChunkResult(Value):
    """What one chunk gave. Stored, it need not be asked for again.

    Attributes:
        missed: What could not be read to its end.
        cost: US dollars; None where the price is not known.
    """

    number: int
    found: tuple[Found, ...]
    missed: tuple[Miss, ...] = ()
    usage: Usage = Usage()
    cost: Decimal | None = None


class Estimate(Value):
    """What an extraction will take, rather too much than too little."""

    chunks: int
    usage: Usage
    cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Where spending ends."""

    max_cost: Decimal | None = None
    max_tokens: int = 20_000_000


def estimate(pages: Iterable[Page], template: Template, model: Model) -> Estimate:
    """What the extraction will take. Asks nothing."""
    overhead = estimate_tokens(prompt("extract")) + estimate_tokens(json.dumps(answer_schema(template)))
    chunks = tokens = scans = 0

    def counted() -> Iterator[Page]:
        nonlocal scans
        for page in pages:
            scans += page.is_scan
            yield page

    for chunk in cut_chunks(counted()):
        chunks += 1
        tokens += chunk.tokens + overhead
    # A scan is looked at, and what is read there is asked about.
    tokens += scans * (_SCAN_TOKENS + _SCANNED_TEXT_TOKENS)
    output = int(tokens * _OUTPUT_SHARE) + scans * _SCANNED_TEXT_TOKENS
    usage = Usage(input_tokens=tokens, output_tokens=output, total_tokens=tokens + output)
    return Estimate(chunks=chunks, usage=usage, cost=model.cost_of(usage))


def check_caps(found: Estimate, caps: Caps) -> None:
    """Refuse an extraction that would spend too much, before the first question.

    Raises:
        PermanentError: `cost-cap`.
    """
    if found.usage.total_tokens > caps.max_tokens or (
        caps.max_cost is not None and found.cost is not None and found.cost > caps.max_cost
    ):
        raise refuse(ProblemCode.COST_CAP, "the document would cost more than the import may: raise its maximum cost")


def extract(
    pages: Iterable[Page], template: Template, model: Model, *, caps: Caps, done: int = 0, spent: Usage | None = None
) -> Iterator[ChunkResult]:
    """The records of each chunk, in the order of the pages; some chunks are asked for at the same time.

    Args:
        pages: All pages, whatever is done already: they are cut the same way every time.
        template: What a record looks like.
        model: Who is asked.
        caps: Where spending ends: what is left then is given as missed, with `cost-cap`.
        done: How many chunks have their results from an earlier try; they are left out.
        spent: What the import has taken so far.

    Raises:
        RetryableError: The model is out of reach. What was yielded before is good.
        PermanentError: The model refuses to work at all.
    """
    asking = _Asking(template, model)
    spent = spent or Usage()
    chunks: Iterator[Chunk] = islice(cut_chunks(pages), done, None)
    waiting: deque[tuple[Chunk, Future[ChunkResult]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            while True:
                while len(waiting) < _AT_ONCE and (chunk := next(chunks, None)) is not None:
                    ahead = sum(each.tokens for each, _ in waiting) + chunk.tokens
                    if _is_too_much(spent, ahead, caps, model):
                        chunks = iter(())
                        waiting.append((chunk, pool.submit(_missed, chunk, "the maximum cost was reached here")))
                        break
                    waiting.append((chunk, pool.submit(asking.ask, chunk)))
                if not waiting:
                    return
                result = waiting.popleft()[1].result()
                spent = add(spent, result.usage)
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def answer_schema(template: Template) -> dict[str, Any]:
    """JSON Schema of an answer: records with a quote and a page each, in the words that strict models know."""
    record = _strict(template.record, template.record.get("$defs", {}))
    for name, schema in record["properties"].items():
        if said := template.hint_of(name).description:
            schema["description"] = said
    found = {
        "record": {"$ref": "#/$defs/record"},
        "quote": {"type": "string", "description": "copied from the page, at most 200 characters"},
        "page": {"type": "integer"},
    }
    # As a definition, the record may be nested as deeply as the API allows: what refers to it does not count.
    return {
        **_closed({"records": {"type": "array", "items": _closed(found)}}),
        "$defs": {"record": record},
    }


def add(one: Usage, other: Usage) -> Usage:
    """What two calls took together."""
    return Usage(**{name: getattr(one, name) + getattr(other, name) for name in Usage.model_fields})


class _Asking:
    """What all questions of one extraction have in common."""

    def __init__(self, template: Template, model: Model) -> None:
        self._template = template
        self._model = model
        self._schema = answer_schema(template)
        digest = hashlib.sha256(json.dumps(self._schema, sort_keys=True).encode()).hexdigest()
        self._cache_key = f"extract-{digest[:32]}"

    def ask(self, chunk: Chunk) -> ChunkResult:
        """The records of a chunk; of its halves, where the answer is cut or is none."""
        completion = self._model.complete(
            Prompt(
                instructions=prompt("extract"),
                content=_content(chunk),
                schema=self._schema,
                max_output_tokens=_OUTPUT_TOKENS,
                cache_key=self._cache_key,
            )
        )
        usage = completion.usage or Usage()
        said = _parse(completion.text) if completion.finish_reason == "stop" else None
        if said is not None:
            found = tuple(self._found(each, chunk) for each in said)
            return ChunkResult(number=chunk.number, found=found, usage=usage, cost=self._model.cost_of(usage))
        is_withheld = completion.finish_reason not in {"stop", "length"}
        halves = None if is_withheld else chunk.halve()
        if halves is None:
            why = "the model gave no answer" if is_withheld else "the model's answer is cut or is none"
            missed = _missed(chunk, why, ProblemCode.INVALID_JSON)
            return missed.model_copy(update={"usage": usage, "cost": self._model.cost_of(usage)})
        return self._joined(chunk.number, usage, [self.ask(half) for half in halves])

    def _joined(self, number: int, own: Usage, results: list[ChunkResult]) -> ChunkResult:
        usage = own
        for result in results:
            usage = add(usage, result.usage)
        costs = [self._model.cost_of(own), *(result.cost for result in results)]
        known = [cost for cost in costs if cost is not None]
        return ChunkResult(
            number=number,
            found=tuple(each for result in results for each in result.found),
            missed=tuple(each for result in results for each in result.missed),
            usage=usage,
            cost=sum(known, Decimal()) if len(known) == len(costs) else None,
        )

    def _found(self, said: Mapping[str, Any], chunk: Chunk) -> Found:
        record: Record = {name: said["record"].get(name) for name in self._template.fields}
        page = find_page(said["quote"], said["page"], chunk.pieces)
        evidence = Evidence(page=page, quote=said["quote"][:MAX_QUOTE]) if page is not None else None
        return Found(record=record, evidence=evidence)


def _missed(chunk: Chunk, message: str, code: ProblemCode = ProblemCode.COST_CAP) -> ChunkResult:
    numbers = [piece.page for piece in chunk.pieces]
    miss = Miss(first_page=min(numbers), last_page=max(numbers), code=code, message=message)
    return ChunkResult(number=chunk.number, found=(), missed=(miss,))


def _is_too_much(spent: Usage, ahead: int, caps: Caps, model: Model) -> bool:
    total = spent.total_tokens + int(ahead * (1 + _OUTPUT_SHARE))
    if total > caps.max_tokens:
        return True
    coming = add(spent, Usage(input_tokens=ahead, output_tokens=int(ahead * _OUTPUT_SHARE)))
    cost = model.cost_of(coming)
    return caps.max_cost is not None and cost is not None and cost > caps.max_cost


def _content(chunk: Chunk) -> str:
    """The pages between marks. The code in the marks is made of the text, so no text can hold its own."""
    text = "\0".join(piece.text for piece in chunk.pieces)
    code = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    pages = (f"=== page {piece.page} [{code}] ===\n{piece.text}" for piece in chunk.pieces)
    return "\n".join((*pages, f"=== end of the pages [{code}] ==="))


def _parse(text: str) -> list[dict[str, Any]] | None:
    """The records of an answer; None where it is no answer of the right shape."""
    if len(text) > _MAX_ANSWER:
        return None
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    said = answer.get("records") if isinstance(answer, dict) else None
    if not isinstance(said, list) or len(said) > _MAX_RECORDS or not all(map(_is_record, said)):
        return None
    return said


def _is_record(said: object) -> bool:
    if not isinstance(said, dict) or not isinstance(said.get("record"), dict):
        return False
    page = said.get("page")
    return isinstance(said.get("quote"), str) and isinstance(page, int) and not isinstance(page, bool)


def _strict(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """A schema in the few words that strict models know; what it loses is checked when the records are."""
    if depth > _MAX_DEPTH:
        raise refuse(ProblemCode.NESTING_TOO_DEEP, "the template is nested too deeply, or without end")
    if isinstance(reference := schema.get("$ref"), str):
        schema = {**definitions.get(reference.removeprefix("#/$defs/"), {}), **schema}
    made = {word: schema[word] for word in _IN_STRICT if word in schema}
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else list(kinds or ())
    if names:
        made["type"] = kinds
    if "object" in names:
        required = schema.get("required", ())
        inner = {name: _strict(each, definitions, depth + 1) for name, each in schema.get("properties", {}).items()}
        made |= _closed({name: each if name in required else _nullable(each) for name, each in inner.items()})
        made["type"] = kinds
    if "array" in names:
        made["items"] = _strict(schema.get("items") or {"type": "string"}, definitions, depth + 1)
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        made["anyOf"] = [_strict(each, definitions, depth + 1) for each in alternatives]
    return made if made.keys() & {"type", "anyOf", "enum", "const"} else {**made, "type": "string"}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type")
    if isinstance(kinds, str) and "enum" not in schema and "const" not in schema:
        return {**schema, "type": kinds if kinds == "null" else [kinds, "null"]}
    if isinstance(kinds, list) and "enum" not in schema:
        return schema if "null" in kinds else {**schema, "type": [*kinds, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
