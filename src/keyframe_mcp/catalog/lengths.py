"""How long a video becomes where no input says so: formulas a model names, each from the model's own source."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

Said = Mapping[str, object]
"""Everything in effect, by our names: what is sent, and the documented defaults of the rest."""

MANY_FRAMES = 1200
MANY_STEPS = 10_000
"""Above either, half an hour may not be enough. Our own judgement: nobody publishes the time a frame takes."""


@dataclass(frozen=True)
class Length:
    """An estimate. `steps` are the denoising steps of all drawn frames together."""

    frames: int
    fps: float
    steps: float

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.frames / self.fps

    @property
    def note(self) -> str:
        """The estimate in words."""
        return f"estimate: about {self.frames} frames, {self.seconds:.4g} s at {self.fps:g} fps"

    @property
    def is_long(self) -> bool:
        """Whether making it may take longer than a provider lets a job run."""
        return self.frames > MANY_FRAMES or self.steps > MANY_STEPS


def interpolated_keyframes(said: Said) -> Length | None:
    """Frames drawn along a chain of prompts, with others put between (branch `animate` of cog-stable-diffusion).

    Every end prompt is a segment of `num_animation_frames`; ping-pong adds a segment back and one frame. FILM doubles
    the frames as often as it takes to reach `num_interpolation_steps`.
    """
    frames, between = whole(said, "num_animation_frames"), whole(said, "num_interpolation_steps")
    fps, steps = whole(said, "gif_frames_per_second"), whole(said, "num_inference_steps")
    if not (frames and between and fps and steps):
        return None
    there_and_back = said.get("gif_ping_pong") is True
    segments = str(said.get("prompt_end", "")).count("|") + 1 + there_and_back
    drawn = segments * frames + there_and_back
    if said.get("film_interpolation") is False:
        made = (drawn - 1) * between
    else:
        made = 2 ** max(math.ceil(math.log2(between)), 1) * (drawn - 1) + 1
    return Length(made, fps, drawn * steps)


def whole(said: Said, name: str) -> int | None:
    """A whole number above zero, or nothing."""
    value = said.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


LENGTHS: Mapping[str, Callable[[Said], Length | None]] = MappingProxyType(
    {"interpolated-keyframes": interpolated_keyframes}
)
