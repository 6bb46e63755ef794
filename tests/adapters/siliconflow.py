"""SiliconFlow."""

from __future__ import annotations

from adapters import Example
from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call
from keyframe_mcp.task import Mode, Status

WIRE = {
    "prompt": "a boat leaves harbour",
    "image_size": "1280x720",
    "image": "data:image/png;base64,iVBORw==",
    "seed": 7,
}

EXAMPLE = Example(
    source="docs.siliconflow.cn, video submit, video status and error codes; not exercised live",
    job=Job(task_id="kf_1", attempt=1, model="Wan-AI/Wan2.2-I2V-A14B", mode=Mode.I2V, wire=WIRE),
    submit=Call(method="POST", path="/v1/video/submit", json={"model": "Wan-AI/Wan2.2-I2V-A14B", **WIRE}),
    submit_reply={"requestId": "8f1c"},
    accepted=Accepted(remote_id="8f1c"),
    check=Call(method="POST", path="/v1/video/status", json={"requestId": "8f1c"}),
    reports=[
        (
            {"status": "InQueue", "reason": "", "results": None},
            Report(status=Status.RUNNING, native_status="InQueue"),
        ),
        (
            {"status": "InQueue", "position": 3},
            Report(status=Status.RUNNING, native_status="InQueue (position 3)"),
        ),
        ({"status": "InProgress"}, Report(status=Status.RUNNING, native_status="InProgress")),
        (
            {
                "status": "Succeed",
                "reason": "",
                "results": {"videos": [{"url": "https://cdn/x.mp4"}], "timings": {"inference": 142.3}, "seed": 7},
            },
            Report(
                status=Status.SUCCEEDED,
                native_status="Succeed",
                outputs=("https://cdn/x.mp4",),
                seed=7,
                inference_seconds=142.3,
            ),
        ),
    ],
    failures=[
        ({"status": "Failed", "reason": "out of memory", "results": None}, "generation_failed", "out of memory"),
        ({"status": "Failed", "reason": "content moderation"}, "content_rejected", "moderation"),
        ({"status": "Succeed", "results": None}, "unexpected_reply", "names no file"),
        ({"status": "Succeed", "results": {"videos": []}}, "unexpected_reply", "names no file"),
    ],
    refusals=[
        (400, {"code": 20012, "message": "Model does not exist.", "data": None}, "provider_refused", "does not exist"),
        (401, "Invalid token", "credential_refused", "KEYFRAME_SILICONFLOW_BASE_URL"),
        (403, "Forbidden", "credential_refused", "Forbidden"),
        (403, {"message": "Sorry, your account balance is insufficient"}, "payment_needed", "balance"),
        (404, "404 page not found", "provider_refused", "page not found"),
    ],
    busy=(503, {"code": 50505, "message": "Model service overloaded. Please try again later.", "data": "x"}),
    unknown_state={"status": "Daydreaming"},
    probe=(Call(method="POST", path="/v1/video/status", json={"requestId": "keyframe-mcp-doctor"}), {"status": "x"}),
)
