"""What the assistant itself says to a person when there is no answer of the model to give."""

from core.models import Message

_FAILURES = {
    "model-quota": "The language model's quota is used up, so I can't answer now. Your operations team can raise it.",
    "model-unauthorized": "I can't reach the language model: its key was refused. Please tell your operations team.",
    "model-unknown": "The configured language model doesn't exist. Please tell your operations team.",
    "context-too-long": "That is more text than the language model can take at once. Please send a shorter message.",
    "content-refused": "The language model declined to answer that. You could ask in another way.",
    "empty-answer": "The language model gave an empty answer. Please ask again, perhaps in other words.",
}
_FAILED = "Sorry, something went wrong and I couldn't answer this message. Please ask again."

_CUT_NOTE = "\n\n_(The answer reached its length limit and stops here. Ask me to go on.)_"
REFUSAL = (
    "Hello! I only work for people in this company's directory, and I couldn't find you there. "
    "Please ask your operations team to add you; then write to me again."
)


def explain_failure(code: str) -> str:
    """What a person is told when a turn ended for the reason `code`."""
    return _FAILURES.get(code, _FAILED)


def speak(reply: Message) -> str:
    """What a platform shows of a stored reply."""
    return reply.text + _CUT_NOTE if reply.finish_reason == "length" else reply.text
