"""What the environment says a local stack shall be."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.processes import LocalError
from local.stack import PROJECT


class Options(BaseModel):
    """The variables `make run` understands; an empty one counts as not set."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    port: int = Field(default=4566, ge=0, le=65532)
    state_dir: Path = PROJECT / ".local"
    detach: bool = False
    auth: bool = True
    openai_base_url: str | None = None
    openai_api_key: str | None = None
    openai_model: str | None = None
    openai_api_kind: str = Field(default="responses", pattern="responses|chat")
    slack_api_base_url: str | None = Field(default=None, pattern="https?://.+")
    slack_signing_secret: str = Field(default_factory=lambda: secrets.token_hex(16))
    slack_bot_token: str | None = None
    slack_user_email: str | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """These options, read from the variables of the same names in upper case.

        Raises:
            LocalError: A variable makes no sense.
        """
        given = {name: environ[name.upper()] for name in cls.model_fields if environ.get(name.upper())}
        try:
            options = cls.model_validate(given)
        except ValidationError as exc:
            wrong = "; ".join(f"{str(error['loc'][0]).upper()}: {error['msg']}" for error in exc.errors())
            msg = f"this cannot be used: {wrong}"
            raise LocalError(msg) from None  # pydantic's own text would show secrets
        if options.slack_api_base_url and not options.slack_bot_token:
            raise LocalError("SLACK_API_BASE_URL needs SLACK_BOT_TOKEN: the token of the app's bot there")
        return options.model_copy(update={"state_dir": options.state_dir.resolve()})

    @property
    def needs_standin_model(self) -> bool:
        """Whether no model was named to talk to."""
        return self.openai_api_key is None and self.openai_base_url is None

    @property
    def needs_fake_slack(self) -> bool:
        """Whether no Slack was named to talk to."""
        return self.slack_api_base_url is None
