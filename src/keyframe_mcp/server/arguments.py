"""The arguments of the tools. A field is a line of schema; what all generate tools share is written once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from keyframe_mcp.media.orders import SheetSize
from keyframe_mcp.task import Inputs, Mode, Number, Status, Whole, no_switch

Picture = Annotated[str, Field(description="Path, https URL or task:<id> (last frame; #first, @seconds)")]
Video = "task:<id>, path or https URL"


class Arguments(ArgModelBase):
    """Arguments of one tool. One it does not have is an error: agents' spelling mistakes are costly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def empty_means_left_out(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Some models fill every optional text with an empty one."""
        if "" not in data.values():
            return data
        optional = {name for name, each in cls.model_fields.items() if not each.is_required()}
        return {name: value for name, value in data.items() if not (name in optional and value == "")}


class Generation(Arguments):
    """What every generate tool takes."""

    model: str | None = Field(None, description="provider/model")
    duration: Number | None = Field(None, description="Seconds")
    resolution: str | None = None
    aspect_ratio: str | None = Field(None, description="e.g. 9:16")
    negative_prompt: str | None = None
    seed: Whole | None = None
    num_inference_steps: Whole | None = None
    guidance_scale: Number | None = None
    num_outputs: Whole | None = None
    options: dict[str, Any] | None = Field(None, description="Model's own inputs")
    strict: bool = True
    idempotency_key: str | None = Field(None, description="Same on a retry, new for a new video", max_length=200)
    fallback: bool = False
    dry_run: bool = False
    wait_seconds: Number = Field(0, ge=0, le=45)

    def request(self, mode: Mode) -> Inputs:
        """The request these arguments make."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name in Inputs.model_fields}
        return Inputs.model_validate(values | {"mode": mode, "options": self.options or {}})


class GenerateFlf2v(Generation):
    """First and last image."""

    first_image: Picture
    last_image: str = Field(description="As first_image")
    prompt: str | None = Field(None, description="What happens in between")


class GenerateI2v(Generation):
    """One image."""

    image: Picture
    prompt: str | None = Field(None, description="What happens, how the camera moves")


class GenerateT2v(Generation):
    """Words alone."""

    prompt: str = Field(description="What the video shows")


class GenerateAnimation(Generation):
    """From one prompt to another."""

    prompt_start: str
    prompt_end: str


class Regenerate(Arguments):
    """An earlier task, and what shall be different."""

    task_id: str
    overrides: dict[str, Any] | None = Field(None, description="As in generate tools; null removes")
    idempotency_key: str | None = Field(None, max_length=200)
    dry_run: bool = False
    wait_seconds: Number = Field(0, ge=0, le=45)


class GetTask(Arguments):
    """One task or several."""

    task_id: str | None = None
    task_ids: list[str] | None = Field(None, max_length=50)
    wait_seconds: Number = Field(0, ge=0, le=45)


class CancelTask(Arguments):
    """One task."""

    task_id: str


class ListTasks(Arguments):
    """Which tasks."""

    status: Annotated[Status | None, WithJsonSchema({"type": "string"})] = None
    limit: Whole = Field(20, ge=1, le=100)


class ListModels(Arguments):
    """Which models."""

    mode: Mode | None = None
    query: str | None = None
    model: str | None = Field(None, description="One, with every input")
    duration: Number | None = None
    resolution: str | None = None
    aspect_ratio: str | None = None
    provider: str | None = None
    max_price_usd: Number | None = Field(None, allow_inf_nan=False)
    sort: Annotated[Literal["price"] | None, WithJsonSchema({"type": "string", "enum": ["price"]})] = None


class ViewVideo(Arguments):
    """Which video, and how large a picture."""

    source: str = Field(description=Video)
    cells: Annotated[int, Field(ge=1, le=25), BeforeValidator(no_switch)] | None = None
    size: SheetSize | None = None


class ExtractFrame(Arguments):
    """Which frame of which video."""

    source: str = Field(description=Video)
    at: Annotated[str | None, BeforeValidator(lambda at: at if at is None else str(at))] = Field(
        None, description="first, last (default) or seconds"
    )


class JoinVideos(Arguments):
    """Which videos, in which order."""

    sources: list[str] = Field(description=f"In order, each {Video}")
    crossfade_seconds: Number = Field(0, ge=0, allow_inf_nan=False)
