"""How a video came to be, as records: for the file beside it, and for the tags inside it.

No URL keeps its query and no option its secret: the files travel.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, cast

from keyframe_mcp import __version__
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.errors import UnknownModel
from keyframe_mcp.media.orders import JoinFacts, MarkFacts
from keyframe_mcp.media.references import shortened
from keyframe_mcp.task import Cost, Output, Record, Task

MADE_BY = f"keyframe-mcp {__version__}"
GENERATED = {True: "AI-generated video", False: "Drawn preview, not AI video"}
TITLE_CHARACTERS = 80
PICTURES = ("first_image", "last_image", "image")
EARLIER = re.compile(r"^(?:task:|output:|keyframe://tasks/)?(kf_[a-z2-7]{26})(?![a-z2-7])")
ADDRESS = re.compile(
    r"([a-z][a-z0-9+.-]*://)(?:[^\s/?#@]*@)?([^\s?#\"']+)(?:[?#][^\s\"']*?(?=[;,.)]*(?:[\s\"']|$)))?", re.IGNORECASE
)
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
SECRETS = ("apikey", "key", "token", "secret", "password", "auth", "authorization", "credential", "signature")


class Source(Record):
    """A picture that was given: what it showed, by its SHA-256. `task_id` is the task whose frame it is."""

    input: str
    given_as: str | None = None
    sha256: str
    mime_type: str
    width: int
    height: int
    size_bytes: int
    task_id: str | None = None


class Clip(Record):
    """A video that was joined into another."""

    given_as: str
    sha256: str
    size_bytes: int
    task_id: str | None = None


class Film(Record):
    """The file that this is about."""

    file: str
    sha256: str
    size_bytes: int | None
    mime_type: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    fps: float | None = None


class Provenance(Record):
    """Where a generated video comes from. Times are UTC; `duration` is in seconds, money in US dollars.

    `request` is what was asked, `wire` what was sent, in which a picture stands as its SHA-256.
    """

    # Whoever reads a file that a newer version has written shall be able to.
    model_config = Record.model_config | {"extra": "ignore"}

    kind: Literal["generated"] = "generated"
    version: Literal[1] = 1
    made_by: str = MADE_BY
    statement: str
    generative: bool
    engine: str | None = None
    confidence: float | None = None
    task_id: str
    parent_id: str | None = None
    mode: str
    model: str
    provider: str
    job_id: str | None = None
    trace_id: str | None = None
    refused: tuple[str, ...] = ()
    request: dict[str, Any]
    wire: dict[str, Any]
    seed_asked: int | None = None
    seed_used: int | None = None
    sources: tuple[Source, ...] = ()
    cost: Cost | None = None
    created_at: datetime
    sent_at: datetime | None = None
    finished_at: datetime
    inference_seconds: float | None = None
    output: Film
    embedded: bool
    not_embedded_because: str | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: Task, film: Film, marks: MarkFacts, now: float, catalog: Catalog) -> Self:
        """What is known once a task's video is here."""
        asked, sent = task.request.get("seed"), task.wire.get("seed")
        return cls(
            statement=GENERATED[task.generative],
            generative=task.generative,
            engine=task.engine,
            confidence=task.confidence,
            task_id=task.id,
            parent_id=task.parent_id,
            mode=task.mode,
            model=task.model,
            provider=task.provider,
            job_id=task.remote_id,
            trace_id=task.trace_id,
            refused=tuple(str(bare(each)) for each in task.refused),
            request=cast("dict[str, Any]", bare(task.request)),
            wire=wire_of(task),
            seed_asked=asked,
            seed_used=task.seed if task.seed is not None else sent if isinstance(sent, int) else None,
            sources=tuple(sources_of(task, picture_arguments(catalog, task))),
            cost=task.cost,
            created_at=instant(task.created_at),
            sent_at=None if task.sent_at is None else instant(task.sent_at),
            finished_at=instant(now),
            inference_seconds=task.inference_seconds,
            output=film,
            embedded=marks.embedded,
            not_embedded_because=marks.reason or None,
            warnings=tuple(str(bare(each)) for each in task.warnings),
        )


@dataclass(frozen=True)
class Joined:
    """A video that is joined into another: what it was given as, where it is, and its task where it is one's."""

    given_as: str
    file: Path
    task: Task | None = None

    def clip(self) -> Clip:
        """As it is remembered. Raises `OSError`."""
        return Clip(
            given_as=str(bare(self.given_as)),
            sha256=sha256_of(self.file),
            size_bytes=self.file.stat().st_size,
            task_id=self.task.id if self.task else task_in(self.given_as),
        )


class JoinProvenance(Record):
    """Where a joined film comes from. `generative` is said where it is known of the clips, and true if it is of one."""

    model_config = Record.model_config | {"extra": "ignore"}

    kind: Literal["joined"] = "joined"
    version: Literal[1] = 1
    made_by: str = MADE_BY
    statement: str | None = None
    generative: bool | None = None
    settings: dict[str, Any]
    method: str
    sources: tuple[Clip, ...]
    finished_at: datetime
    output: Film
    embedded: bool
    not_embedded_because: str | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, facts: JoinFacts, clips: Sequence[Joined], settings: Mapping[str, Any], marks: MarkFacts, now: float
    ) -> Self:
        """What is known once the film is here. Raises `OSError`."""
        seen, generative = facts.video, is_generative(clips)
        return cls(
            statement=None if generative is None else GENERATED[generative],
            generative=generative,
            settings=dict(settings),
            method=facts.method,
            sources=tuple(each.clip() for each in clips),
            finished_at=instant(now),
            output=Film(
                file=facts.path.name,
                sha256=sha256_of(facts.path),
                **seen.model_dump(include=set(Film.model_fields)),
            ),
            embedded=marks.embedded,
            not_embedded_because=marks.reason or None,
            notes=facts.notes,
        )


def is_generative(clips: Sequence[Joined]) -> bool | None:
    """Whether any of them is AI video; None where that is not known of all and true of none."""
    tasks = [each.task for each in clips]
    if any(task is not None and task.generative for task in tasks):
        return True
    return None if None in tasks else False


def film_tags(clips: Sequence[Joined]) -> dict[str, str]:
    """What a joined film says about itself. Of a path only the name: the folders are nobody's business."""
    generative = is_generative(clips)
    named = [each.task.id if each.task else re.split(r"[/\\]", str(bare(each.given_as)))[-1] for each in clips]
    facts = {"joined": named} | ({} if generative is None else {"generative": generative})
    said = {"comment": json.dumps(facts, ensure_ascii=False), "software": MADE_BY}
    return said | ({} if generative is None else {"description": GENERATED[generative]})


def tags_of(task: Task) -> dict[str, str]:
    """What a video says about itself: for people, and as JSON for programs."""
    words = [str(task.request[name]) for name in ("prompt", "prompt_start", "prompt_end") if name in task.request]
    facts = {
        "task_id": task.id,
        "parent_id": task.parent_id,
        "generative": task.generative,
        "engine": task.engine,
        "model": task.model,
        "seed": task.seed if task.seed is not None else task.wire.get("seed"),
        "prompt": bare(" -> ".join(words)) if words else None,
    }
    comment = json.dumps({name: each for name, each in facts.items() if each is not None}, ensure_ascii=False)
    title = " ".join(str(facts["prompt"] or "").split())[:TITLE_CHARACTERS]
    said = {"comment": comment, "description": GENERATED[task.generative], "software": MADE_BY}
    return said | ({"title": title} if title else {})


def wire_of(task: Task) -> dict[str, Any]:
    """What was sent. A picture's address may be a key to it, so what it showed stands there instead."""
    shown = {name: f"sha256:{picture.content}" for name, picture in task.pictures.items()}
    return cast("dict[str, Any]", bare(task.wire)) | shown


def sources_of(task: Task, arguments: Mapping[str, str]) -> Iterator[Source]:
    """The pictures that were sent, and what they were given as, where that is known."""
    for name, picture in task.pictures.items():
        given = task.request.get(arguments.get(name, ""))
        yield Source(
            input=arguments.get(name, name),
            given_as=None if given is None else str(bare(given)),
            sha256=picture.content,
            mime_type=picture.mime_type,
            width=picture.width,
            height=picture.height,
            size_bytes=picture.size_bytes,
            task_id=None if given is None else task_in(str(given)),
        )


def picture_arguments(catalog: Catalog, task: Task) -> dict[str, str]:
    """Our argument for each of a task's pictures, by wire name: as the catalogue has it, else as far as it is plain."""
    asked = [name for name in PICTURES if name in task.request]
    try:
        model = catalog.find(task.model).model
    except UnknownModel:
        named = {name: name for name in task.pictures if name in asked}
        return named or (dict(zip(task.pictures, asked, strict=True)) if len(asked) == len(task.pictures) == 1 else {})
    return {model.wire(name, spec): name for name, spec in model.inputs_for(task.mode).items() if name in asked}


def task_in(reference: str) -> str | None:
    """The task whose video a reference names."""
    found = EARLIER.match(reference.strip())
    return found[1] if found else None


def is_secret(name: str) -> bool:
    """Whether an input is called like something to keep to oneself: `api_key`, `accessKey`, `X-Auth-Token`, `keys`."""
    words = WORDS.findall(name)
    return bool(words) and words[-1].lower().removesuffix("s") in SECRETS


def bare(value: object, name: str = "") -> object:
    """A value without what is no business of whoever gets the file: secrets, queries of URLs, and bytes."""
    match value:
        case str() if is_secret(name):
            return "(left out)"
        case str():
            return ADDRESS.sub(r"\1\2", shortened(value.strip()) if value.lstrip().startswith("data:") else value)
        case dict():
            return {key: bare(each, str(key)) for key, each in cast("dict[object, object]", value).items()}
        case list() | tuple():
            return [bare(each, name) for each in cast("list[object]", value)]
        case _:
            return value


def film_of(file: Path, output: Output) -> Film:
    """The file as it is. Raises `OSError`."""
    return Film(
        file=file.name,
        sha256=sha256_of(file),
        size_bytes=output.size_bytes,
        mime_type=output.mime_type,
        width=output.width,
        height=output.height,
        duration=output.duration,
        fps=output.fps,
    )


def sha256_of(file: Path) -> str:
    """The hash of a file's content. Raises `OSError`."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def instant(seconds: float) -> datetime:
    """Seconds since the epoch as a UTC time, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
