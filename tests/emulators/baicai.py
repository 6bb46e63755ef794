"""Baicai Infer's video API: the submit page, and what one public client of its image API shows of the rest.

High confidence, from the page: the submit path, its fields, the envelope with `code` 0 and its Java `ts`. Medium, from
that client: upload, status and result paths, the states, a `data` that is an object or a list, three shapes of result.
Everything else is our choice and switchable, because nobody says: complaints come as HTTP 200 with another `code`
(`says_200`), a wrong key as 401, unfinished results are empty and tell the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from emulators import results
from emulators.faults import Answer
from emulators.fields import Rule, problems
from emulators.jobs import Asked, Job, Stage, moment
from emulators.provider import Emulator, Refused

MODEL = "Viduq2-pro-FLF2V-fast"
TASK_TYPE = "flf2video"
SHANGHAI = timezone(timedelta(hours=8))
PICTURES = ("image/png", "image/jpeg", "image/jpg")

BODY: Mapping[str, Rule] = {
    "selected_model": Rule("string", required=True, values=(MODEL,)),
    "task_type": Rule("string", required=True, values=(TASK_TYPE,)),
    "need_expand_prompt": Rule("boolean"),
    "async": Rule("boolean", values=(True,)),
}
"""Beside `input`. `async` may be said, but only asynchronous work is on offer."""

INPUTS: Mapping[str, Rule] = {
    "image": Rule("url", required=True),
    "last_image": Rule("url", required=True),
    "prompt": Rule("string", required=True),
    "negative_prompt": Rule("string"),
    "resolution": Rule("string", required=True, values=("720p", "1080p")),
    "aspect_ratio": Rule("string"),
    "duration": Rule("integer", required=True, values=(5, 6, 8)),
    "number_of_videos": Rule("integer", least=1, most=4),
}


class Baicai(Emulator):
    """Baicai Infer. Switches: everything the page leaves open."""

    name = "baicai"

    submits_as: Literal["object", "list"] = "object"
    status_as: Literal["object", "list"] = "list"
    results_as: Literal["urls", "list", "nested"] = "urls"
    """`{"urls": []}`, `[{"urls": []}]` or `[{"result": {"urls": []}}]`."""
    has_status_path = True
    """False: asking for the state is a 404, and only the result path tells."""
    requires_upload = False
    """Whether pictures elsewhere on the web are refused."""
    says_200 = True
    """Whether complaints about a request are an HTTP 200 with another code, or have the code as HTTP status too."""

    @property
    def base_url(self) -> str:
        return self.url

    def routes(self) -> list[BaseRoute]:
        task = "/v1/comfyui/tasks/{job_id}"
        return [
            self.route("POST", "/v1/videos/generations", "submit", self.submit),
            self.route("POST", "/v1/resources/upload", "upload", self.upload),
            self.route("GET", f"{task}/status", "check", self.status),
            self.route("GET", f"{task}/result", "result", self.result),
        ]

    async def submit(self, request: Request, asked: Asked) -> Response:
        body = self.object_in(asked)
        inputs = body.get("input")
        outer = {name: value for name, value in body.items() if name != "input"}
        for problem in (*problems(outer, BODY), *problems(inputs, INPUTS)):
            raise self.refused(400, problem.text)
        inputs = cast("dict[str, Any]", inputs)
        for name in ("image", "last_image"):
            self.check_picture(name, inputs[name])
        job = self.record(body["selected_model"], body)
        task = {"taskId": job.id}
        data = task if self.submits_as == "object" else [{**task, "status": "PENDING"}]
        return self.success(data, "任务提交成功")

    def check_picture(self, name: str, url: str) -> None:
        """A picture that was uploaded must be there, and a png or jpg; one elsewhere is taken on trust, or refused."""
        ours = next((each for each in self.uploads if each.url == url), None)
        if ours is None and (self.requires_upload or not self.can_fetch(url)):
            raise self.refused(400, f"property '{name}' must be the path of an uploaded file")
        if ours is not None and ours.content_type not in PICTURES:
            raise self.refused(400, f"property '{name}' must be a png or jpg")

    async def upload(self, request: Request, asked: Asked) -> Response:
        part = next((part for part in asked.parts if part.name == "file" and part.filename), None)
        if part is None:
            raise self.refused(400, "form field 'file' is missing")
        return self.success({"fullPath": self.keep(part, asked.path).url})

    async def status(self, request: Request, asked: Asked) -> Response:
        if not self.has_status_path:
            raise Refused(self.nowhere(404))
        job = self.known(request)
        self.look(job)
        about = {"status": self.word(job), "progress": f"{round(100 * job.share(self.clock()))}%"}
        if job.status is not None and job.fate.error:
            about["message"] = job.fate.error
        about |= job.fate.more if job.finished_at is not None else {}
        return self.success([about] if self.status_as == "list" else about)

    async def result(self, request: Request, asked: Asked) -> Response:
        """The addresses. Where there is no other way to ask, asking here counts as a look."""
        job = self.known(request)
        self.look(job, counts=not self.has_status_path)
        about: dict[str, Any] = {"status": self.word(job), "urls": job.outputs}
        if job.status is not None and job.fate.error:
            about["message"] = job.fate.error
        shapes: dict[str, object] = {"urls": about, "list": [about], "nested": [{"result": about}]}
        return self.success(shapes[self.results_as])

    def finish(self, job: Job) -> None:
        """As many films as were asked for."""
        count = int(job.inputs["input"].get("number_of_videos", 1))
        job.outputs = [self.publish(self.film_of(job), results.MP4, f"{number}.mp4") for number in range(1, count + 1)]

    def word(self, job: Job) -> str:
        """The state of a job in the words of the API."""
        stage = self.look(job, counts=False)
        if stage is Stage.OVER:
            return job.status or "COMPLETED"
        return "PENDING" if stage is Stage.QUEUED else job.fate.running_as or "RUNNING"

    def known(self, request: Request) -> Job:
        """The job in the path."""
        job = self.job(request.path_params["job_id"])
        if job is None:
            raise self.refused(400, "任务不存在")
        return job

    def object_in(self, asked: Asked) -> dict[str, Any]:
        """The JSON object that was sent."""
        if not isinstance(asked.json, dict):
            raise self.refused(400, "the request body must be a JSON object")
        return cast("dict[str, Any]", asked.json)

    # Envelopes

    def success(self, data: object, message: str = "success") -> Response:
        """What went well."""
        return Answer(200, self.envelope(0, message, data)).response()

    def refused(self, code: int, message: str) -> Refused:
        """A complaint, to be raised."""
        return Refused(Answer(200 if self.says_200 else code, self.envelope(code, message, None)))

    def envelope(self, code: int, message: str, data: object) -> dict[str, object]:
        """What is around every answer."""
        return {"code": code, "message": message, "data": data, "ts": zoned(self.clock())}

    def unauthorized(self) -> Answer:
        return Answer(401, self.envelope(401, "API Key 无效", None))

    def throttled(self) -> Answer:
        return Answer(429, self.envelope(429, "请求过于频繁,请稍后再试", None))

    def nowhere(self, status: int) -> Answer:
        """What a Java service of this kind says by itself."""
        return Answer(status, {"timestamp": moment(self.clock()), "status": status, "error": "Not Found"})


MODERATED = Answer(400, {"message": "The content contains inappropriate information and does not pass the review."})
"""Seen on the same provider's chat API."""


def zoned(at: float) -> str:
    """A time as Java prints one with a zone, which is not quite ISO 8601."""
    local = datetime.fromtimestamp(int(at), SHANGHAI)
    return f"{local:%Y-%m-%dT%H:%M:%S}.{int(at % 1 * 1e9):09d}+08:00[Asia/Shanghai]"
