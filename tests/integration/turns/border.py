"""The border of the process, at which a test lets it die."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from botocore.client import BaseClient
from pynamodb.connection.base import Connection

from agent.model import OpenAIModel
from agent.model_speech import Recording, Transcript
from agent.model_values import ModelEvent, ModelRequest, TextDelta
from core.http import Download, Http
from core.outside import OutsideHttp
from tests.integration.turns.stack import Killed


@dataclass(slots=True)
class Border:
    """Counts what crosses the process's border and dies at the chosen crossing, before or after it took effect.

    The pieces of an answer count unless `is_text_free`: a long one would make a test as long.
    """

    die_at: int = 0
    is_after: bool = False
    is_text_free: bool = False
    crossings: int = 0

    def cross[T](self, go: Callable[[], T]) -> T:
        self.crossings += 1
        is_the_end = self.crossings == self.die_at
        if is_the_end and not self.is_after:
            raise Killed
        result = go()
        if is_the_end:
            raise Killed
        return result


def watch_border(monkeypatch: pytest.MonkeyPatch) -> Border:
    """A border around the table, the bucket, the platform, the tools and the model."""
    border = Border()
    to_table, to_platform, to_model = Connection._make_api_call, Http.request, OpenAIModel.stream
    to_file = Http.download
    to_tools, to_aws, to_ear = OutsideHttp.request, vars(BaseClient)["_make_api_call"], OpenAIModel.transcribe

    def table(self: Connection, *args: object, **kwargs: object) -> object:
        return border.cross(lambda: to_table(self, *args, **kwargs))  # type: ignore[arg-type]

    def platform(self: Http, *args: object, **kwargs: object) -> object:
        return border.cross(lambda: to_platform(self, *args, **kwargs))  # type: ignore[arg-type]

    @contextmanager
    def file(self: Http, *args: object, **kwargs: object) -> Iterator[Download]:
        opened = to_file(self, *args, **kwargs)  # type: ignore[arg-type]
        answer = border.cross(opened.__enter__)
        try:
            yield answer
        finally:
            opened.__exit__(None, None, None)

    def tools(self: OutsideHttp, *args: object, **kwargs: object) -> object:
        return border.cross(lambda: to_tools(self, *args, **kwargs))  # type: ignore[arg-type]

    def model(self: OpenAIModel, request: ModelRequest, *, seconds: float) -> Iterator[ModelEvent]:
        for event in to_model(self, request, seconds=seconds):
            if border.is_text_free and isinstance(event, TextDelta):
                yield event
                continue
            yield border.cross(lambda event=event: event)  # type: ignore[misc]

    def bucket(self: BaseClient, *args: object) -> object:
        is_bucket = self.meta.service_model.service_name == "s3"
        return border.cross(lambda: to_aws(self, *args)) if is_bucket else to_aws(self, *args)

    def ear(self: OpenAIModel, recording: Recording, *, seconds: float) -> Transcript:
        return border.cross(lambda: to_ear(self, recording, seconds=seconds))

    monkeypatch.setattr(BaseClient, "_make_api_call", bucket)
    monkeypatch.setattr(OpenAIModel, "transcribe", ear)
    monkeypatch.setattr(Connection, "_make_api_call", table)
    monkeypatch.setattr(Http, "request", platform)
    monkeypatch.setattr(Http, "download", file)
    monkeypatch.setattr(OutsideHttp, "request", tools)
    monkeypatch.setattr(OpenAIModel, "stream", model)
    return border
