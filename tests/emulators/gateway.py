"""A relay in front of Replicate, as the gateway's page describes it: one key, other errors, and little else.

High confidence, from the page: the two paths, 200 instead of 201, `urls` that point at api.replicate.com. Medium: the
path by name, the list of versions it allows. Low: the shape of its own complaints, which is that of the relays of the
new-api family (`{"error": {"message", "type", "code"}}`; 503 with `model_not_found` for what it has no channel for).
What Replicate itself refuses is passed on as it came. No cancel, list, files or waiting; `has_cancel` lets it cancel.
"""

from __future__ import annotations

from typing import ClassVar

from starlette.responses import Response
from starlette.routing import BaseRoute

from emulators.faults import Answer
from emulators.jobs import Job
from emulators.replicate import Replicate

UPSTREAM = "https://api.replicate.com/v1/predictions"


class Gateway(Replicate):
    """The relay. Switch: `has_cancel`, to be set before it opens."""

    name = "gateway"
    prefix: ClassVar[str] = "/replicate/v1"
    created_status: ClassVar[int] = 200
    has_cancel = False

    @property
    def base_url(self) -> str:
        return self.url

    def routes(self) -> list[BaseRoute]:
        cancel = self.route("POST", f"{self.prefix}/predictions/{{job_id}}/cancel", "cancel", self.cancel)
        return [*self.creating(), *([cancel] if self.has_cancel else [])]

    def waited(self, job: Job, seconds: float) -> Response:
        """Waiting is not documented here, and not done."""
        return Answer(self.created_status, self.shown(job)).response()

    def urls(self, job: Job) -> dict[str, str]:
        get = f"{UPSTREAM}/{job.id}"
        stream = f"https://stream.replicate.com/v1/files/{job.id}"
        return {"cancel": f"{get}/cancel", "get": get, "stream": stream, "web": f"https://replicate.com/p/{job.id}"}

    def unauthorized(self) -> Answer:
        return relay_error(401, "invalid token", "")

    def throttled(self) -> Answer:
        return relay_error(429, "the upstream load of this group is saturated, try again later", "")

    def nowhere(self, status: int) -> Answer:
        return relay_error(404, "Invalid URL", "", "invalid_request_error")

    def no_such_version(self, reference: str) -> Answer:
        """What is not on its list has no channel."""
        return relay_error(503, f"No available channel for model {reference} under group default", "model_not_found")


def relay_error(status: int, message: str, code: str, kind: str = "new_api_error") -> Answer:
    """A complaint of the relay itself."""
    return Answer(status, {"error": {"message": f"{message} (request id: 20261121)", "type": kind, "code": code}})


NO_QUOTA = relay_error(403, "insufficient user quota, remaining: $0.000000", "insufficient_user_quota")
