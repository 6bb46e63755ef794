"""Baicai Infer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters import Example
from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call
from keyframe_mcp.task import Mode, Status

TASK = "3524e0b3ba014b12ab1faf29f9f00001"
RESULT = f"/v1/comfyui/tasks/{TASK}/result"


def envelope(data: Any, code: int = 0, message: str = "ok") -> dict[str, Any]:
    return {"code": code, "message": message, "data": data, "ts": "2026-02-02T10:44:54.716004004+08:00[Asia/Shanghai]"}


DONE = Report(status=Status.SUCCEEDED, native_status="COMPLETED", outputs=("https://cdn/x.mp4",))
UNSAID = replace(DONE, native_status=None)

EXAMPLE = Example(
    source="the provider's first-last-frame page; status, result and upload from one public client; not exercised live",
    job=Job(
        task_id="kf_1",
        attempt=1,
        model="Viduq2-pro-FLF2V-fast",
        mode=Mode.FLF2V,
        wire={
            "task_type": "flf2video",
            "input.image": "https://a/1.png",
            "input.last_image": "https://a/2.png",
            "input.prompt": "a dog gets up",
            "input.resolution": "1080p",
            "input.duration": 5,
        },
    ),
    submit=Call(
        method="POST",
        path="/v1/videos/generations",
        json={
            "selected_model": "Viduq2-pro-FLF2V-fast",
            "task_type": "flf2video",
            "input": {
                "image": "https://a/1.png",
                "last_image": "https://a/2.png",
                "prompt": "a dog gets up",
                "resolution": "1080p",
                "duration": 5,
            },
        },
    ),
    submit_reply=envelope({"taskId": TASK}),
    accepted=Accepted(remote_id=TASK),
    check=Call(method="GET", path=f"/v1/comfyui/tasks/{TASK}/status"),
    reports=[
        (envelope([{"status": "PENDING"}]), Report(status=Status.RUNNING, native_status="PENDING")),
        (
            envelope([{"status": "RUNNING", "progress": "45%"}]),
            Report(status=Status.RUNNING, native_status="RUNNING", progress=0.45),
        ),
        (
            envelope({"status": "running", "progress": "0.5"}),
            Report(status=Status.RUNNING, native_status="running", progress=0.5),
        ),
        (envelope([{"status": "COMPLETED"}]), DONE),
        (envelope({"urls": ["https://cdn/x.mp4"]}), UNSAID),
        (envelope([{"result": {"urls": ["https://cdn/x.mp4"]}}]), UNSAID),
        (envelope([{"urls": ["https://cdn/x.mp4"]}]), UNSAID),
        (envelope({"urls": []}), Report(status=Status.RUNNING)),
        (envelope([]), Report(status=Status.RUNNING)),
        (envelope([{"status": "CANCELED"}]), Report(status=Status.CANCELLED, native_status="CANCELED")),
    ],
    failures=[
        (envelope([{"status": "FAILED", "message": "no GPU"}]), "generation_failed", "no GPU"),
        (envelope([{"status": "FAILED"}]), "generation_failed", "gives no reason"),
        (
            envelope([{"status": "ERROR", "message": "The content contains inappropriate information"}]),
            "content_rejected",
            "inappropriate",
        ),
    ],
    refusals=[
        (200, envelope(None, 400, "duration must be 5, 6 or 8"), "provider_refused", "duration must be"),
        (200, envelope(None, 401, "bad key"), "credential_refused", "BAICAI_API_KEY"),
        (200, envelope(None, 10234, "something"), "provider_refused", "code 10234"),
        (
            400,
            {"message": "The content contains inappropriate information and does not pass the review."},
            "content_rejected",
            "does not pass the review",
        ),
        (401, {"message": "unauthorized"}, "credential_refused", "unauthorized"),
    ],
    busy=(429, envelope(None, 429, "too many")),
    unknown_state=envelope([{"status": "PONDERING"}]),
    upload=(
        Call(method="POST", path="/v1/resources/upload"),
        envelope({"fullPath": "https://cdn/up.png"}),
        "https://cdn/up.png",
    ),
    probe=(
        Call(method="GET", path="/v1/comfyui/tasks/keyframe-mcp-doctor/status"),
        envelope(None, 400, "no such task"),
    ),
    asks_again={RESULT: envelope({"urls": ["https://cdn/x.mp4"]})},
)
