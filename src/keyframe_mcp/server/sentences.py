"""Tasks and pictures in words, for hosts and people that read no structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from keyframe_mcp.media.orders import Comparison, Fit, Likeness, SheetFacts
from keyframe_mcp.server.links import Place
from keyframe_mcp.task import Output, Status, Task

VERDICTS: Mapping[Likeness, str] = MappingProxyType(
    {
        "same": "the given picture, recompressed at most",
        "near": "nearly the given picture: slightly moved, enlarged, blurred or redrawn",
        "recoloured": "the given picture in other colours or brightness",
        "related": "only roughly the given picture: moved, reframed or redrawn",
        "other": "a different picture",
    }
)
FITS: Mapping[Fit, str] = MappingProxyType(
    {
        "scaled": "",
        "cropped": ", the given picture cropped to the video's shape",
        "stretched": ", the given picture stretched to the video's shape",
        "letterboxed": ", the given picture with bars around it",
    }
)


def share(task: Task) -> float:
    """How much of a task is done, 0 to 1."""
    return 1.0 if task.status.is_settled else min(task.progress or 0.0, 0.99)  # a file is still to come


def heading(task: Task, now: float) -> str:
    """A task in a few words, for a progress line. `now` is in seconds since the epoch."""
    if task.status.is_settled:
        return f"{task.mode} with {task.model}: {task.status}"
    percent = "" if task.progress is None else f" {task.progress:.0%}"
    doing = task.native_status or task.status
    return f"{task.mode} with {task.model}: {doing}{percent}, {spell(now - task.created_at)} so far"


def spell(seconds: float) -> str:
    """A length of time as people say it."""
    whole = max(round(seconds), 0)
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, noun: str) -> str:
    """How many there are."""
    return f"{number or 'No'} {noun}{'' if number == 1 else 's'}."


def sentence(task: Task, now: float | None = None) -> str:
    """A task in a sentence, for hosts that show only text. With `now`, in seconds since the epoch, for how long."""
    if task.status is Status.SUCCEEDED and task.outputs:
        first, *rest = task.outputs
        others = ", ".join(where(output) for output in rest if is_there(output))
        return f"Task {task.id} succeeded: {where(first)}.{f' Also: {others}.' if others else ''}"
    became = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}.get(task.status, f"is {task.status}")
    if now is not None and not task.status.is_settled:
        became += f", {spell(now - task.created_at)} so far"
    if task.failure is not None:
        return f"Task {task.id} {became}: {task.failure.message}"
    return f"Task {task.id} {became}."


def where(output: Output) -> str:
    """A result and where it is."""
    if output.file is None and output.reference is None:
        return f"{output.url} (not copied here)"
    length = "" if output.duration is None else f", {output.duration:g} s"
    return f"{output.file or output.url or output.reference} ({output.width}x{output.height}{length})"


def is_there(output: Output) -> bool:
    """Whether a result is not lost: it was kept, or left with the provider on purpose."""
    return output.file is not None or output.reference is not None or output.kept is False


def unstopped(task: Task) -> str | None:
    """What became of asking a provider to stop a job that it did not stop."""
    if task.stop_refusal is None or task.status is Status.CANCELLED:
        return None
    if task.status.is_final:
        return f"it was asked to stop, but {task.stop_refusal}"
    return f"{task.stop_refusal}; it runs on and may be billed"


def going_on(task: Task) -> str:
    """Why a task that was asked to stop is not over."""
    if task.status is Status.SAVING:
        return "It does not stop: it is made, and only still to be saved."
    refusal = None if task.cancel_requested else unstopped(task)
    return "It was asked to stop, and that is not answered yet." if refusal is None else f"It does not stop: {refusal}."


def caption(sheet: SheetFacts, place: Place) -> str:
    """What the picture shows, for reading beside it."""
    video = sheet.video
    cells = ", ".join(f"{cell.cell}={cell.at:.2f}s" for cell in sheet.cells)
    facts = f"{video.width}x{video.height}, {video.duration:.2f} s, {video.fps:g} fps, {video.frames} frames"
    sound = "with sound" if video.has_audio else "no sound"
    about = f"Video: {facts}, {video.codec}, {sound}."
    parts = [f"Contact sheet, left to right, top to bottom: {cells}.", *compared(sheet), about, saved(place)]
    return " ".join(filter(None, parts))


def compared(sheet: SheetFacts) -> Iterator[str]:
    """How close the delivered ends come to the pictures that were given for them."""
    if sheet.comparisons:
        yield "Below the frames, each given picture (blue label) beside the frame made for it:"
        yield "; ".join(map(verdict, sheet.comparisons)) + "."
    if sheet.remarks:
        yield f"Also: {'; '.join(sheet.remarks)}."


def verdict(found: Comparison) -> str:
    """One comparison, in words and figures."""
    psnr = "no difference" if found.psnr is None else f"PSNR {found.psnr:.1f} dB"
    fit = "" if found.likeness == "other" else FITS[found.fit]
    return f"the {found.end} frame is {VERDICTS[found.likeness]} (SSIM {found.ssim:.3f}, {psnr}{fit})"


def saved(place: Place) -> str:
    """Where the sheet is, for a host that shows no pictures."""
    if place.file is not None:
        return f"Saved as {place.file}: if you see no picture, give the user that path."
    return f"Saved at {place.url}: if you see no picture, give the user that link." if place.url else ""
