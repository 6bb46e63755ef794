"""What both providers that call send: a job, and the secret they sign with. Apart, so that a start needs no models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from keyframe_mcp.adapters.replies import Lenient, RemoteId
from keyframe_mcp.adapters.webhooks import Called
from keyframe_mcp.task import Status

PREFIX = "whsec_"
SHORTEST_SECRET = 16  # characters; anybody could sign with an empty one


class CalledBody(BaseModel):
    """A job, as both providers send it: the answer to a check, without an envelope, and with its inputs."""

    model_config = ConfigDict(defer_build=True)

    id: RemoteId
    status: Lenient[str] = None
    model: Lenient[str] = None
    input: Lenient[dict[str, Any]] = None

    def read(self, states: Mapping[str, Status]) -> Called:
        """The same in our words. What is not surely running is over: then the provider is asked."""
        is_over = states.get(self.status or "") is not Status.RUNNING
        return Called(remote_id=self.id, model=self.model, wire=self.input or {}, is_over=is_over)


def bare(secret: str) -> str:
    """A secret without its prefix. Raises `ValueError` for what is none."""
    rest = secret.removeprefix(PREFIX)
    if rest == secret or len(rest) < SHORTEST_SECRET or not rest.isascii():
        raise ValueError("not a secret")
    return rest


Secret = Annotated[str, AfterValidator(bare)]
