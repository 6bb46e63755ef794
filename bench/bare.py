"""What somebody would write with the SDK alone: one server, one `get_task`, answered from a dictionary.

`python bench/bare.py PORT like FILE` declares every field ours has and answers with the task in that JSON file;
`python bench/bare.py PORT tiny` answers with two fields. Beneath both is the uvicorn our server has. `seldom` at the
end has Python search for garbage as seldom as ours does.
"""

from __future__ import annotations

import gc
import json
import sys
from datetime import datetime
from pathlib import Path

import uvicorn
from mcp.server import MCPServer
from pydantic import BaseModel

server = MCPServer("bare", log_level="WARNING")
known = {}


class Video(BaseModel):
    """Where it is and what it is like."""

    url: str | None = None
    file: str | None = None
    reference: str | None = None
    mime_type: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    fps: float | None = None
    size_bytes: int | None = None
    expires_at: datetime | None = None
    kept: bool | None = None


class Price(BaseModel):
    """What it cost."""

    estimated_usd: float | None
    basis: str


class Trouble(BaseModel):
    """Why it failed."""

    kind: str
    message: str
    fix: str
    retryable: bool


class Task(BaseModel):
    """A task, with the fields that ours has."""

    task_id: str
    status: str
    mode: str | None = None
    model: str
    next_step: str
    poll_after_seconds: int
    progress: float | None = None
    outputs: list[Video] | None = None
    error: Trouble | None = None
    warnings: list[str] | None = None
    cost: Price | None = None
    generative: bool | None = None
    engine: str | None = None
    confidence: float | None = None
    native_status: str | None = None
    trace_id: str | None = None
    seed: int | None = None
    inference_seconds: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


async def get_task(task_id: str, wait_seconds: float = 0) -> Task:
    """Status, progress and video of a task."""
    del wait_seconds
    return known[task_id]


async def get_little(task_id: str, wait_seconds: float = 0) -> dict[str, str]:
    """Status of a task."""
    del wait_seconds
    return {"task_id": task_id, "status": "succeeded"}


def main(port, kind, file="", searching=""):
    """Serve until killed."""
    if searching == "seldom":
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)
    if kind == "like":
        task = Task.model_validate(json.loads(Path(file).read_text("utf-8")))
        known[task.task_id] = task
        server.add_tool(get_task)
    else:
        server.add_tool(get_little, name="get_task")
    uvicorn.run(
        server.streamable_http_app(), port=int(port), log_level="warning", access_log=False, server_header=False
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
