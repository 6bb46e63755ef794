"""WaveSpeed AI, API v3, as its pages and its official Python SDK 2.0.5 describe it.

High confidence: submit, both ways to ask for a result, the envelope, states, task-level codes inside a 200, history,
deletion, balance, the models page, both ways to upload, sync mode, base64 output. Medium: the newer quote (from the
official MCP server and command line), the order of complaints. Nobody says, so these are our choices: an unknown model
is a 404, an unknown input a 400, the words of every message; an uploaded picture that has gone makes the job fail with
1402. `DELETE /predictions/{id}` is in an older guide only, and off unless `old_delete` is set.
"""

from __future__ import annotations

import base64
from typing import Any, Literal, cast
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from emulators import results
from emulators.callbacks import by_wavespeed
from emulators.faults import Answer
from emulators.fields import is_integer, is_url, problems
from emulators.jobs import Asked, Fate, Job, Part, Stage, moment
from emulators.provider import Emulator, Refused
from emulators.wavespeed_models import CATALOGUE, NEWCOMER, PAGES, UNLISTED, listed, newcomer, price

KEPT_SECONDS = 7 * 24 * 3600
PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")

# The task-level codes of the error page, with words of our own
UNFETCHABLE = Fate("failed", "could not fetch the supplied media", 1402)
MODERATED = Fate("failed", "the content was flagged as potentially sensitive", 1200)
TASK_FAILED = Fate("failed", "the task failed", 1403)
INTERNAL = Fate("failed", "internal error", 5000)
TIMED_OUT = Fate("failed", "the task timed out", 5004)


class WaveSpeed(Emulator):
    """WaveSpeed AI. Switches: `outputs_as`, `is_flagged`, `nanoseconds`, `sync_times_out`, `balance`, `old_delete`."""

    name = "wavespeed"
    signs = staticmethod(by_wavespeed)
    open_kinds = frozenset({"download", "put"})
    result_seconds = KEPT_SECONDS
    upload_seconds = KEPT_SECONDS

    outputs_as: Literal["urls", "objects"] = "urls"
    is_flagged = False
    """What `has_nsfw_contents` says of every output."""
    nanoseconds = True
    """Whether `created_at` has nine digits after the point, as the history page shows, or three."""
    sync_times_out = False
    balance = 12.34
    old_delete = False

    @property
    def base_url(self) -> str:
        return self.url

    def routes(self) -> list[BaseRoute]:
        version = "/api/v3"
        routes: list[BaseRoute] = [
            self.route("GET", f"{version}/predictions/{{job_id}}/result", "check", self.check),
            self.route("GET", f"{version}/predictions/{{job_id}}", "check", self.check),
            self.route("POST", f"{version}/predictions", "list", self.history),
            self.route("POST", f"{version}/predictions/delete", "delete", self.delete),
            self.route("GET", f"{version}/balance", "balance", self.tell_balance),
            self.route("GET", f"{version}/webhook/secret", "secret", self.tell_secret),
            self.route("GET", f"{version}/models", "models", self.models),
            self.route("POST", f"{version}/model/price", "quote", self.quote),
            self.route("POST", f"{version}/model/pricing", "quote", self.quote_as_before),
            self.route("POST", f"{version}/media/upload/binary", "upload", self.upload),
            self.route("POST", f"{version}/media/uploads", "ticket", self.ticket),
            self.route("PUT", "/tickets/{name:path}", "put", self.put),
        ]
        if self.old_delete:
            routes.append(self.route("DELETE", f"{version}/predictions/{{job_id}}", "cancel", self.cancel))
        return [*routes, self.route("POST", f"{version}/{{model:path}}", "submit", self.submit)]

    # Jobs

    async def submit(self, request: Request, asked: Asked) -> Response:
        model = str(request.path_params["model"])
        if not self.any_model and model not in self.models_known:
            raise refused(404, f"model {model} not found; the emulated provider takes any with --any-model")
        inputs = object_in(asked)
        if model in PAGES:
            for problem in problems(inputs, PAGES[model]):
                raise refused(400, problem.text)
        webhook = asked.query.get("webhook")
        if webhook is not None and inputs.get("enable_base64_output"):
            raise refused(400, "base64 output cannot be combined with a webhook")
        job = self.record(model, inputs, webhook)
        if not all(self.can_fetch(value) for value in addresses(inputs)):
            job.fate = UNFETCHABLE
        if inputs.get("enable_sync_mode"):
            return self.in_sync(job)
        return success(self.prediction(job))

    def in_sync(self, job: Job) -> Response:
        """The answer after waiting: the end of the job, or that waiting took too long."""
        if self.sync_times_out:
            late = {"code": 5004, "status": "processing", "error": "Sync mode timed out"}
            return success({**self.prediction(job), **late})
        self.end(job, self.clock())
        return success(self.prediction(job))

    async def check(self, request: Request, asked: Asked) -> Response:
        job = self.known(request)
        self.look(job)
        return success(self.prediction(job))

    async def cancel(self, request: Request, asked: Asked) -> Response:
        """The older guide's way to stop a job."""
        job = self.known(request)
        job.finished_at, job.status = self.clock(), "deleted"
        return success(self.prediction(job))

    async def history(self, request: Request, asked: Asked) -> Response:
        """Newest first, without the inputs, from the last seven days."""
        wanted = object_in(asked)
        page, size = wanted.get("page", 1), wanted.get("page_size", 100)
        if not is_integer(page) or page < 1 or not is_integer(size) or not 1 <= size <= 100:
            raise refused(400, "page must be at least 1 and page_size between 1 and 100")
        kept = [self.history_item(job) for job in reversed(self.jobs) if self.is_kept(job)]
        found = [item for item in kept if matches(item, wanted)]
        return success({"page": page, "total": len(found), "items": found[(page - 1) * size : page * size]})

    async def delete(self, request: Request, asked: Asked) -> Response:
        ids = object_in(asked).get("ids")
        if not isinstance(ids, list) or not ids:
            raise refused(400, "property 'ids' is missing")
        gone = [job for job in self.jobs if job.id in cast("list[object]", ids) and not job.details.get("deleted")]
        for job in gone:
            job.details["deleted"] = True
        return success({"deleted_count": len(gone)})

    def is_kept(self, job: Job) -> bool:
        """Whether the service still knows it: seven days, and not deleted."""
        return not job.details.get("deleted") and self.clock() < job.created_at + KEPT_SECONDS

    def known(self, request: Request) -> Job:
        """The job in the path."""
        job = self.job(request.path_params["job_id"])
        if job is None or not self.is_kept(job):
            raise refused(404, "prediction not found")
        return job

    def prediction(self, job: Job) -> dict[str, Any]:
        """A job, as the API shows it. What failed has a `code` of its own, inside the 200."""
        is_done = job.finished_at is not None
        outputs = self.shown(job) if is_done else []
        shown: dict[str, Any] = {
            "id": job.id,
            "model": job.model,
            "outputs": outputs,
            "urls": {"get": f"{self.url}/api/v3/predictions/{job.id}/result"},
            "has_nsfw_contents": [self.is_flagged] * len(outputs),
            "status": self.word(job),
            "created_at": moment(job.created_at, 9 if self.nanoseconds else 3),
            "error": job.fate.error if is_done else "",
            "timings": {"inference": self.milliseconds(job)},
        }
        if is_done and job.fate.code:
            shown["code"] = job.fate.code
        return {**shown, **(job.fate.more if is_done else {})}

    def history_item(self, job: Job) -> dict[str, Any]:
        """A job in the list, which also shows the time it took under another name."""
        self.look(job, counts=False)
        return {**self.prediction(job), "executionTime": self.milliseconds(job)}

    def word(self, job: Job) -> str:
        """The state of a job in the words of the API."""
        stage = self.look(job, counts=False)
        if stage is Stage.OVER:
            return job.status or "completed"
        return "created" if stage is Stage.QUEUED else job.fate.running_as or "processing"

    def milliseconds(self, job: Job) -> int:
        """How long the job took."""
        return 0 if job.finished_at is None else round((job.finished_at - job.created_at) * 1000)

    def shown(self, job: Job) -> list[Any]:
        """The outputs: addresses, objects on demand, or the bytes themselves if that was asked for."""
        if job.inputs.get("enable_base64_output"):
            return [base64.b64encode(self.film_of(job)).decode() for _ in job.outputs]
        if self.outputs_as == "objects":
            return [{"url": url, "content_type": results.MP4} for url in job.outputs]
        return list(job.outputs)

    # Money and models

    async def tell_balance(self, request: Request, asked: Asked) -> Response:
        return success({"balance": self.balance})

    async def tell_secret(self, request: Request, asked: Asked) -> Response:
        return success({"secret": self.calls.secret})

    def told(self, job: Job) -> dict[str, Any]:
        """The prediction without its envelope, and the inputs."""
        return {**self.prediction(job), "input": job.inputs}

    async def models(self, request: Request, asked: Asked) -> Response:
        return success([*listed(self.url), *([newcomer(self.url)] if self.by_hand else [])])

    async def quote(self, request: Request, asked: Asked) -> Response:
        """The price of a job. Missing inputs count as defaults, without a word about it."""
        model, cost = self.priced(asked)
        return success({"model_id": model, "price": cost, "discounted_price": cost, "currency": "USD"})

    async def quote_as_before(self, request: Request, asked: Asked) -> Response:
        """The price of a job, the way that the public page still shows."""
        model, cost = self.priced(asked)
        return success({"model_id": model, "unit_price": cost, "currency": "USD"})

    def priced(self, asked: Asked) -> tuple[str, float]:
        """The model asked after and its price."""
        wanted = object_in(asked)
        model, inputs = wanted.get("model_id"), wanted.get("inputs", {})
        if not isinstance(model, str) or not (self.any_model or model in self.models_known):
            raise refused(400, f"model {model} not found")
        base = CATALOGUE[model][1] if model in CATALOGUE else 0.3
        return model, price(model, inputs, base)

    # Uploads

    async def upload(self, request: Request, asked: Asked) -> Response:
        """The documented way: one form, field `file`."""
        part = next((part for part in asked.parts if part.name == "file" and part.filename), None)
        if part is None:
            raise refused(400, "form field 'file' is missing")
        kind = part.content_type or ""
        if kind.startswith("image/") and kind not in PICTURES:
            raise refused(400, f"{kind} is not supported")
        kept = self.keep(part, asked.path)
        about = {"type": kind.partition("/")[0], "filename": kept.filename, "size": len(kept.content)}
        return success({**about, "download_url": kept.url})

    async def ticket(self, request: Request, asked: Asked) -> Response:
        """The way of the SDK: ask for an address first."""
        wanted = object_in(asked)
        if not isinstance(wanted.get("filename"), str) or not is_integer(wanted.get("size")):
            raise refused(400, "properties 'filename' and 'size' are required")
        kind = str(wanted.get("content_type", "application/octet-stream"))
        path = f"/{uuid4().hex}/{wanted['filename']}"
        url = self.publish(b"", kind, wanted["filename"], seconds=0)
        self._tickets[path] = (url, kind, int(wanted["size"]))
        upload = {"method": "PUT", "url": f"{self.url}/tickets{path}", "headers": {"Content-Type": kind}}
        return success({"upload": upload, "download_url": url})

    async def put(self, request: Request, asked: Asked) -> Response:
        """The bytes. The address itself is the permission, and a key beside it is refused, as storage services do."""
        if "authorization" in asked.headers:
            return Answer(400, b"<Error><Code>InvalidArgument</Code></Error>").response()
        ticket = self._tickets.pop(f"/{request.path_params['name']}", None)
        if ticket is None:
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>").response()
        url, kind, size = ticket
        if asked.headers.get("content-type") != kind or len(asked.body) != size:
            return Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>").response()
        kept = self.keep(Part("file", asked.body, url.rpartition("/")[2], kind), "/tickets")
        self.files[url.removeprefix(self.url)] = self.files[kept.url.removeprefix(self.url)]
        return Response(status_code=200)

    # What goes wrong

    def unauthorized(self) -> Answer:
        return failure(401, "Unauthorized: the API key is not valid")

    def throttled(self) -> Answer:
        return failure(429, "Too many requests, please try again later")

    def nowhere(self, status: int) -> Answer:
        return failure(status, "Not found" if status == 404 else "Method not allowed")

    def __init__(self, *, any_model: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.any_model = any_model
        """Whether models run that are in no list of its own, with whatever inputs."""
        self.models_known = {*PAGES, *CATALOGUE, *UNLISTED, NEWCOMER}
        """What can be run. Others may be added."""
        self._tickets: dict[str, tuple[str, str, int]] = {}


NO_CREDIT = Answer(403, {"code": 403, "message": "Insufficient credits. Please top up your account."})
"""How an empty balance is signalled is not documented; this is one guess."""


def success(data: object) -> Response:
    """The envelope of an answer that is none of the caller's mistakes."""
    return Answer(200, {"code": 200, "message": "success", "data": data}).response()


def failure(code: int, message: str) -> Answer:
    """The envelope of a complaint."""
    return Answer(code, {"code": code, "message": message})


def refused(code: int, message: str) -> Refused:
    """A complaint, to be raised."""
    return Refused(failure(code, message))


def object_in(asked: Asked) -> dict[str, Any]:
    """The JSON object that was sent."""
    if not isinstance(asked.json, dict):
        raise refused(400, "the request body must be a JSON object")
    return cast("dict[str, Any]", asked.json)


def addresses(inputs: dict[str, Any]) -> list[str]:
    """Every address among the inputs."""
    values = [
        each for value in inputs.values() for each in (cast("list[Any]", value) if isinstance(value, list) else [value])
    ]
    return [value for value in values if is_url(value)]


def matches(item: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a job of the history was asked for."""
    if any(wanted.get(key) not in (None, item[key]) for key in ("model", "status")):
        return False
    after, before = wanted.get("created_after") or "", wanted.get("created_before") or "9999"
    return after <= item["created_at"] <= before
