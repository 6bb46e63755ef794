"""Every tool, with what it takes, what it gives, and what the agent is told."""

from __future__ import annotations

from collections.abc import Sequence

from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations

from keyframe_mcp.server import arguments as take
from keyframe_mcp.server import film_views as film
from keyframe_mcp.server import views as give
from keyframe_mcp.server.model_views import ModelsView
from keyframe_mcp.server.strict import strict_tool
from keyframe_mcp.server.tools import Tools

# Only what differs from the protocol's defaults (writes, destroys, not idempotent, open world): these are sent too.
MAKES = ToolAnnotations(destructive_hint=False)
ASKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(destructive_hint=False, idempotent_hint=True)
STOPS = ToolAnnotations(idempotent_hint=True)


def build_tools(tools: Tools) -> Sequence[Tool]:
    """Every tool, with what it takes, what it gives, and what the agent is told."""
    task, seen = give.StartedView, ("task_id", "status", "next_step")
    return (
        strict_tool(tools.generate_flf2v, take.GenerateFlf2v, task, MAKES,
            "First-last-frame: generate a video that opens on one image and ends on another. May cost money. "
            "Returns a task: follow it with get_task.", advertised=seen),
        strict_tool(tools.generate_i2v, take.GenerateI2v, task, MAKES,
            "Image-to-video: generate a video from an image, or continue a clip (image=task:<id>). "
            "May cost money. Returns a task.", advertised=seen),
        strict_tool(tools.generate_t2v, take.GenerateT2v, task, MAKES,
            "Text-to-video: generate a video from words. May cost money. Returns a task.", advertised=seen),
        strict_tool(tools.generate_animation, take.GenerateAnimation, task, MAKES,
            "Animation: a video that turns from one prompt into another. May cost money. Returns a task.",
            advertised=seen),
        strict_tool(tools.regenerate, take.Regenerate, task, MAKES,
            "Make an earlier task again with changes. May cost money. Returns a task.", advertised=seen),
        strict_tool(tools.get_task, take.GetTask, give.TaskView, ASKS,
            "Status, progress and video of one task or several; wait_seconds=30 beats many calls. Once it "
            "succeeded: view_video. Free.", or_gives=give.TasksView),
        strict_tool(tools.cancel_task, take.CancelTask, task, STOPS,
            "Stop a task. A provider may bill what it had begun.", advertised=seen),
        strict_tool(tools.list_tasks, take.ListTasks, give.TaskListView, ASKS,
            "Recent tasks, newest first; finds one whose answer was lost. Free.", advertised=("tasks", "next_step")),
        strict_tool(tools.list_models, take.ListModels, ModelsView, ASKS,
            "Video models, with inputs, limits and prices. Free.", advertised=("models", "next_step")),
        strict_tool(tools.view_video, take.ViewVideo, None, WRITES,
            "See a video: a contact sheet of numbered, timed frames. Then go on: generate_i2v image=task:<id>. Free."),
        strict_tool(tools.extract_frame, take.ExtractFrame, film.FrameView, WRITES,
            "Save one exact frame of a video as PNG. Free.", advertised=("file", "reference", "next_step")),
        strict_tool(tools.join_videos, take.JoinVideos, film.JoinView, MAKES,
            "Join clips into one film, in order, sound kept. Free.", advertised=("file", "reference", "next_step")),
    )  # fmt: skip
