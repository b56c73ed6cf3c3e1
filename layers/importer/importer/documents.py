"""Documents as pages of text: scans are looked at, recordings listened to, and nothing is ever an empty success."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace

from core.models import Usage
from importer.asking import prompt
from importer.extraction import add
from importer.model import Model, Prompt, Transcriber
from importer.problems import ProblemCode, refuse
from importer.readers import DocumentFile
from importer.values import Page, PageImage, Record

_AT_ONCE = 4  # pages that are looked at
_OUTPUT_TOKENS = 6_000  # of one page
_NOTHING = "(no text)"


@dataclass(slots=True)
class Senses:
    """Who looks and listens, and what it took so far.

    Attributes:
        model: Looks, if it can see images; None where there is none.
        transcriber: Listens; None where nobody does.
        max_pages: How many pages may be looked at; each is a call.
        notices: What was left out.
    """

    model: Model | None = None
    transcriber: Transcriber | None = None
    max_pages: int = 200
    usage: Usage = field(default_factory=Usage)
    notices: list[str] = field(default_factory=list)

    @property
    def can_see(self) -> bool:
        """Whether somebody looks at images."""
        return self.model is not None and self.model.sees_images


def read_pages(document: DocumentFile, senses: Senses) -> Iterator[Page]:
    """The pages of a document, all with the text that is on them.

    Raises:
        PermanentError: `no-text-layer` or `no-provider` where no page has a text and nobody can look or listen;
            `too-many-pages` where more would have to be looked at than may be.
        RetryableError: Who looks or listens is out of reach.
    """
    is_any = False
    unseen: list[int] = []
    is_picture = False
    for page in _sensed(document, senses):
        if page.is_scan:
            unseen.append(page.number)
            is_picture = any(not image.media_type.endswith("png") for image in page.images)
        is_any = is_any or bool(page.text.strip())
        yield page
    if not unseen:
        return
    if not is_any and not senses.can_see:
        if is_picture or document.page_count == 1:
            raise refuse(ProblemCode.NO_PROVIDER, "it is an image, and no model that sees images is configured")
        raise refuse(
            ProblemCode.NO_TEXT_LAYER, "it is a scan without text, and no model that sees images is configured"
        )
    senses.notices.append(f"{len(unseen)} pages without text were left out, the first is page {unseen[0]}")


def page_records(name: str, pages: Iterator[Page]) -> Iterator[Record]:
    """Pages as records, for an import without a template."""
    for page in pages:
        headings = [heading.text for heading in page.headings]
        yield {"file": name, "page": page.number, "headings": headings, "text": page.text}


def page_markdown(name: str, pages: Iterator[Page]) -> Iterator[str]:
    """Pages as Markdown, for an import without a template."""
    yield f"# {' '.join(name.split())}\n"
    for page in pages:
        yield f"\n<!-- page {page.number} -->\n\n{_marked(page).strip()}\n"


def _marked(page: Page) -> str:
    """The text of a page with its headings marked."""
    pieces, place = [], 0
    for heading in page.headings:
        pieces.append(page.text[place : heading.offset])
        if not page.text.startswith("#", heading.offset):
            pieces.append(f"\n{'#' * min(heading.level + 1, 6)} ")
        place = heading.offset
    return "".join((*pieces, page.text[place:]))


def _sensed(document: DocumentFile, senses: Senses) -> Iterator[Page]:
    """The pages in order; some scans are looked at at the same time."""
    waiting: deque[Future[tuple[Page, Usage]]] = deque()
    looked = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool, closing(_pages(document)) as pages:
        for page in pages:
            looked += page.is_scan
            if page.is_scan and senses.can_see and looked > senses.max_pages:
                message = f"{senses.max_pages} pages without text may be looked at: raise the limit or send text"
                raise refuse(ProblemCode.TOO_MANY_PAGES, message)
            waiting.append(pool.submit(_sense, page, senses))
            if len(waiting) >= _AT_ONCE:
                yield _counted(waiting.popleft(), senses)
        while waiting:
            yield _counted(waiting.popleft(), senses)


def _pages(document: DocumentFile) -> Generator[Page]:
    yield from document.read()


def _counted(sensed: "Future[tuple[Page, Usage]]", senses: Senses) -> Page:
    page, usage = sensed.result()
    senses.usage = add(senses.usage, usage)
    return page


def _sense(page: Page, senses: Senses) -> tuple[Page, Usage]:
    if page.recording is not None:
        if senses.transcriber is None:
            raise refuse(ProblemCode.NO_PROVIDER, "it is a recording, and nothing that transcribes is configured")
        return replace(page, text=senses.transcriber.transcribe(page.recording), recording=None), Usage()
    if not page.is_scan or senses.model is None or not senses.model.sees_images:
        return page, Usage()
    return _look(page, senses.model)


def _look(page: Page, model: Model) -> tuple[Page, Usage]:
    images: tuple[PageImage, ...] = page.images
    completion = model.complete(
        Prompt(
            instructions=prompt("transcribe"),
            content=f"Page {page.number}.",
            schema=None,
            max_output_tokens=_OUTPUT_TOKENS,
            cache_key="transcribe",
            images=images,
        )
    )
    usage = completion.usage or Usage()
    if completion.finish_reason != "stop":
        return page, usage  # a cut text is no text: the page stays a scan, and is reported
    text = completion.text.strip()
    return replace(page, text="" if text == _NOTHING else text, is_scan=False), usage
