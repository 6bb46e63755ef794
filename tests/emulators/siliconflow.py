"""SiliconFlow's video API, as its submit, status and error pages describe it.

High confidence: both paths and their fields, the four states, null results, the trace header on every answer, bodies
that are bare JSON strings (401, 403, 404, 504), the objects of 400 (20012), 429 and 503 (50505). The pages contradict
each other on how long a result lasts: ten minutes here, the shorter one. Our choices, because nobody says: 20015 for an
invalid parameter and 30001 for an empty balance (seen in the wild), a picture refused by the text-to-video model, 400
for an unknown requestId.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from emulators.faults import Answer
from emulators.fields import Rule, problems
from emulators.jobs import Asked, Job, Stage
from emulators.provider import Emulator, Refused

TRACE_HEADER = "x-siliconcloud-trace-id"
IMAGE_TO_VIDEO = "Wan-AI/Wan2.2-I2V-A14B"
TEXT_TO_VIDEO = "Wan-AI/Wan2.2-T2V-A14B"

TEXT_INPUTS: Mapping[str, Rule] = {
    "model": Rule("string", required=True),
    "prompt": Rule("string", required=True),
    "image_size": Rule("string", required=True, values=("1280x720", "720x1280", "960x960")),
    "negative_prompt": Rule("string"),
    "seed": Rule("integer"),
}
MODELS: Mapping[str, Mapping[str, Rule]] = {
    TEXT_TO_VIDEO: TEXT_INPUTS,
    IMAGE_TO_VIDEO: {**TEXT_INPUTS, "image": Rule("picture", required=True)},
}


class SiliconFlow(Emulator):
    """SiliconFlow. Switches: `unfinished_results`, `shows_position`, `seed`."""

    name = "siliconflow"
    prefix: ClassVar[str] = "/v1"
    result_seconds = 600

    unfinished_results: Literal["null", "absent"] = "null"
    shows_position = False
    """An older page had an integer `position` beside the state."""
    seed = 1833

    @property
    def base_url(self) -> str:
        return self.url + self.prefix

    def routes(self) -> list[BaseRoute]:
        return [
            self.route("POST", f"{self.prefix}/video/submit", "submit", self.submit),
            self.route("POST", f"{self.prefix}/video/status", "check", self.status),
        ]

    async def submit(self, request: Request, asked: Asked) -> Response:
        body = object_in(asked)
        rules = MODELS.get(str(body.get("model")))
        if rules is None:
            raise Refused(NO_SUCH_MODEL)
        for problem in problems(body, rules):
            raise Refused(complaint(20015, f"The parameter is invalid. {problem.text}."))
        if not self.can_fetch(body.get("image")):
            raise Refused(complaint(20015, "The parameter is invalid. The image cannot be fetched."))
        job = self.record(body["model"], body)
        return Answer(200, {"requestId": job.id}).response()

    async def status(self, request: Request, asked: Asked) -> Response:
        job = self.job(object_in(asked).get("requestId"))
        if job is None:
            raise Refused(complaint(20015, "The parameter is invalid. requestId does not exist."))
        stage = self.look(job)
        if stage is Stage.OVER:
            return Answer(200, {**self.ended(job), **job.fate.more}).response()
        word = "InQueue" if stage is Stage.QUEUED else job.fate.running_as or "InProgress"
        body: dict[str, Any] = {"status": word, "reason": ""}
        if self.unfinished_results == "null":
            body["results"] = None
        if self.shows_position:
            body["position"] = 1 if stage is Stage.QUEUED else 0
        return Answer(200, body).response()

    def ended(self, job: Job) -> dict[str, Any]:
        """The answer about a job that is over."""
        if job.status is not None:
            return {"status": job.status, "reason": job.fate.error, "results": None}
        took = round((job.finished_at or job.created_at) - job.created_at, 3)
        results = {
            "videos": [{"url": url} for url in job.outputs],
            "timings": {"inference": took},
            "seed": job.inputs.get("seed", self.seed),
        }
        return {"status": "Succeed", "reason": "", "results": results}

    def dress(self, response: Response) -> Response:
        response.headers[TRACE_HEADER] = f"ti_{uuid4().hex[:20]}"
        return response

    def unauthorized(self) -> Answer:
        return Answer(401, "Invalid token")

    def throttled(self) -> Answer:
        text = "Request was rejected due to rate limiting. Details:TPM limit reached."
        return Answer(429, {"message": text, "data": None})

    def nowhere(self, status: int) -> Answer:
        return Answer(404, "404 page not found")


def complaint(code: int, message: str, status: int = 400) -> Answer:
    """A complaint as an object."""
    return Answer(status, {"code": code, "message": message, "data": None})


NO_SUCH_MODEL = complaint(20012, "Model does not exist. Please check it carefully.")
NO_BALANCE = complaint(30001, "Sorry, your account balance is insufficient", 403)
FORBIDDEN = Answer(403, "Forbidden")
OVERLOADED = complaint(50505, "Model service overloaded. Please try again later.", 503)
GATEWAY_TIMEOUT = Answer(504, "Gateway Timeout")


def object_in(asked: Asked) -> dict[str, Any]:
    """The JSON object that was sent."""
    if not isinstance(asked.json, dict):
        raise Refused(complaint(20015, "The parameter is invalid. The body must be a JSON object."))
    return cast("dict[str, Any]", asked.json)
