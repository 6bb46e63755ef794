"""A task as its provider would be asked for it, for a person or an agent to read before anything is sent."""

from __future__ import annotations

from keyframe_mcp.adapters.base import Adapter, Job, Outgoing
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.task import Picture, Task


def outgoing(task: Task, catalog: Catalog, adapter: Adapter) -> Outgoing | None:
    """The request, with words where pictures would be: they are uploaded only when it is made."""
    model = catalog.find(task.model).model
    wire = task.wire | {name: in_words(picture) for name, picture in task.pictures.items()}
    job = Job(task_id=task.id, attempt=0, model=model.remote, version=model.version, mode=task.mode, wire=wire)
    return adapter.describe(job)


def in_words(picture: Picture) -> str:
    """A picture, where its bytes or its address would be."""
    return f"<{picture.mime_type}, {picture.width}x{picture.height}, {picture.size_bytes:,} bytes>"
