"""What an agent sees of models: a line to choose by, or every input with its limits."""

from __future__ import annotations

from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.entries import Input
from keyframe_mcp.server.views import View
from keyframe_mcp.task import Mode


class InputView(View):
    """One input of a model, with its limits."""

    type: str
    required: bool | None = None
    default: str | int | float | bool | None = None
    values: list[str | int | float | bool] | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    max_length: int | None = None
    about: str | None = None


class ModelView(View):
    """One model. `inputs` is a summary, or a table when the model was asked for by name."""

    model: str
    title: str
    modes: list[Mode]
    generative: bool
    configured: bool
    price: str
    inputs: str | dict[str, InputView]
    options: dict[str, InputView] | None = None
    notes: str | None = None
    needs_key: str | None = None
    source: str | None = None
    verified: str | None = None


class ModelsView(View):
    """Models that fit."""

    models: list[ModelView]
    next_step: str


def model_view(listed: Listed, *, configured: bool, whole: bool) -> ModelView:
    """One model, in short or with every parameter."""
    model = listed.model
    return ModelView(
        model=listed.id,
        title=model.title,
        modes=sorted(model.modes),
        generative=model.generative,
        configured=configured,
        price=listed.cost(None).basis if model.price is None or model.price.per == "second" else priced(listed),
        inputs={name: input_view(spec) for name, spec in model.inputs.items()} if whole else summary(model.inputs),
        options={name: input_view(spec) for name, spec in model.options.items()} if whole and model.options else None,
        notes=model.notes or None,
        needs_key=None if configured else listed.provider.key,
        source=model.source if whole else None,
        verified=model.verified.isoformat() if whole else None,
    )


def priced(listed: Listed) -> str:
    """A price in words."""
    cost = listed.cost(None)
    return f"${cost.estimated_usd:g} {cost.basis}" if cost.estimated_usd else cost.basis


def summary(inputs: dict[str, Input]) -> str:
    """The inputs in a line: required ones starred, with what they accept and, if it is not every one, their mode."""
    stars = {True: "*", False: ""}
    return ", ".join(name + stars[spec.required] + limits(spec) + belongs(spec) for name, spec in inputs.items())


def belongs(spec: Input) -> str:
    """The modes an input belongs to, when not all."""
    return f" [{'/'.join(sorted(spec.modes))}]" if spec.modes else ""


def limits(spec: Input) -> str:
    """What an input accepts, in as few words as will do."""
    if spec.values is not None:
        return " " + "/".join(map(str, spec.values))
    if spec.min is not None and spec.max is not None:
        return f" {spec.min:g}-{spec.max:g}" + (f" ({spec.default})" if spec.default is not None else "")
    return ""


def input_view(spec: Input) -> InputView:
    """One input with its limits."""
    return InputView(
        type=spec.type,
        required=spec.required or None,
        default=spec.default,
        values=list(spec.values) if spec.values is not None else None,
        min=spec.min,
        max=spec.max,
        step=spec.step,
        max_length=spec.max_length,
        about=spec.unused or spec.about or None,
    )
