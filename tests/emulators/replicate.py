"""Replicate's HTTP API, as its pages, its Python client 1.0.7 and that client's recorded exchanges describe it.

High confidence: create by version and by official model, `Prefer: wait` (the answer says `processing` and has the
output in it, as recorded), get, list with cursor, cancel (200, logs gone), files with all their fields, the 401, the
422 and its `invalid_fields`, retention. Medium: the words of 402 and 404, `Cancel-After` units. Our choices, because
nobody says: an unknown input is refused; previews come four to a film; a wait that the pace of jobs by the clock does
not allow for ends at once, with a 202.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, cast
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from emulators import films, results
from emulators.faults import Answer
from emulators.fields import problems
from emulators.jobs import Asked, Job, Stage, moment
from emulators.provider import Emulator, Refused
from emulators.replicate_files import Files
from emulators.replicate_models import (
    ANIMATION,
    ANIMATION_INPUTS,
    ANIMATION_VERSION,
    OFFICIAL,
    bar_lines,
    frame_lines,
    invalid_field,
    version_details,
)

KEPT_SECONDS = 3600
PAGE_SIZE = 100
PREVIEWS = 4
EVENTS = frozenset({"start", "output", "logs", "completed"})
DURATION = re.compile(r"(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
SHORTEST_DEADLINE = 5


class Replicate(Emulator):
    """Replicate. Switches: `outputs_as`, `logs_as`, `wait_times_out`, `page_size`, `seed`."""

    name = "replicate"
    prefix: ClassVar[str] = "/v1"
    created_status: ClassVar[int] = 201
    result_seconds = KEPT_SECONDS

    outputs_as: Literal["list", "string", "object", "objects"] | None = None
    """None: what the model really gives, a list for the animation and a string for official models."""
    logs_as: Literal["frames", "bars", "both", "none"] = "frames"
    wait_times_out = False
    page_size = PAGE_SIZE
    seed = 51234
    """The one a job draws when none is given."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.store = Files(self, f"{self.prefix}/files")

    @property
    def base_url(self) -> str:
        return self.url + self.prefix

    def routes(self) -> list[BaseRoute]:
        model = f"{self.prefix}/models/{{owner}}/{{name}}"
        return [
            *self.creating(),
            self.route("GET", f"{self.prefix}/predictions", "list", self.listing),
            self.route("POST", f"{self.prefix}/predictions/{{job_id}}/cancel", "cancel", self.cancel),
            self.route("GET", f"{model}/versions/{{version}}", "version", self.version),
            self.route("GET", f"{self.prefix}/account", "account", self.account),
            self.route("GET", f"{self.prefix}/webhooks/default/secret", "secret", self.tell_secret),
            *self.store.routes(),
        ]

    def creating(self) -> list[BaseRoute]:
        """The paths that every service of this kind has."""
        by_name = f"{self.prefix}/models/{{owner}}/{{name}}/predictions"
        return [
            self.route("POST", f"{self.prefix}/predictions", "submit", self.create),
            self.route("POST", by_name, "submit", self.create_by_name),
            self.route("GET", f"{self.prefix}/predictions/{{job_id}}", "check", self.get),
        ]

    # Predictions

    async def create(self, request: Request, asked: Asked) -> Response:
        body = object_in(asked)
        reference = body.get("version")
        if not isinstance(reference, str):
            raise invalid([{"type": "required", "field": "", "description": "version is required"}])
        if reference in OFFICIAL:
            return self.start(asked, body, reference, "hidden")
        model, _, version = reference.rpartition(":")
        if version != ANIMATION_VERSION or model not in ("", ANIMATION):
            raise Refused(self.no_such_version(reference))
        return self.start(asked, body, ANIMATION, version)

    async def create_by_name(self, request: Request, asked: Asked) -> Response:
        """Official models only: a community model has to be asked by version."""
        model = f"{request.path_params['owner']}/{request.path_params['name']}"
        if model not in OFFICIAL:
            raise Refused(NOT_FOUND)
        return self.start(asked, object_in(asked), model, "hidden")

    def start(self, asked: Asked, body: dict[str, Any], model: str, version: str) -> Response:
        """A new prediction, or everything that is wrong with the request."""
        inputs = body.get("input")
        if not isinstance(inputs, dict):
            raise invalid([{"type": "required", "field": "", "description": "input is required"}])
        if model == ANIMATION:
            found = [invalid_field(problem) for problem in problems(inputs, ANIMATION_INPUTS)]
            if found:
                raise invalid(found)
        wait, lasts = preferred(asked), lifetime(asked)
        webhook, events = webhook_in(body), events_in(body)
        job = self.record(model, cast("dict[str, Any]", inputs), webhook, version=version, events=events)
        if lasts is not None:
            job.details["deadline"] = job.created_at + lasts
        return self.waited(job, wait) if wait is not None else Answer(self.created_status, self.shown(job)).response()

    def waited(self, job: Job, seconds: float) -> Response:
        """The answer to `Prefer: wait`: 201 with the output, or 202 with the prediction as it is."""
        applied = {"Preference-Applied": "wait"}
        if self.wait_times_out or job.pace.seconds > seconds:
            return Answer(202, self.shown(job), applied).response()
        self.end(job, self.clock())
        word = "processing" if job.status is None else job.status
        return Answer(201, {**self.shown(job), "status": word, "logs": ""}, applied).response()

    async def get(self, request: Request, asked: Asked) -> Response:
        job = self.known(request)
        self.look(job)
        return Answer(200, self.shown(job)).response()

    async def cancel(self, request: Request, asked: Asked) -> Response:
        """Stop it. One that is over stays as it is."""
        job = self.known(request)
        if self.look(job, counts=False) is not Stage.OVER:
            job.finished_at, job.status = self.clock(), "canceled"
        return Answer(200, self.shown(job)).response()

    async def listing(self, request: Request, asked: Asked) -> Response:
        """A page of predictions, newest first, without logs. `cursor` is opaque."""
        start = int(base64.urlsafe_b64decode(asked.query.get("cursor", "MA==")))
        wanted = [job for job in reversed(self.jobs) if within(job, asked)]
        page = wanted[start : start + self.page_size]
        for job in page:
            self.look(job, counts=False)
        items = [{key: value for key, value in self.shown(job).items() if key != "logs"} for job in page]
        after, before = start + self.page_size, start - self.page_size
        return Answer(
            200,
            {
                "previous": self.page(max(0, before)) if start else None,
                "next": self.page(after) if after < len(wanted) else None,
                "results": [{**item, "source": "api"} for item in items],
            },
        ).response()

    def page(self, start: int) -> str:
        """The address of a page of the list."""
        return f"{self.base_url}/predictions?cursor={base64.urlsafe_b64encode(str(start).encode()).decode()}"

    async def version(self, request: Request, asked: Asked) -> Response:
        if request.path_params["version"] != ANIMATION_VERSION:
            raise Refused(NOT_FOUND)
        return Answer(200, version_details("2022-10-03T21:05:43.197Z")).response()

    async def account(self, request: Request, asked: Asked) -> Response:
        return Answer(200, {"type": "user", "username": "emulated", "name": "Emulated", "github_url": ""}).response()

    async def tell_secret(self, request: Request, asked: Asked) -> Response:
        return Answer(200, {"key": self.calls.secret}).response()

    def told(self, job: Job) -> dict[str, Any]:
        return self.shown(job)

    # A prediction

    def new_id(self) -> str:
        return uuid4().hex[:26]

    def known(self, request: Request) -> Job:
        """The job in the path."""
        job = self.job(request.path_params["job_id"])
        if job is None:
            raise Refused(NOT_FOUND)
        return job

    def look(self, job: Job, *, counts: bool = True) -> Stage:
        """Where a job is. Past its deadline it is `aborted` if it had not begun, else `canceled`."""
        deadline, before = job.details.get("deadline"), job.stage(self.clock())
        if deadline is not None and before is not Stage.OVER and self.clock() >= deadline:
            job.finished_at, job.status = deadline, "aborted" if before is Stage.QUEUED else "canceled"
        stage = super().look(job, counts=counts)
        if stage is not Stage.QUEUED:
            begun = job.created_at + job.pace.seconds_queued if not job.pace.checks else self.clock()
            job.details.setdefault("started_at", begun)
        return stage

    def can_fetch(self, url: object) -> bool:
        return super().can_fetch(url) and self.store.can_fetch(url)

    def finish(self, job: Job) -> None:
        """The final file, after its previews if they were asked for."""
        if not all(self.can_fetch(value) for value in job.inputs.values()):
            job.status = "failed"
            job.details["error"] = "The file could not be downloaded."
            return
        job.outputs = self.previews(job, 1.0)
        if job.model == ANIMATION and job.inputs.get("output_format", "gif") == "gif":
            made = films.animation(job.inputs, self.jobs.index(job)) if self.by_hand else results.gif()
            job.outputs.append(self.publish(made, results.GIF, "output.gif"))
        else:
            job.outputs.append(self.publish(self.film_of(job), results.MP4, "output.mp4"))

    def previews(self, job: Job, share: float) -> list[str]:
        """The pictures shown so far."""
        made: list[str] = job.details.setdefault("previews", [])
        while job.inputs.get("intermediate_output") is True and len(made) < round(PREVIEWS * share):
            made.append(self.publish(results.png(number=len(made)), results.PNG, f"frame-{len(made)}.png"))
        return list(made)

    def shown(self, job: Job) -> dict[str, Any]:
        """A prediction, as the API shows it. An hour after its end little is left of it."""
        over = job.finished_at is not None
        shown: dict[str, Any] = {
            "id": job.id,
            "model": job.model,
            "version": job.details["version"],
            "input": job.inputs,
            "logs": self.logs(job),
            "output": self.output(job),
            "data_removed": False,
            "error": (job.fate.error or job.details.get("error")) if over and job.status else None,
            "status": self.word(job),
            "created_at": moment(job.created_at),
            "urls": self.urls(job),
        }
        if "deadline" in job.details:
            shown["deadline"] = moment(job.details["deadline"])
        if "started_at" in job.details:
            shown["started_at"] = moment(job.details["started_at"], 6)
        if job.finished_at is not None:
            shown |= self.ending(job, job.finished_at)
        return {**shown, **(job.fate.more if over else {})}

    def ending(self, job: Job, at: float) -> dict[str, Any]:
        """What is said only of a prediction that is over."""
        started = job.details.get("started_at", at)
        metrics = {"predict_time": round(max(0.0, at - started), 6), "total_time": round(at - job.created_at, 6)}
        ending: dict[str, Any] = {"completed_at": moment(at, 6), "metrics": metrics}
        if job.status == "canceled":
            ending |= {"logs": None, "output": None}
        if self.clock() >= at + KEPT_SECONDS:
            ending |= {"data_removed": True, "input": {}, "output": None, "logs": None}
        return ending

    def word(self, job: Job) -> str:
        """The state of a job in the words of the API."""
        stage = self.look(job, counts=False)
        if stage is Stage.OVER:
            return job.status or "succeeded"
        return "starting" if stage is Stage.QUEUED else job.fate.running_as or "processing"

    def urls(self, job: Job) -> dict[str, str]:
        """Where this prediction can be asked after and stopped."""
        get = f"{self.base_url}/predictions/{job.id}"
        return {"cancel": f"{get}/cancel", "get": get, "web": f"https://replicate.com/p/{job.id}"}

    def output(self, job: Job) -> Any:
        """What has been made, in the shape of the model or the one that the test wants."""
        share = job.share(self.clock())
        urls = job.outputs if job.finished_at is not None else self.previews(job, share)
        if not urls:
            return None
        shape = self.outputs_as or ("list" if job.model == ANIMATION else "string")
        shapes: dict[str, Any] = {
            "list": urls,
            "string": urls[-1],
            "object": {"video": urls[-1], "seed": self.seed},
            "objects": [{"url": url, "mime_type": results.MP4} for url in urls],
        }
        return shapes[shape]

    def logs(self, job: Job) -> str:
        """What the model has printed so far."""
        if self.look(job, counts=False) is Stage.QUEUED or self.logs_as == "none":
            return ""
        share = job.share(self.clock())
        given = job.inputs.get("seed")
        lines = [f"Using seed: {self.seed if given is None else given}"]
        if self.logs_as != "bars":
            lines += frame_lines(job.inputs, share)
        if self.logs_as != "frames":
            lines += bar_lines(share)
        return "\n".join(lines) + "\n"

    # What goes wrong

    def unauthorized(self) -> Answer:
        return problem(401, "Unauthenticated", "You did not pass a valid authentication token")

    def throttled(self) -> Answer:
        return THROTTLED

    def nowhere(self, status: int) -> Answer:
        return NOT_FOUND if status == 404 else problem(405, "Method not allowed", "The method is not allowed here.")

    def no_such_version(self, reference: str) -> Answer:
        """The answer to a version that does not exist."""
        text = "The specified version does not exist (or perhaps you don't have permission to use it?)"
        return problem(422, "Invalid version or not permitted", text)


def problem(status: int, title: str, detail: str, **more: object) -> Answer:
    """An RFC 7807 body, with its own content type."""
    body = {"title": title, "detail": detail, "status": status, **more}
    return Answer(status, body, {"content-type": "application/problem+json"})


NOT_FOUND = problem(404, "Not found", "The requested resource could not be found.")
NO_CREDIT = problem(402, "Insufficient credit", "You have insufficient credit to run this model.")
THROTTLED = problem(429, "Too many requests", "Request was throttled. Your rate limit resets in ~30s.")


def invalid(fields: Iterable[dict[str, str]]) -> Refused:
    """The 422 that lists what is wrong."""
    listed = list(fields)
    lines = [f"- {each['field']}: {each['description']}".replace("- : ", "- ") for each in listed]
    return Refused(problem(422, "Input validation failed", "\n".join(lines) + "\n", invalid_fields=listed))


def object_in(asked: Asked) -> dict[str, Any]:
    """The JSON object that was sent."""
    if not isinstance(asked.json, dict):
        raise Refused(problem(400, "Bad request", "The request body must be a JSON object."))
    return cast("dict[str, Any]", asked.json)


def preferred(asked: Asked) -> float | None:
    """How long the caller would like to wait for the end, in seconds. None: not at all."""
    match = re.fullmatch(r"wait(?:=(\d+))?", asked.headers.get("prefer", ""))
    if "prefer" not in asked.headers:
        return None
    seconds = float(match[1] or 60) if match else 0
    if not 1 <= seconds <= 60:
        raise Refused(problem(400, "Bad request", "Prefer must be wait or wait=n with n from 1 to 60."))
    return seconds


def lifetime(asked: Asked) -> float | None:
    """How long the prediction may take, in seconds. None: as long as it likes."""
    text = asked.headers.get("cancel-after")
    if text is None:
        return None
    match = DURATION.fullmatch(text)
    hours, minutes, seconds = (int(each or 0) for each in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if total < SHORTEST_DEADLINE:
        text = f"Cancel-After must be a duration such as 90s, 15m or 1h30m, of at least {SHORTEST_DEADLINE}s."
        raise Refused(problem(400, "Bad request", text))
    return total


def webhook_in(body: dict[str, Any]) -> str | None:
    """Where the caller wants to be told. HTTPS only; and this machine, which is ours to allow."""
    webhook = body.get("webhook")
    if webhook is not None and not str(webhook).startswith(("https://", "http://127.0.0.1:")):
        raise invalid([{"type": "format", "field": "webhook", "description": "Does not match format 'https-uri'"}])
    if not EVENTS.issuperset(body.get("webhook_events_filter", ())):
        raise invalid([{"type": "enum", "field": "webhook_events_filter", "description": "Unknown event"}])
    return webhook


def events_in(body: dict[str, Any]) -> tuple[str, ...]:
    """What the caller wants to be told of: everything, unless it says."""
    return tuple(body.get("webhook_events_filter", EVENTS))


def within(job: Job, asked: Asked) -> bool:
    """Whether a prediction was created in the span asked for."""
    created = moment(job.created_at)
    return asked.query.get("created_after", "") <= created <= asked.query.get("created_before", "9")
