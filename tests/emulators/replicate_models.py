"""Models of the emulated Replicate: one community model, by version, and two official ones, by name.

The inputs of `andreasjansson/stable-diffusion-animation` are merged from the gateway's page, the version's own page and
the model's source (high confidence). The official models stand for their kind; any object will do for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulators.fields import Problem, Rule

ANIMATION = "andreasjansson/stable-diffusion-animation"
ANIMATION_VERSION = "ca1f5e306e5721e19c473e0d094e6603f0456fe759c10715fcd6c1b79242d4a5"
OFFICIAL = frozenset({"minimax/video-01", "wan-video/wan-2.2-i2v-fast"})
SIZES = (128, 256, 512, 768)

ANIMATION_INPUTS: Mapping[str, Rule] = {
    "prompt_start": Rule("string", required=True),
    "prompt_end": Rule("string", required=True),
    "width": Rule("integer", values=(*SIZES, 1024)),
    "height": Rule("integer", values=SIZES),
    "num_inference_steps": Rule("integer", least=1, most=500),
    "prompt_strength": Rule("number"),
    "num_animation_frames": Rule("integer", least=2, most=50),
    "num_interpolation_steps": Rule("integer", least=1, most=50),
    "guidance_scale": Rule("number", least=1, most=20),
    "gif_frames_per_second": Rule("integer", least=1, most=50),
    "gif_ping_pong": Rule("boolean"),
    "film_interpolation": Rule("boolean"),
    "intermediate_output": Rule("boolean"),
    "output_format": Rule("string", values=("gif", "mp4")),
    "seed": Rule("seed"),
}


def version_details(created_at: str) -> dict[str, Any]:
    """The answer about the version. Its output is a list that grows, which is how the SDK knows to iterate."""
    output = {"type": "array", "items": {"type": "string", "format": "uri"}, "x-cog-array-type": "iterator"}
    types = {"seed": "integer", "url": "string"}
    properties = {name: {"type": types.get(rule.kind, rule.kind)} for name, rule in ANIMATION_INPUTS.items()}
    required = [name for name, rule in ANIMATION_INPUTS.items() if rule.required]
    schemas = {"Input": {"type": "object", "properties": properties, "required": required}, "Output": output}
    schema = {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}, "components": {"schemas": schemas}}
    return {
        "id": ANIMATION_VERSION,
        "created_at": created_at,
        "cog_version": "0.6.0",
        "openapi_schema": schema,
    }


def frames(inputs: Mapping[str, Any]) -> tuple[int, int]:
    """How many keyframes there are between prompts, and how many frames are drawn for each."""
    segments = len(str(inputs.get("prompt_end", "")).split("|")) + bool(inputs.get("gif_ping_pong"))
    return segments, int(inputs.get("num_animation_frames", 10))


def frame_lines(inputs: Mapping[str, Any], share: float) -> list[str]:
    """The log of the model's own source, up to a share of the work."""
    segments, each = frames(inputs)
    done = round(segments * each * share)
    return [f"Generating frame {number % each} of keyframe {number // each}" for number in range(done)]


def bar_lines(share: float, of: int = 40) -> list[str]:
    """The progress bars that many other models print."""
    lines: list[str] = []
    for done in range(0, round(of * share) + 1, 10):
        percent = 100 * done // of
        filled = "█" * (percent // 10)
        lines.append(
            f"{percent:3d}%|{filled:<10}| {done}/{of} [00:{done // 5:02d}<00:{(of - done) // 5:02d},  4.86it/s]"
        )
    return lines


def invalid_field(problem: Problem) -> dict[str, str]:
    """A problem with an input, as the API lists it."""
    name, rule = problem.name, problem.rule
    if problem.kind == "missing":
        return {"type": "required", "field": "input", "description": f"{name} is required"}
    if problem.kind == "unknown":
        text = f"Additional property {name} is not allowed"
        return {"type": "additional_property_not_allowed", "field": "input", "description": text}
    choice = ", ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in rule.values)
    kind, text = {
        "type": ("invalid_type", f"Invalid type. Expected: {rule.kind}"),
        "empty": ("string_gte", "String length must be greater than or equal to 1"),
        "enum": ("enum", f"{name} must be one of the following: {choice}"),
        "least": ("number_gte", f"Must be greater than or equal to {rule.least}"),
        "most": ("number_lte", f"Must be less than or equal to {rule.most}"),
    }[problem.kind]
    return {"type": kind, "field": f"input.{name}", "description": text}
