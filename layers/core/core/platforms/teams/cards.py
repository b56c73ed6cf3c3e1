"""Activities as we post them: text, buttons on Adaptive Cards, the marks of streams and of what a model wrote.

https://learn.microsoft.com/microsoftteams/platform/bots/how-to/bot-messages-ai-generated-content
"""

from collections.abc import Sequence

from core.platforms import Button, Prompt
from core.platforms.teams import names

type Json = dict[str, object]

_CARD = "application/vnd.microsoft.card.adaptive"
_LONGEST_LABEL = 80  # characters of a button
_VERBS = {"approve": names.APPROVE, "deny": names.DENY}
_STYLES = {"primary": "positive", "danger": "destructive"}
_MADE_BY_AI: Json = {
    "type": "https://schema.org/Message",
    "@type": "Message",
    "@context": "https://schema.org",
    "additionalType": ["AIGeneratedContent"],
}


def message(text: str, *, attachments: Sequence[Json] = ()) -> Json:
    """A message of the assistant's."""
    made: Json = {"type": "message", "text": text, "textFormat": "markdown"}
    if attachments:
        made["attachments"] = list(attachments)
    return made


def answer(text: str, *, has_feedback: bool) -> Json:
    """A message that a model wrote, where wanted with Teams's own thumbs below it."""
    made: Json = {**message(text), "entities": [_MADE_BY_AI]}
    return {**made, "channelData": {"feedbackLoop": {"type": "default"}}} if has_feedback else made


def stream_piece(text: str, stream_id: str | None, sequence: int) -> Json:
    """An answer that is arriving, all of it so far."""
    info: Json = {"type": "streaminfo", "streamType": "streaming", "streamSequence": sequence}
    named: Json = {"streamId": stream_id} if stream_id else {}
    return {"type": "typing", "text": text, "textFormat": "markdown", "entities": [{**info, **named}]}


def stream_end(text: str, stream_id: str, *, has_feedback: bool) -> Json:
    """The message that a stream becomes."""
    made = answer(text, has_feedback=has_feedback)
    info: Json = {"type": "streaminfo", "streamId": stream_id, "streamType": "final"}
    return {**made, "entities": [info, _MADE_BY_AI]}


def question_card(buttons: Sequence[Button]) -> Json:
    """The buttons of a question. A client that knows no Action.Execute submits the data alone: the verb is in it."""
    return _card([_button(each) for each in buttons])


def prompts_card(prompts: Sequence[Prompt]) -> Json:
    """Buttons that say something for the person who presses them."""
    return _card(
        [
            {
                "type": "Action.Submit",
                "title": _label(each.title),
                "data": {"msteams": {"type": "imBack", "value": each.message}},
            }
            for each in prompts
        ]
    )


def _card(actions: Sequence[Json]) -> Json:
    content: Json = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [],
        "actions": list(actions),
    }
    return {"contentType": _CARD, "content": content}


def _button(button: Button) -> Json:
    verb = _VERBS[button.value]
    made: Json = {
        "type": "Action.Execute",
        "title": _label(button.label),
        "verb": verb,
        "data": {names.VERB: verb, names.REFERENCE: button.reference},
        "fallback": "Action.Submit",
    }
    return {**made, "style": _STYLES[button.style]} if button.style else made


def _label(text: str) -> str:
    text = " ".join(text.split()) or "…"
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"
