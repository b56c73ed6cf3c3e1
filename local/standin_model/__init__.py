"""A stand-in for a language model: OpenAI-compatible, deterministic, and told what to do by tests and by people."""

from local.standin_model.recording import RecordedRequest
from local.standin_model.running import StandInModel
from local.standin_model.script import Behaviour
from local.standin_model.values import ToolCall, Usage

__all__ = ["Behaviour", "RecordedRequest", "StandInModel", "ToolCall", "Usage"]
