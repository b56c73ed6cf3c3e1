"""Block Kit as we use it: what stands below a message, the home page, the comment form.

https://docs.slack.dev/reference/block-kit. Texts of people and of the model arrive here defused or as plain text.
"""

from collections.abc import Sequence

from core.labels import label
from core.platforms import CommentForm, HomePage, Question
from core.platforms.slack import names
from core.platforms.slack.format import defuse, to_mrkdwn

type Block = dict[str, object]

_LONGEST_BUTTON = 75  # characters
_LONGEST_HEADER = 150
_LONGEST_SECTION = 3_000
_LONGEST_TITLE = 24  # of a form, and of its buttons
_MOST_BLOCKS = 100  # of a page
_LONGEST_COMMENT = 2_000
_ACTIONS = {"approve": names.APPROVE_ACTION, "deny": names.DENY_ACTION}


def plain(text: str, longest: int) -> Block:
    """Text without markup, cut where Slack would refuse it: for labels, never for what people want to read."""
    text = " ".join(text.split()) or "…"
    return {"type": "plain_text", "text": text if len(text) <= longest else text[: longest - 1] + "…", "emoji": True}


def stop_button(reference: str, language: str | None) -> Block:
    """The button under an answer that is arriving."""
    button = _button(label("stop", language), names.STOP_ACTION, reference)
    return {"type": "actions", "elements": [button]}


def feedback_buttons(reference: str, language: str | None) -> Block:
    """The buttons under a finished answer; each says in its value which it is."""
    element = {
        "type": "feedback_buttons",
        "action_id": names.FEEDBACK_ACTION,
        "positive_button": _thumb("👍", f"up:{reference}", label("good", language)),
        "negative_button": _thumb("👎", f"down:{reference}", label("bad", language)),
    }
    return {"type": "context_actions", "elements": [element]}


def question_buttons(question: Question) -> Block:
    """The buttons of a question."""
    elements = [
        {
            **_button(each.label, _ACTIONS[each.value], each.reference),
            **({"style": each.style} if each.style else {}),
        }
        for each in question.buttons
    ]
    return {"type": "actions", "elements": elements}


def home_view(home: HomePage) -> Block:
    """The app's home tab."""
    blocks: list[Block] = [{"type": "header", "text": plain(home.title, _LONGEST_HEADER)}]
    blocks += _sections([home.introduction])
    for section in home.sections:
        blocks += [{"type": "divider"}, {"type": "header", "text": plain(section.title, _LONGEST_HEADER)}]
        blocks += _sections(section.lines)
    return {"type": "home", "blocks": blocks[:_MOST_BLOCKS]}


def comment_view(form: CommentForm) -> Block:
    """The form that asks why an answer was good or bad."""
    return {
        "type": "modal",
        "callback_id": names.COMMENT_FORM,
        "private_metadata": f"{form.value}:{form.reference}",
        "title": plain(form.title, _LONGEST_TITLE),
        "submit": plain(form.submit, _LONGEST_TITLE),
        "close": plain(form.cancel, _LONGEST_TITLE),
        "blocks": [
            {
                "type": "input",
                "block_id": names.COMMENT_FIELD,
                "label": plain(form.label, 2_000),
                "element": {
                    "type": "plain_text_input",
                    "action_id": names.COMMENT_FIELD,
                    "multiline": True,
                    "max_length": _LONGEST_COMMENT,
                },
            }
        ],
    }


def text_blocks(text: str, *, is_markdown: bool) -> list[Block]:
    """A message's text as blocks; `text` is made for Slack already."""
    if is_markdown:
        return [{"type": "markdown", "text": text}]
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]


def _sections(lines: Sequence[str]) -> list[Block]:
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": shown[:_LONGEST_SECTION]}}
        for line in lines
        if (shown := to_mrkdwn(defuse(line)).strip())
    ]


def _button(text: str, action_id: str, reference: str) -> Block:
    return {"type": "button", "text": plain(text, _LONGEST_BUTTON), "action_id": action_id, "value": reference}


def _thumb(text: str, value: str, accessibility_label: str) -> Block:
    return {"text": plain(text, _LONGEST_BUTTON), "value": value, "accessibility_label": accessibility_label}
