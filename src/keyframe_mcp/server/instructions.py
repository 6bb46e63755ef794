"""What a host is told about the whole server: words to find it by, the chain of calls, and the rules about money."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

WHAT = """\
Video generation with AI models: first-last-frame (flf2v, keyframe interpolation), image-to-video, text-to-video, \
prompt-to-prompt animation; WaveSpeed, SiliconFlow, Baicai, Replicate, or free local previews."""

MAKE = """\
It returns a task at once; a video takes seconds (local/...) to ten minutes. Leave `model` out for the best \
configured one."""

WAIT = """\
2. get_task with wait_seconds=30 until status is succeeded, failed, cancelled or unknown. Never start the same video \
again because an answer is slow or a call was lost: """

LOCAL = """\
Do what next_step says. Models under local/ draw previews on this machine; they are not AI video (generative: false) \
- say so to the user."""

FULL = f"""\
{WHAT} Typed results chain into longer films.

1. generate_flf2v, generate_i2v, generate_t2v or generate_animation. {MAKE} list_models with mode, duration, \
aspect_ratio, resolution and sort=price finds one. dry_run=true shows the exact request and its price, and spends \
nothing. fallback=true goes on to the next model if one refuses and surely charged nothing. strict=false drops inputs \
a model lacks.
{WAIT}ask list_tasks, or repeat it with the same idempotency_key.
3. view_video before you say it is good. Of a flf2v task it also tells how near the first and last frames are to the \
ones given.
4. Go on: generate_i2v image=task:<id> starts from the last frame; task:<id>#first and task:<id>@2.5 name others. \
regenerate makes a task again with overrides. join_videos puts clips together; extract_frame saves one frame.

{LOCAL}"""

CORE = f"""\
{WHAT}

1. generate_flf2v, generate_i2v or generate_t2v. {MAKE} list_models finds one, and every input it takes. \
dry_run=true shows the request and its price.
{WAIT}repeat it with the same idempotency_key.
3. view_video before you say it is good.
4. Go on: generate_i2v image=task:<id> starts from the last frame.

{LOCAL}"""

UPLOADS = """

A picture of the user's: POST its bytes to {url}, with the same authorization as here, and give the upload:<id> it \
answers as the image. A path means nothing to this server."""


def instructions(toolset: str, upload_url: str | None = None) -> str:
    """What a host is told; with where pictures go, for those who cannot name files."""
    return INSTRUCTIONS[toolset] + (UPLOADS.format(url=upload_url) if upload_url else "")


INSTRUCTIONS: Mapping[str, str] = MappingProxyType({"full": FULL, "core": CORE})
"""By toolset."""
