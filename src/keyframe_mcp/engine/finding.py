"""Finding a caller's task by the id that was given, or saying which one may have been meant."""

from __future__ import annotations

from difflib import get_close_matches

from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.errors import UnknownTask
from keyframe_mcp.store import Store
from keyframe_mcp.task import Task

AMONG = 100
LONGEST_ID = 80  # comparing takes time with the square of it, and nobody's slip of the pen is longer
PREFIXES = ("keyframe://tasks/", "task:")


def bare_id(text: str) -> str:
    """A task id, however it was written: `task:kf_...` and `keyframe://tasks/kf_...` name the same task."""
    plain = text.strip()
    return next((plain.removeprefix(each) for each in PREFIXES if plain.startswith(each)), plain)


async def find_task(store: Store, text: str, caller: Caller) -> Task:
    """The caller's task with that id. Raises `UnknownTask`, which names near ids of this caller's and no other's."""
    task_id = bare_id(text)
    try:
        return await store.get(task_id, caller.owner)
    except UnknownTask as error:
        raise UnknownTask(f"{error}; {await hint(store, task_id, caller)}") from None


async def hint(store: Store, task_id: str, caller: Caller) -> str:
    """What may have been meant."""
    recent = {task.id: task for task in await store.recent(caller.owner, limit=AMONG)}
    if not recent:
        return "there are none yet"
    near = get_close_matches(task_id.lower()[:LONGEST_ID], recent, n=1, cutoff=0.75)
    if near:
        return f"did you mean {about(recent[near[0]])}?"
    return f"the newest is {about(next(iter(recent.values())))}"


def about(task: Task) -> str:
    """A task in a few words."""
    return f"{task.id} ({task.mode} with {task.model}, {task.status})"
