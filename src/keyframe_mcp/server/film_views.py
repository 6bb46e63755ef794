"""What an agent sees of frames and films it had made."""

from __future__ import annotations

from datetime import datetime

from pydantic.json_schema import SkipJsonSchema

from keyframe_mcp.media.orders import FrameFacts, JoinFacts
from keyframe_mcp.server.links import Place
from keyframe_mcp.server.views import View


class FrameView(View):
    """A frame, saved."""

    said = ("file", "at")
    file: str | None = None
    url: SkipJsonSchema[str | None] = None  # over a network; the tool list has no byte left to say so
    expires_at: SkipJsonSchema[datetime | None] = None
    reference: str
    width: int
    height: int
    at: float
    next_step: str

    @classmethod
    def of(cls, facts: FrameFacts, place: Place) -> FrameView:
        """Where a frame is and what it is good for."""
        name = f"output:{facts.path.name}"
        step = f"Use {name} as image, first_image or last_image of a generate tool."
        return cls(
            file=place.file,
            url=place.url,
            expires_at=place.expires_at,
            reference=name,
            width=facts.width,
            height=facts.height,
            at=facts.at,
            next_step=step,
        )


class JoinView(View):
    """A joined video."""

    said = ("file", "duration")
    file: str | None = None
    url: SkipJsonSchema[str | None] = None
    expires_at: SkipJsonSchema[datetime | None] = None
    reference: str
    method: str
    duration: float
    width: int
    height: int
    fps: float
    has_audio: bool
    size_bytes: int
    notes: list[str] | None = None
    next_step: str

    @classmethod
    def of(cls, facts: JoinFacts, place: Place) -> JoinView:
        """Where the film is."""
        video = facts.video
        return cls(
            file=place.file,
            url=place.url,
            expires_at=place.expires_at,
            reference=f"output:{facts.path.name}",
            method=facts.method,
            duration=round(video.duration, 3),
            width=video.width,
            height=video.height,
            fps=round(video.fps, 3),
            has_audio=video.has_audio,
            size_bytes=video.size_bytes,
            notes=list(facts.notes) or None,
            next_step=f"Look at it: view_video source=output:{facts.path.name}.",
        )
