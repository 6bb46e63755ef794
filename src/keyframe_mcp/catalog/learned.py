"""WaveSpeed's own list of models, turned into entries of the catalogue: what a model takes is in its request schema.

The list is what `GET /api/v3/models` answers under `data` (wavespeed.ai/docs, and the official CLI). It holds models of
every kind and a thousand of them, so what cannot be read is left out with a reason and spoils nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from pydantic import BaseModel, Field, ValidationError

from keyframe_mcp.catalog.inputs import Input
from keyframe_mcp.catalog.learned_inputs import (
    KINDS,
    Property,
    Unusable,
    is_ours,
    is_ratio,
    plain,
    price_of,
    sizes_of,
    spec,
    usual_pair,
)
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.strangers import DELIVERY
from keyframe_mcp.task import Mode

REMOTE = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){1,3}")
MAKES_VIDEO = frozenset({"image-to-video", "text-to-video"})
ALSO_VIDEO = re.compile(r"[it]2v|(image|text|start-end)-to-video")

FIRST = ("first_image", "image", "start_image", "first_frame_image")
LAST = ("last_image", "end_image", "end_frame_image")
OTHER_MEDIA = frozenset({"video", "videos", "audio", "left_audio", "right_audio", "mask_image", "mask_video"})

ADVERTISING = re.compile(r"\s*Ready-to-use REST .*", re.DOTALL)


class RequestSchema(BaseModel):
    """What a model takes."""

    properties: dict[str, Any]
    required: list[str] = []


class Endpoint(BaseModel):
    """One way to run a model."""

    request_schema: RequestSchema


class Endpoints(BaseModel):
    """The ways to run a model. The first is the one everybody uses."""

    api_schemas: list[Endpoint] = Field(min_length=1)


class Row(BaseModel):
    """One model of the list."""

    model_id: str
    type: str
    description: str = ""
    base_price: float | None = None
    api_schema: Endpoints


@dataclass(frozen=True)
class Learned:
    """The models that could be read, and why the others were not, each as `id: reason`."""

    models: tuple[Model, ...]
    skipped: tuple[str, ...]


def models_of(data: object, source: str, fetched: date) -> Learned:
    """Every video model of the list. Never raises. `source` and `fetched` become the entries' source and date."""
    rows = cast("list[object]", data) if isinstance(data, list) else []
    found: dict[str, Model] = {}
    skipped: list[str] = []
    for row in rows:
        try:
            model = entry(row, source, fetched)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            skipped.append(f"{named(row)}: {'.'.join(map(str, first['loc'])) or 'entry'}: {first['msg']}")
        except Unusable as error:
            skipped.append(f"{named(row)}: {error}")
        else:
            found.setdefault(model.remote, model)
    models = told_apart(found.values())
    kept = {model.remote for model in models.values()}
    skipped += [f"{remote}: its id is another model's" for remote in found if remote not in kept]
    return Learned(tuple(models.values()), tuple(skipped))


def named(row: object) -> str:
    """What a row of the list calls itself."""
    return str(cast("dict[str, object]", row).get("model_id"))[:100] if isinstance(row, dict) else "a row"


def told_apart(models: Iterable[Model]) -> dict[str, Model]:
    """Models by id. Where two have one id without `wavespeed-ai`, it is put before, whatever order they come in."""
    listed = list(models)
    short = Counter(each.id for each in listed)
    found: dict[str, Model] = {}
    for each in listed:
        name = each.id if short[each.id] == 1 else short_id(each.remote)
        found.setdefault(name, each.model_copy(update={"id": name}))
    return found


def short_id(remote: str) -> str:
    """A name of theirs without slashes."""
    return remote.replace("/", "-").lower().lstrip("._-")


def entry(row: object, source: str, fetched: date) -> Model:
    """One model of the list as an entry. Raises `Unusable` or `ValidationError`."""
    found = video_maker(Row.model_validate(row))
    schema = found.api_schema.api_schemas[0].request_schema
    properties = readable(schema)
    pictures, modes = pictures_of(found.model_id, properties, schema.required)
    words = {name: each for name, each in properties.items() if name not in consumed(pictures)}
    described = {name: spec(each, needed=name in schema.required) for name, each in words.items()}
    inputs = {name: each for name, each in described.items() if is_ours(name, words[name])}
    options = {name: each for name, each in described.items() if name not in inputs}
    sizes = sizes_of(words)
    if sizes:
        inputs |= usual_pair(sizes, words["size"].default)
    elif is_ratio(words.get("size")) and "aspect_ratio" not in words:
        inputs["aspect_ratio"] = options.pop("size").model_copy(update={"wire": "size"})
    return Model.model_validate(
        {
            "id": short_id(found.model_id.removeprefix("wavespeed-ai/")),
            "remote": found.model_id,
            "title": found.model_id.removeprefix("wavespeed-ai/").replace("/", " ").replace("-", " "),
            "modes": modes,
            "source": source,
            "verified": fetched,
            "confidence": "M",
            "notes": plain(ADVERTISING.sub("", found.description)),
            "prices": price_of(found.base_price, {**inputs, **options}),
            "inputs": {**pictures, **inputs},
            "options": options,
            "sizes": sizes,
        }
    )


def video_maker(found: Row) -> Row:
    """The row itself, if it is of a model that makes videos from words or pictures. Raises `Unusable` otherwise."""
    if not REMOTE.fullmatch(found.model_id) or ".." in found.model_id:
        raise Unusable("its id is not one that can be asked for")
    if found.type not in MAKES_VIDEO and not (found.type == "lora-support" and ALSO_VIDEO.search(found.model_id)):
        raise Unusable(f"it makes no video from words or pictures ({found.type})")
    if needed := OTHER_MEDIA & set(found.api_schema.api_schemas[0].request_schema.required):
        raise Unusable(f"it needs {', '.join(sorted(needed))}")
    return found


def readable(schema: RequestSchema) -> dict[str, Property]:
    """The parameters that can be given. Raises `Unusable` when one that is needed cannot."""
    found: dict[str, Property] = {}
    for name, each in schema.properties.items():
        try:
            found[name] = Property.model_validate(each)
        except ValidationError:
            continue
    usable = {
        name: each
        for name, each in found.items()
        if each.type in KINDS
        and re.fullmatch(r"\w{1,64}", name, re.ASCII)
        and name not in DELIVERY
        and (name in schema.required or not (each.disabled or each.hidden))
    }
    if missing := set(schema.required) - usable.keys():
        raise Unusable(f"it needs {', '.join(sorted(missing))}, which cannot be given")
    return usable


def pictures_of(
    remote: str, properties: Mapping[str, Property], required: Iterable[str]
) -> tuple[dict[str, Input], list[Mode]]:
    """The pictures a model takes, and the modes that makes."""
    needed = set(required)
    texts = {name for name, each in properties.items() if each.type == "string"}
    first = next((name for name in FIRST if name in texts), None)
    last = next((name for name in LAST if name in texts), None)
    if first is None and "start-end" in remote and "images" in properties and properties["images"].type == "array":
        first, last, needed = "images[0]", "images[1]", needed | {"images[0]", "images[1]"}
    modes = [Mode.T2V] if "prompt" in texts and not needed & {first, last} else []
    inputs: dict[str, Input] = {}
    if first is not None and last not in needed:
        modes.append(Mode.I2V)
        inputs["image"] = Input(type="image", required=True, wire=first, modes=frozenset({Mode.I2V}))
    if first is not None and last is not None:
        modes.append(Mode.FLF2V)
        for ours, theirs in (("first_image", first), ("last_image", last)):
            inputs[ours] = Input(type="image", required=True, wire=theirs, modes=frozenset({Mode.FLF2V}))
    if not modes:
        raise Unusable("it takes neither words nor pictures that are known here")
    return inputs, modes


def consumed(pictures: Mapping[str, Input]) -> set[str]:
    """The names of theirs that the pictures go under."""
    return {(each.wire or "").partition("[")[0] for each in pictures.values()}
