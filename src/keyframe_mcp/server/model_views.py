"""What an agent sees of models: a line to choose by, or every input with its limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from keyframe_mcp.catalog import Listed, prices, sizes
from keyframe_mcp.catalog.inputs import Confidence, Input
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.searching import Judged, Wish
from keyframe_mcp.server.views import View
from keyframe_mcp.task import Mode

WIDE = 1_000_000
"""A limit beyond this, as seeds have, says nothing to choose by."""

SURE: Mapping[Confidence, str] = {
    "H": "high, from the provider's own pages or code",
    "M": "medium, from others who agree",
    "L": "low, inferred",
}
NEAREST = "Without it: the nearest to the first picture."


class InputView(View):
    """One input of a model, with its limits. `default` holds when nothing is given, whoever fills it in."""

    type: str
    required: bool | None = None
    modes: list[Mode] | None = None
    default: str | int | float | bool | None = None
    values: list[str | int | float | bool] | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    max_length: int | None = None
    random: str | int | float | bool | None = None
    confidence: str | None = None
    about: str | None = None


class ModelView(View):
    """One model. `inputs` is a summary, or a table when the model was asked for by name.

    `price_usd` is what the video costs that was asked for, `price` then what that figure rests on. What was asked for
    is left out of a summary: the modes, where there is one, and the inputs that were said.
    """

    model: str
    title: str
    modes: list[Mode] | None = None
    generative: bool
    configured: bool
    price: str
    price_usd: float | None = None
    inputs: str | dict[str, InputView]
    options: dict[str, InputView] | None = None
    other_options: str | None = None
    sizes: str | None = None
    notes: str | None = None
    experimental: str | None = None
    can_cancel: bool | None = None
    picture_formats: list[str] | None = None
    needs_key: str | None = None
    remote: str | None = None
    confidence: str | None = None
    source: str | None = None
    verified: str | None = None


class ModelsView(View):
    """Models that fit, or what keeps the nearest ones."""

    models: list[ModelView]
    nearest: list[str] | None = None
    next_step: str


def model_view(listed: Listed, *, configured: bool, whole: bool) -> ModelView:
    """One model, in short or with every parameter."""
    return whole_view(listed, configured=configured) if whole else short_view(listed, configured=configured)


def short_view(listed: Listed, *, configured: bool) -> ModelView:
    """A line to choose by. An agent pays for every byte of every model, so it holds no more."""
    model = listed.model
    return ModelView(
        model=listed.id,
        title=model.title + (" (experimental)" if listed.provider.experimental else ""),
        modes=sorted(model.modes),
        generative=model.generative,
        configured=configured,
        price=prices.in_short(model.prices),
        inputs=summary(model),
    )


def judged_view(judged: Judged, wish: Wish, *, configured: bool) -> ModelView:
    """A line to choose by, of a model that can make the video that was asked for."""
    listed, usd = judged.listed, judged.cost.estimated_usd
    view = short_view(listed, configured=configured)
    basis = judged.cost.basis.removeprefix("estimate: ")
    return view.model_copy(
        update={
            "modes": sorted(judged.modes) if wish.mode is None else None,
            "price": basis if usd is not None else "price unknown" + f": {basis}" * basis.startswith("$"),
            "price_usd": usd,
            "inputs": summary(listed.model, wish.mode, wish.said),
        }
    )


def whole_view(listed: Listed, *, configured: bool) -> ModelView:
    """Everything about a model."""
    model = listed.model
    return ModelView(
        model=listed.id,
        title=model.title,
        modes=sorted(model.modes),
        generative=model.generative,
        configured=configured,
        price=prices.in_full(model.prices) or "unknown",
        inputs=table(model, model.inputs),
        options=table(model, model.options) or None,
        other_options="passed on unchecked: the catalogue does not know them all" if model.open_options else None,
        sizes=sizes.pairs(model.sizes) if is_picky(model) else None,
        notes=model.notes or None,
        experimental=listed.provider.experimental,
        can_cancel=listed.can_cancel,
        picture_formats=list(listed.picture_formats) if model.takes_pictures and listed.provider.base_url else None,
        needs_key=None if configured else listed.provider.key,
        remote=model.remote,
        confidence=SURE[model.confidence],
        source=model.source,
        verified=model.verified.isoformat(),
    )


def is_picky(model: Model) -> bool:
    """Whether some resolution does not go with some aspect ratio."""
    return len({frozenset(ratios) for ratios in model.sizes.values()}) > 1


def summary(model: Model, mode: Mode | None = None, said: Collection[str] = ()) -> str:
    """The inputs in a line: those to give starred, with what they accept and, if it is not every one, their mode.

    Of one mode, where one is given; without those that were said.
    """
    inputs = model.inputs if mode is None else model.inputs_for(mode)
    used = {name: spec for name, spec in inputs.items() if spec.unused is None and name not in said}
    stars = {True: "*", False: ""}
    return ", ".join(
        name + stars[model.needs(name, spec)] + limits(spec) + (belongs(spec) if mode is None else "")
        for name, spec in used.items()
    )


def belongs(spec: Input) -> str:
    """The modes an input belongs to, when not all."""
    return f" [{'/'.join(sorted(spec.modes))}]" if spec.modes else ""


def limits(spec: Input) -> str:
    """What an input accepts, in as few words as will do."""
    usual = f" ({spec.usual})" if spec.usual is not None and not isinstance(spec.usual, bool) else ""
    if spec.values is not None:
        return " " + "/".join(map(str, spec.values))
    if spec.min is not None and spec.max is not None and spec.max < WIDE:
        return f" {spec.min:g}-{spec.max:g}{usual}"
    return ""


def table(model: Model, inputs: Mapping[str, Input]) -> dict[str, InputView]:
    """Every input with its limits."""
    return {name: input_view(model, name, spec) for name, spec in inputs.items()}


def input_view(model: Model, name: str, spec: Input) -> InputView:
    """One input with its limits."""
    about = f"makes no difference: {spec.unused}" if spec.unused else spec.about
    return InputView(
        type=spec.type,
        required=model.needs(name, spec) or None,
        modes=sorted(spec.modes) if spec.modes else None,
        default=spec.usual,
        values=list(spec.values) if spec.values is not None else None,
        min=spec.min,
        max=spec.max,
        step=spec.step,
        max_length=spec.max_length,
        random=spec.unset,
        confidence=SURE[spec.confidence] if spec.confidence else None,
        about=f"{about} {NEAREST}".strip() if model.follows_picture(name) else about or None,
    )
