"""Replicate."""

from __future__ import annotations

from typing import Any

from adapters import Example
from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call
from keyframe_mcp.task import Mode, Status

MODEL = "andreasjansson/stable-diffusion-animation"
VERSION = "ca1f5e306e5721e19c473e0d094e6603f0456fe759c10715fcd6c1b79242d4a5"
INPUT = {"prompt_start": "a seed", "prompt_end": "a tree | a forest", "num_animation_frames": 10}


def prediction(status: str, **more: Any) -> dict[str, Any]:
    body = {"id": "8qnr2j4kyn", "model": MODEL, "version": VERSION, "status": status, "input": INPUT, "output": None}
    body |= {"logs": "", "error": None, "data_removed": False, "created_at": "2026-04-01T09:00:00.000Z"}
    # Another company's host: never to be followed.
    body |= {"urls": {"get": "https://elsewhere.test/get", "cancel": "https://elsewhere.test/cancel"}}
    return body | more


def example(prefix: str, key: str, *, is_gateway: bool) -> Example:
    """Replicate itself and a gateway differ in where they are and in what they can do."""
    recent = Call(method="GET", path=f"{prefix}/predictions")
    return Example(
        source="Replicate's API reference and official Python client 1.0.7; not exercised live",
        job=Job(task_id="kf_1", attempt=1, model=MODEL, version=VERSION, mode=Mode.ANIMATION, wire=INPUT),
        submit=Call(
            method="POST", path=f"{prefix}/predictions", json={"version": f"{MODEL}:{VERSION}", "input": INPUT}
        ),
        submit_reply=prediction("starting"),
        accepted=Accepted(remote_id="8qnr2j4kyn", native_status="starting"),
        check=Call(method="GET", path=f"{prefix}/predictions/8qnr2j4kyn"),
        reports=[
            (prediction("starting"), Report(status=Status.RUNNING, native_status="starting")),
            (
                prediction("processing", logs="Using seed: 51234\nGenerating frame 5 of keyframe 1\n"),
                Report(status=Status.RUNNING, native_status="processing", progress=0.75, seed=51234),
            ),
            (
                prediction("processing", logs=" 10%|#         | 1/10\n 40%|####      | 4/10 [00:01<00:02]\n"),
                Report(status=Status.RUNNING, native_status="processing", progress=0.4),
            ),
            (
                prediction("processing", output=["https://replicate.delivery/x/preview.png"]),
                Report(status=Status.RUNNING, native_status="processing"),
            ),
            (
                prediction(
                    "succeeded",
                    output=["https://replicate.delivery/x/0.png", "https://replicate.delivery/x/out.mp4"],
                    logs="Using seed: 51234\n",
                    metrics={"predict_time": 87.4, "total_time": 95.0},
                ),
                Report(
                    status=Status.SUCCEEDED,
                    native_status="succeeded",
                    outputs=("https://replicate.delivery/x/0.png", "https://replicate.delivery/x/out.mp4"),
                    seed=51234,
                    inference_seconds=87.4,
                ),
            ),
            (
                prediction("succeeded", output="https://replicate.delivery/x/out.mp4"),
                Report(
                    status=Status.SUCCEEDED,
                    native_status="succeeded",
                    outputs=("https://replicate.delivery/x/out.mp4",),
                ),
            ),
            (
                prediction("succeeded", output={"video": "https://replicate.delivery/x/out.mp4", "frames": 73}),
                Report(
                    status=Status.SUCCEEDED,
                    native_status="succeeded",
                    outputs=("https://replicate.delivery/x/out.mp4",),
                ),
            ),
            (prediction("canceled"), Report(status=Status.CANCELLED, native_status="canceled")),
            (prediction("aborted"), Report(status=Status.CANCELLED, native_status="aborted")),
        ],
        failures=[
            (prediction("failed", error="CUDA out of memory"), "generation_failed", "out of memory"),
            (prediction("failed", error="NSFW content detected"), "content_rejected", "NSFW"),
            (prediction("succeeded", output=None, data_removed=True), "result_gone", "data_removed"),
            (prediction("succeeded", output=[]), "unexpected_reply", "names no file"),
        ],
        refusals=[
            (
                422,
                {"title": "Input validation failed", "detail": "- input.width: must be one of", "status": 422},
                "provider_refused",
                "input.width",
            ),
            (401, {"title": "Unauthenticated", "detail": "Invalid token", "status": 401}, "credential_refused", key),
            (402, {"title": "Insufficient credit", "detail": "Go to billing"}, "payment_needed", "billing"),
            (400, {"error": {"message": "no such channel", "type": "new_api_error"}}, "provider_refused", "channel"),
            (503, {"error": {"code": "model_not_found", "message": "no channel"}}, "provider_refused", "no channel"),
            (403, {"error": {"code": "insufficient_user_quota", "message": "empty"}}, "payment_needed", "empty"),
            (404, {"detail": "version does not exist"}, "provider_refused", "does not exist"),
        ],
        busy=(429, {"detail": "Request was throttled. Your rate limit resets in ~30s."}),
        unknown_state=prediction("meditating"),
        cancel=None if is_gateway else Call(method="POST", path=f"{prefix}/predictions/8qnr2j4kyn/cancel"),
        upload=None
        if is_gateway
        else (
            Call(method="POST", path=f"{prefix}/files"),
            {"id": "f1", "urls": {"get": "https://api.replicate.com/v1/files/f1"}},
            "https://api.replicate.com/v1/files/f1",
        ),
        recent=None if is_gateway else (recent, {"next": None, "results": [prediction("starting")]}, "8qnr2j4kyn"),
        probe=(Call(method="GET", path=f"{prefix}/predictions/keyframe-mcp-doctor"), {"detail": "not found"})
        if is_gateway
        else (recent, {"results": []}),
    )


EXAMPLE = example("/v1", "REPLICATE_API_TOKEN", is_gateway=False)
