"""WaveSpeedAI."""

from __future__ import annotations

from typing import Any

from adapters import Example
from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call
from keyframe_mcp.task import Mode, Status

ID = "e6832d4abffb4d79bfbca19783fca133"


def prediction(status: str, **more: Any) -> dict[str, Any]:
    data = {"id": ID, "model": "wavespeed-ai/wan-flf2v", "status": status, "outputs": [], "has_nsfw_contents": []}
    data |= {"created_at": "2026-04-01T09:00:00.948268264Z", "error": "", "timings": {"inference": 0}}
    return {"code": 200, "message": "success", "data": data | more}


EXAMPLE = Example(
    source="wavespeed.ai/docs/docs-api/wavespeed-ai/wan-flf2v and the official Python client 2.0.5; not exercised live",
    job=Job(
        task_id="kf_1",
        attempt=1,
        model="wavespeed-ai/wan-flf2v",
        mode=Mode.FLF2V,
        wire={"first_image": "https://a/1.png", "last_image": "https://a/2.png", "duration": 5, "size": "832*480"},
    ),
    submit=Call(
        method="POST",
        path="/api/v3/wavespeed-ai/wan-flf2v",
        json={"first_image": "https://a/1.png", "last_image": "https://a/2.png", "duration": 5, "size": "832*480"},
    ),
    submit_reply=prediction("created"),
    accepted=Accepted(remote_id=ID, native_status="created"),
    check=Call(method="GET", path=f"/api/v3/predictions/{ID}/result"),
    reports=[
        (prediction("created"), Report(status=Status.RUNNING, native_status="created")),
        (prediction("pending"), Report(status=Status.RUNNING, native_status="pending")),
        (prediction("processing"), Report(status=Status.RUNNING, native_status="processing")),
        (
            prediction("completed", outputs=["https://cdn/x.mp4"], timings={"inference": 61234}),
            Report(
                status=Status.SUCCEEDED,
                native_status="completed",
                outputs=("https://cdn/x.mp4",),
                inference_seconds=61.234,
            ),
        ),
        (
            prediction("completed", outputs=[{"url": "https://cdn/x.mp4"}], has_nsfw_contents=[True]),
            Report(
                status=Status.SUCCEEDED,
                native_status="completed",
                outputs=("https://cdn/x.mp4",),
                warnings=("WaveSpeedAI flagged output 1 as not safe for work",),
            ),
        ),
        (prediction("cancelled"), Report(status=Status.CANCELLED, native_status="cancelled")),
        (prediction("deleted"), Report(status=Status.CANCELLED, native_status="deleted")),
    ],
    failures=[
        (prediction("failed", code=1200, error="blocked"), "content_rejected", "content moderation"),
        (prediction("failed", code=1402, error="could not fetch"), "provider_refused", "could not fetch"),
        (prediction("failed", code=1403, error="broke"), "generation_failed", "1403"),
        (prediction("failed", code=5004, error="slow"), "generation_failed", "took too long"),
        (prediction("failed", code=9999, error="new"), "generation_failed", "not documented"),
        (prediction("timeout", error=""), "generation_failed", "gives no reason"),
        (prediction("failed", error="NSFW content detected"), "content_rejected", "NSFW"),
        (prediction("completed", outputs=[], has_nsfw_contents=[True]), "content_rejected", "not safe for work"),
        (prediction("completed", outputs=None), "unexpected_reply", "names no file"),
    ],
    refusals=[
        (400, {"code": 400, "message": "size is invalid"}, "provider_refused", "size is invalid"),
        (200, {"code": 400, "message": "size is invalid", "data": None}, "provider_refused", "size is invalid"),
        (401, {"code": 401, "message": "unauthorized"}, "credential_refused", "WAVESPEED_API_KEY"),
        (403, {"message": "this key may not do that"}, "credential_refused", "may not do that"),
        (402, {"message": "pay"}, "payment_needed", "pay"),
        (400, {"message": "Insufficient credits, please top up"}, "payment_needed", "top up"),
        (404, {"message": "model not found"}, "provider_refused", "model not found"),
        (400, {"error": "bad", "error_code": "x"}, "provider_refused", "bad"),
    ],
    busy=(429, {"code": 429, "message": "too many requests"}),
    unknown_state=prediction("dreaming"),
    upload=(
        Call(method="POST", path="/api/v3/media/upload/binary"),
        {"code": 200, "message": "success", "data": {"type": "image", "download_url": "https://cdn/up.png"}},
        "https://cdn/up.png",
    ),
    quote=(
        Call(
            method="POST",
            path="/api/v3/model/price",
            json={
                "model_id": "wavespeed-ai/wan-flf2v",
                "inputs": {
                    "first_image": "https://a/1.png",
                    "last_image": "https://a/2.png",
                    "duration": 5,
                    "size": "832*480",
                },
            },
        ),
        {"code": 200, "data": {"model_id": "wavespeed-ai/wan-flf2v", "price": 0.3, "discounted_price": 0.27}},
        0.27,
    ),
    recent=(
        Call(method="POST", path="/api/v3/predictions", json={"page": 1, "page_size": 100}),
        {"code": 200, "data": {"items": [prediction("created")["data"]], "total": 1}},
        ID,
    ),
    probe=(Call(method="GET", path="/api/v3/balance"), {"code": 200, "data": {"balance": 12.5}}),
)
