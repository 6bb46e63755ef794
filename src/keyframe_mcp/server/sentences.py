"""Tasks and pictures in words, for hosts and people that read no structure."""

from __future__ import annotations

from keyframe_mcp.media.orders import SheetFacts
from keyframe_mcp.task import Status, Task


def share(task: Task) -> float:
    """How much of a task is done, 0 to 1."""
    return 1.0 if task.status.is_settled else task.progress or 0.0


def heading(task: Task) -> str:
    """A task in a few words, for a progress line."""
    percent = f" {task.progress:.0%}" if task.progress is not None and not task.status.is_settled else ""
    return f"{task.mode} {task.model}: {task.native_status or task.status}{percent}"


def sentence(task: Task) -> str:
    """A task in a sentence, for hosts that show only text."""
    if task.status is Status.SUCCEEDED and task.outputs:
        output = task.outputs[0]
        if output.file is None:
            return f"Task {task.id} succeeded: {output.url} (not copied here)."
        length = "" if output.duration is None else f", {output.duration:g} s"
        return f"Task {task.id} succeeded: {output.file} ({output.width}x{output.height}{length})."
    became = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}.get(task.status, f"is {task.status}")
    if task.failure is not None:
        return f"Task {task.id} {became}: {task.failure.message}"
    return f"Task {task.id} {became}."


def caption(sheet: SheetFacts) -> str:
    """What the picture shows, for reading beside it."""
    video = sheet.video
    cells = ", ".join(f"{cell.cell}={cell.at:.2f}s" for cell in sheet.cells)
    facts = f"{video.width}x{video.height}, {video.duration:.2f} s, {video.fps:g} fps, {video.frames} frames"
    sound = "with sound" if video.has_audio else "no sound"
    about = f"Video: {facts}, {video.codec}, {sound}. Saved as {sheet.path}"
    return f"Contact sheet, left to right, top to bottom: {cells}. {about}"
