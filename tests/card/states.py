"""Tasks in states that are hard to bring about on purpose, as the tools give them: `python tests/card/states.py`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from keyframe_mcp.server.views import TasksView, TaskView
from keyframe_mcp.task import Cost, Failure, Mode, Output, Status, Task

PLAYED = "https://replicate.delivery/pbxt/heron/output.mp4"
BLOCKED = "https://results.example.net/heron/output.mp4"
GERMAN = "Ein Graureiher erhebt sich im Morgennebel über dem Donaudampfschifffahrtsgesellschaftskapitänskajütenfenster"
CHINESE = (
    "清晨薄雾中一只苍鹭从芦苇荡里振翅起飞镜头缓缓跟随掠过水面远处的山峦在晨光中渐渐显现水珠从翅膀上滴落泛起一圈圈涟漪"
)


def task(number: int, status: Status, **more: Any) -> Task:
    """A task of a paid model, an age of two minutes, and what is special about it."""
    now = time.time()
    return Task.model_validate(
        {
            "id": f"kf_{'abcdefghijklmnopqrstuvwxyz'[number] * 26}",
            "owner": "me",
            "mode": Mode.FLF2V,
            "model": "wavespeed/wan-flf2v",
            "provider": "wavespeed",
            "request": {"prompt": "a heron takes off"},
            "wire": {},
            "request_hash": "0",
            "status": status,
            "created_at": now - 120,
            "updated_at": now - 20,
            "cost": Cost(estimated_usd=0.3, basis="$0.3 a video of 5 s"),
        }
        | more
    )


def output(url: str | None, **more: Any) -> Output:
    """A finished video."""
    size = {"width": 832, "height": 480, "duration": 5.0, "fps": 16.0, "size_bytes": 1_234_567}
    return Output.model_validate({"url": url, "mime_type": "video/mp4"} | size | more)


def failed() -> Task:
    """Refused by the provider."""
    why = "WaveSpeedAI could not make it: the content was flagged as sensitive"
    fix = "Change the prompt or the pictures; the same request will be refused again."
    failure = Failure(kind="content_refused", message=why, fix=fix, retryable=False)
    return task(1, Status.FAILED, failure=failure, warnings=("seed is not taken by this model; it was left out",))


def unknown() -> Task:
    """Sent, and never heard of again."""
    fix = (
        "Look for a job of wavespeed-ai/wan-flf2v, sent at 2026-11-20 12:00:00 UTC, at "
        "https://wavespeed.ai/predictions before paying again; if it is there: keyframe-mcp task kf_cc --attach JOB_ID"
    )
    failure = Failure(kind="submission_uncertain", message="The answer was lost", fix=fix, retryable=False)
    return task(2, Status.UNKNOWN, failure=failure)


def states() -> dict[str, dict[str, object]]:
    """Every state by its name."""
    reference = {"file": "/srv/videos/heron.mp4"}
    succeeded = {
        "played": task(3, Status.SUCCEEDED, outputs=(output(PLAYED, **reference),), seed=0),
        "blocked": task(4, Status.SUCCEEDED, outputs=(output(BLOCKED, **reference),)),
        "two": task(5, Status.SUCCEEDED, outputs=(output(PLAYED), output(BLOCKED))),
    }
    running = task(6, Status.RUNNING, native_status="processing")
    half = task(7, Status.RUNNING, progress=0.42)
    several = (half, running, task(0, Status.QUEUED), failed(), unknown(), succeeded["played"])
    single = {"failed": failed(), "unknown": unknown(), "running": running, "half": half, **succeeded}
    views = {name: TaskView.of(each).data() for name, each in single.items()}
    lines = [
        {"task_id": each.id, "about": words}
        for each, words in zip(several, (GERMAN, CHINESE, *["a heron takes off"] * 4), strict=True)
    ]
    whole = TasksView.of([TaskView.of(each) for each in several]).data()
    listed: dict[str, object] = {"tasks": lines}
    return views | {"several": whole, "list": listed}


if __name__ == "__main__":
    json.dump(states() | {"words": {"german": GERMAN, "chinese": CHINESE}}, sys.stdout)
