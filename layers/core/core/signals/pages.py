"""WELCOME and HOME: what a person sees before asking anything."""

from datetime import timedelta

from core.labels import Label, label
from core.models import Conversation, User
from core.platforms import HomePage, HomeSection, Prompt, Welcome, respond_to
from core.signals.case import Case

_SHOWN = 10  # conversations
_PROMPTS: tuple[Label, ...] = ("prompt-able", "prompt-lately", "prompt-file")
_OLD = timedelta(minutes=10)


def welcome(case: Case) -> str:
    """Greet a person of the workspace who opened a place to talk."""
    signal = case.signal
    if not _is_of_workspace(case):
        return "stranger"
    if case.clock() - signal.sent_at > _OLD and not signal.external_message_id:
        return "late"
    user = case.find_user()
    recent = case.store.list_conversations(case.company_id, user.id, 1) if user else ()
    language = _language_of(case, recent)
    prompts = tuple(Prompt(title=label(each, language), message=label(each, language)) for each in _PROMPTS)
    greeting = label("greeting", language)
    case.open_platform().welcome(respond_to(signal), Welcome(greeting=greeting, prompts=prompts))
    return "welcomed"


def show_home(case: Case) -> str:
    """Show a person the latest conversations and what was used."""
    if not _is_of_workspace(case):
        return "stranger"
    user = case.find_user()
    if user is None:
        home = HomePage(title=label("home-title"), introduction=label("home-unknown"))
    else:
        home = _page_of(case, user)
    case.open_platform().show_home(case.signal.external_user_id, home)
    return "shown"


def _page_of(case: Case, user: User) -> HomePage:
    recent = case.store.list_conversations(case.company_id, user.id, _SHOWN)
    language = _language_of(case, recent)
    today = case.clock().date()
    used = case.store.day_usage(case.company_id, user.id, today)
    lines = tuple(f"{each.updated_at:%Y-%m-%d} · {each.title or label('home-untitled', language)}" for each in recent)
    usage = label("home-usage", language).format(messages=used.messages, tokens=f"{used.total_tokens:,}")
    return HomePage(
        title=label("home-title", language),
        introduction=label("greeting", language),
        sections=(
            HomeSection(title=label("home-conversations", language), lines=lines or (label("home-none", language),)),
            HomeSection(title=label("home-today", language), lines=(usage,)),
        ),
    )


def _language_of(case: Case, recent: tuple[Conversation, ...]) -> str | None:
    """The language of the person's latest conversation."""
    return case.store.questions.find_language(case.company_id, recent[0].id) if recent else None


def _is_of_workspace(case: Case) -> bool:
    home = case.signal.external_user_workspace_id
    return not home or home == case.signal.address.workspace_id
