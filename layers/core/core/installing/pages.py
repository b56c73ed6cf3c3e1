"""The few pages that a person sees in the browser while installing: what happened, and what to do now."""

import html
from collections.abc import Mapping
from typing import TypedDict

_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_STYLE = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}"
_ASK_OPS = "Ask your operations team for a new install link and open it in this browser."
_ADVICE = {
    "link-refused": ("This link is not valid", "It was changed on its way, or it is older than a week. " + _ASK_OPS),
    "state-refused": ("This took too long", "An installation has ten minutes. Open the install link once more."),
    "state-stolen": ("This began in another browser", "Open the install link here and go through all of it."),
    "state-used": ("This was done before", "The installation went through, or it was tried. " + _ASK_OPS),
    "denied": (
        "Nothing was installed",
        "Slack says that it was not allowed. A workspace admin can open the link.",
    ),
    "workspace-taken": ("This workspace belongs to another company", "Your operations team can say to which, and why."),
    "oauth-refused": ("Slack did not accept the installation", _ASK_OPS),
    "company-unknown": ("This company is not known here", _ASK_OPS),
    "not-configured": ("The Slack app is not set up yet", "Ops deploy it with the app's client id and client secret."),
}
_OTHERWISE = ("Something went wrong", "Nothing was changed for good. Open the install link again in some minutes.")


class Page(TypedDict, total=False):
    """API Gateway's answer, payload format 2.0."""

    statusCode: int
    headers: Mapping[str, str]
    cookies: list[str]
    body: str


def redirect(url: str, *, cookie: str) -> Page:
    """Send the browser to `url`, with a cookie."""
    headers = {"location": url, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return {"statusCode": 302, "headers": headers, "cookies": [cookie], "body": ""}


def explain(code: str, status: int) -> Page:
    """What went wrong, in words that help; nothing of what was sent is in it."""
    title, advice = _ADVICE.get(code, _OTHERWISE)
    return _page(status, title, advice, [])


def installed(workspace: str, company: str, *, cookie: str) -> Page:
    """It is done."""
    advice = f"{workspace} belongs to {company} now. Mention the assistant in a channel, or write to it directly."
    return _page(200, "The assistant is installed", advice, [cookie])


def _page(status: int, title: str, text: str, cookies: list[str]) -> Page:
    title, text = html.escape(title), html.escape(text)
    body = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{title}</h1><p>{text}</p></body></html>"
    )
    return {"statusCode": status, "headers": _HEADERS, "cookies": cookies, "body": body}
