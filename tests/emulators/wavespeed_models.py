"""Models of the emulated WaveSpeed: the two whose pages we have, strictly; others as the catalogue might list them.

The rules of `wavespeed-ai/framepack` and `wavespeed-ai/wan-flf2v` are those pages' parameter tables (high confidence).
The other entries have the parameter names that documentation and the official ComfyUI nodes show (medium to high); the
emulator takes any JSON object for them. Prices are the pages' or made up, and move with duration as pages say they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulators.fields import Rule

LARGEST_SEED = 2147483647
SWITCHES: Mapping[str, Rule] = {"enable_sync_mode": Rule("boolean"), "enable_base64_output": Rule("boolean")}
"""API-only, and accepted by every model."""

PAGES: Mapping[str, Mapping[str, Rule]] = {
    "wavespeed-ai/framepack": {
        "image": Rule("url", required=True),
        "prompt": Rule("string", required=True),
        "negative_prompt": Rule("string"),
        "aspect_ratio": Rule("string", values=("16:9", "9:16")),
        "resolution": Rule("string", values=("720p", "480p")),
        "seed": Rule("integer", least=-1, most=LARGEST_SEED),
        "num_inference_steps": Rule("integer", least=4, most=50),
        "num_frames": Rule("integer", least=30, most=1800),
        "guidance_scale": Rule("number", least=0, most=32),
        **SWITCHES,
    },
    "wavespeed-ai/wan-flf2v": {
        "first_image": Rule("url", required=True),
        "last_image": Rule("url", required=True),
        "prompt": Rule("string"),
        "negative_prompt": Rule("string"),
        "duration": Rule("integer", least=5, most=10),
        "size": Rule("string", values=("832*480", "480*832", "1280*720", "720*1280")),
        "num_inference_steps": Rule("integer", least=1, most=40),
        "guidance_scale": Rule("number", least=0, most=20),
        "seed": Rule("integer", least=-1, most=LARGEST_SEED),
        **SWITCHES,
    },
}

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "wavespeed-ai/framepack": {
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "num_inference_steps": 25,
        "num_frames": 180,
        "guidance_scale": 10,
    },
    "wavespeed-ai/wan-flf2v": {
        "duration": 5,
        "size": "832*480",
        "num_inference_steps": 30,
        "guidance_scale": 5,
        "seed": -1,
    },
}


def price(model: str, inputs: Mapping[str, Any], base_price: float) -> float:
    """What a job costs, in US dollars. What is not given counts as its default, as the real quote does."""
    if model == "wavespeed-ai/framepack":
        frames = inputs.get("num_frames", 180)
        return round(0.0011 * frames / (1.5 if inputs.get("resolution") == "480p" else 1), 4)
    if model == "wavespeed-ai/wan-flf2v":
        is_small = inputs.get("size", "832*480") in ("832*480", "480*832")
        is_short = inputs.get("duration", 5) <= 5
        return {(True, True): 0.3, (True, False): 0.45, (False, True): 0.4, (False, False): 0.6}[is_small, is_short]
    return round(base_price * inputs.get("duration", 5) / 5, 4)


def whole(text: str, **limits: object) -> dict[str, object]:
    """The schema of an integer."""
    return {"type": "integer", "description": text, **limits}


def words(text: str, **limits: object) -> dict[str, object]:
    """The schema of a string."""
    return {"type": "string", "description": text, **limits}


SEED = {"seed": whole("The random seed. -1 means a random seed.", default=-1, minimum=-1, maximum=LARGEST_SEED)}
PROMPT = {"prompt": words("The positive prompt for the generation.")}
PROMPTS = {**PROMPT, "negative_prompt": words("The negative prompt for the generation.")}
IMAGE = {"image": words("The image for generating the output.")}
LAST_IMAGE = {"last_image": words("The image of the last frame.")}
DURATION = "The duration of the generated media in seconds."


def seconds(*values: int) -> dict[str, dict[str, object]]:
    """A choice of durations."""
    return {"duration": whole(DURATION, default=values[0], enum=list(values))}


Listed = tuple[str, float, list[str], dict[str, Any]]
"""Of a model in the catalogue: kind, base price, required inputs, properties."""

CATALOGUE: Mapping[str, Listed] = {
    "wavespeed-ai/wan-2.2/i2v-480p-ultra-fast": (
        "image-to-video",
        0.05,
        ["image", "prompt"],
        {**IMAGE, **PROMPTS, **LAST_IMAGE, **seconds(5, 8), **SEED},
    ),
    "wavespeed-ai/wan-2.1/i2v-720p": (
        "image-to-video",
        0.3,
        ["image", "prompt"],
        {
            **IMAGE,
            **PROMPTS,
            "size": words("Size.", default="1280*720", enum=["1280*720", "720*1280"]),
            "duration": whole(DURATION, default=5, minimum=5, maximum=10, step=5),
            "loras": {"type": "array", "items": {"type": "object"}, "maxItems": 3, "default": []},
            **SEED,
        },
    ),
    "wavespeed-ai/wan-2.1/t2v-720p": (
        "text-to-video",
        0.3,
        ["prompt"],
        {
            **PROMPTS,
            "size": words("Size.", default="1280*720", enum=["1280*720", "720*1280"]),
            "duration": whole(DURATION, default=5, minimum=5, maximum=10, step=5),
            **SEED,
        },
    ),
    "vidu/start-end-to-video-2.0": (
        "image-to-video",
        0.2,
        ["images", "prompt"],
        {
            **PROMPT,
            "images": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            **seconds(4, 8),
            **SEED,
        },
    ),
    "vidu/q3/start-end-to-video": (
        "image-to-video",
        0.25,
        ["image", "last_image"],
        {
            **IMAGE,
            **LAST_IMAGE,
            **PROMPT,
            "duration": whole(DURATION, default=5, minimum=1, maximum=16),
            "resolution": words("Resolution.", default="720p", enum=["540p", "720p", "1080p"]),
        },
    ),
    "kwaivgi/kling-v1.6-i2v-pro": (
        "image-to-video",
        0.5,
        ["image", "prompt"],
        {
            **IMAGE,
            "end_image": words("The image of the last frame."),
            **PROMPTS,
            **seconds(5, 10),
            "guidance_scale": {"type": "number", "default": 0.5, "minimum": 0, "maximum": 1},
        },
    ),
    "minimax/hailuo-02/standard": (
        "image-to-video",
        0.27,
        ["prompt"],
        {
            **PROMPT,
            **IMAGE,
            "end_image": words("The image of the last frame."),
            **seconds(6, 10),
            "enable_prompt_expansion": {"type": "boolean", "default": True},
        },
    ),
    "bytedance/seedance-v1-pro-i2v-720p": (
        "image-to-video",
        0.3,
        ["image", "prompt"],
        {**IMAGE, **LAST_IMAGE, **PROMPT, **seconds(5, 10), "camera_fixed": {"type": "boolean"}, **SEED},
    ),
    "google/veo3.1-lite/start-end-to-video": (
        "image-to-video",
        0.8,
        ["image", "last_image", "prompt"],
        {**IMAGE, **LAST_IMAGE, **PROMPTS, "resolution": words("", default="720p", enum=["720p", "1080p"])},
    ),
    "wavespeed-ai/flux-dev": (
        "text-to-image",
        0.012,
        ["prompt"],
        {**PROMPT, "size": words("Size.", default="1024*1024"), **SEED},
    ),
    "wavespeed-ai/mmaudio-v2": (
        "video-to-audio",
        0.01,
        ["video"],
        {"video": words("The video to generate the audio for."), **PROMPT, **SEED},
    ),
}

WITHOUT_A_SCHEMA: Mapping[str, Any] = {
    "model_id": "wavespeed-ai/experimental/video-lab",
    "name": "wavespeed-ai/experimental/video-lab",
    "base_price": 0.1,
    "description": "",
    "type": "image-to-video",
    "api_schema": {"api_schemas": []},
}

UNLISTED = frozenset(
    {
        "wavespeed-ai/wan-2.2/i2v-480p-lora-ultra-fast",
        "wavespeed-ai/wan-2.1-14b-vace",
        "kwaivgi/kling-v3.0-4k/image-to-video",
        "bytedance/seedance-v1-pro-i2v-480p",
        "bytedance/seedance-v1-pro-i2v-1080p",
        "bytedance/seedance-2.0/image-to-video",
        "bytedance/seedance-2.0/text-to-video",
        WITHOUT_A_SCHEMA["model_id"],
    }
)
"""Models that run although the catalogue does not list them, or not with a schema."""


def seed_schema(model: str) -> Listed:
    """A model whose page we have, as the catalogue lists it."""
    properties: dict[str, Any] = {}
    for name, rule in PAGES[model].items():
        if name in SWITCHES:
            continue
        schema: dict[str, Any] = {"type": "string" if rule.kind == "url" else rule.kind, "description": ""}
        schema |= {"enum": list(rule.values)} if rule.values else {}
        schema |= {"minimum": rule.least, "maximum": rule.most} if rule.most is not None else {}
        schema |= {"default": DEFAULTS[model][name]} if name in DEFAULTS[model] else {}
        properties[name] = schema
    required = [name for name, rule in PAGES[model].items() if rule.required]
    return "image-to-video", price(model, {}, 0), required, properties


def listed(server: str) -> list[dict[str, Any]]:
    """The answer of `GET /api/v3/models`: as its documentation page shows it, plus what the official clients read."""
    entries = {model: seed_schema(model) for model in PAGES} | dict(CATALOGUE)
    models = [entry(server, number, model, entries[model]) for number, model in enumerate(entries)]
    return [*models, {**WITHOUT_A_SCHEMA, "sort_order": len(models)}]


NEWCOMER = "emulated/paper-boat/image-to-video"
"""A model that no catalogue has: what somebody finds who asks the list for news."""


def newcomer(server: str) -> dict[str, Any]:
    """That model, as the list shows it."""
    properties = {
        **IMAGE,
        **LAST_IMAGE,
        **PROMPTS,
        **seconds(5, 8),
        "resolution": words("Resolution.", default="720p", enum=["480p", "720p"]),
        **SEED,
    }
    return entry(server, 1000, NEWCOMER, ("image-to-video", 0.1, ["image", "prompt"], properties))


def entry(server: str, number: int, model: str, about: Listed) -> dict[str, Any]:
    """One model of the catalogue."""
    kind, base_price, required, properties = about
    request = {
        "type": "object",
        "properties": properties,
        "required": required,
        "x-order-properties": list(properties),
    }
    api = {"type": "model_run", "method": "POST", "server": server, "api_path": f"/api/v3/{model}"}
    return {
        "model_id": model,
        "name": model,
        "base_price": base_price,
        "description": f"{model} makes media.",
        "type": kind,
        "sort_order": number,
        "formula": str(base_price),
        "api_schema": {"api_schemas": [{**api, "request_schema": request}]},
    }
