"""A task as its provider would be asked for it, for a person or an agent to read before anything is sent."""

from __future__ import annotations

from typing import Any

from keyframe_mcp.adapters.base import Adapter, Job, Outgoing
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.callbacks import NO_CALLBACKS, Callbacks
from keyframe_mcp.task import Picture, Task


def outgoing(task: Task, catalog: Catalog, adapter: Adapter, callbacks: Callbacks = NO_CALLBACKS) -> Outgoing | None:
    """The request, with words where pictures would be: they are uploaded only when it is made.

    So is the address to be called: it is made for one attempt of one task, and here has words in its place.
    """
    model = catalog.find(task.model).model
    wire = task.wire | {name: in_words(picture) for name, picture in task.pictures.items()}
    told: dict[str, Any] = {"wire": wire, "callback": callbacks.example(task.provider)}
    job = Job(task_id=task.id, attempt=0, model=model.remote, version=model.version, mode=task.mode, **told)
    return adapter.describe(job)


def in_words(picture: Picture) -> str:
    """A picture, where its bytes or its address would be."""
    return f"<{picture.mime_type}, {picture.width}x{picture.height}, {picture.size_bytes:,} bytes>"
