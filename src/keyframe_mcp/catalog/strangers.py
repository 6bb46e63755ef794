"""Inputs a model does not have: refused with what may have been meant, or passed on where the catalogue is open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keyframe_mcp.catalog.dialects import ANY_OWN_WORD
from keyframe_mcp.catalog.inputs import Input
from keyframe_mcp.catalog.limits import did_you_mean, is_json
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.wires import are_in_the_way, steps
from keyframe_mcp.errors import Problem
from keyframe_mcp.task import Inputs

OPEN_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
"""What an option may be called that the catalogue does not know: no header, no place inside another option."""

DELIVERY = frozenset(
    {"async", "stream", "webhook", "webhook_url", "webhook_events_filter", "enable_sync_mode", "enable_base64_output"}
)
"""Options that change how the answer comes, and would break how it is read."""


@dataclass(frozen=True)
class Strangers:
    """What came of them. `passed` is by wire name."""

    problems: tuple[Problem, ...]
    passed: dict[str, Any]
    warnings: tuple[str, ...]


def of(model_id: str, model: Model, request: Inputs) -> Strangers:
    """Everything in a request that its model does not have."""
    given = {name: value for name, value in request.options.items() if value is not None}
    options = {name: value for name, value in given.items() if name not in model.options_for(request.mode)}
    refused = {
        name: reason for name, value in options.items() if (reason := refusal(model_id, model, request, name, value))
    }
    passed = [name for name in options if name not in refused]
    warning = f"passed on unchecked, because the catalogue does not know every option of {model_id}: "
    return Strangers(
        (*inputs(model_id, model, request), *(Problem(f"options.{name}", why) for name, why in refused.items())),
        {model.prefix + name: options[name] for name in passed},
        (warning + ", ".join(passed),) if passed else (),
    )


def inputs(model_id: str, model: Model, request: Inputs) -> Iterator[Problem]:
    """A problem for each of our words the model has no use for."""
    known = model.inputs_for(request.mode)
    for name, value in request.given().items():
        if name == "num_outputs" and name not in known:
            if value != 1:
                yield Problem(name, f"{model_id} makes one video at a time; start a task for each.")
        elif name not in known:
            yield Problem(name, no_such(model_id, name, known))


def refusal(model_id: str, model: Model, request: Inputs, name: str, value: object) -> str | None:
    """Why an option the catalogue does not know is not passed on. None: it is."""
    if (ours := our_name(model.inputs_for(request.mode), name)) is not None:
        return f"it has an argument of its own; pass it as {ours}, beside options."
    if not model.open_options:
        return no_such(model_id, name, model.options_for(request.mode))
    if name in DELIVERY:
        return "it changes how the answer comes, which this server decides."
    if not OPEN_NAME.fullmatch(name):
        return "it is not the name of an option: letters, digits and _."
    if is_taken(model, model.prefix + name):
        return no_such(model_id, name, model.options_for(request.mode))
    return None if is_json(value) else "it holds a value that JSON cannot carry."


def is_taken(model: Model, wire: str) -> bool:
    """Whether something else is sent under that name, or inside it, or by the dialect itself."""
    known = {model.wire(name, spec) for name, spec in model.specs()} | model.wire_names
    return wire in ANY_OWN_WORD or any(are_in_the_way(steps(wire), steps(each)) for each in known)


def our_name(specs: Mapping[str, Input], name: str) -> str | None:
    """Our word for an option that is an input, under our name or the provider's."""
    return next((ours for ours, spec in specs.items() if name in (ours, spec.wire)), None)


def no_such(model_id: str, name: str, known: Iterable[str]) -> str:
    """That a model has no such input, and which one may have been meant."""
    listed = sorted(known)
    return f"{model_id} has no such input; " + did_you_mean(name, listed, f"it takes {', '.join(listed) or 'none'}.")
