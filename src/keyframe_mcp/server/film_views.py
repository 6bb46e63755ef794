"""What an agent sees of frames and films it had made."""

from __future__ import annotations

from keyframe_mcp.media.orders import FrameFacts, JoinFacts
from keyframe_mcp.server.views import View


class FrameView(View):
    """A frame, saved."""

    said = ("file", "at")
    file: str
    reference: str
    width: int
    height: int
    at: float
    next_step: str

    @classmethod
    def of(cls, facts: FrameFacts) -> FrameView:
        """Where a frame is and what it is good for."""
        name = f"output:{facts.path.name}"
        step = f"Use {name} as image, first_image or last_image of a generate tool."
        return cls(
            file=str(facts.path), reference=name, width=facts.width, height=facts.height, at=facts.at, next_step=step
        )


class JoinView(View):
    """A joined video."""

    said = ("file", "duration")
    file: str
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
    def of(cls, facts: JoinFacts) -> JoinView:
        """Where the film is."""
        video = facts.video
        return cls(
            file=str(facts.path),
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
