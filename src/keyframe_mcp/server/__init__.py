"""The MCP server: the tools over the engine, and nothing a provider would notice."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations

from keyframe_mcp import __version__
from keyframe_mcp.app import Application
from keyframe_mcp.engine import Caller
from keyframe_mcp.server import arguments as take
from keyframe_mcp.server import film_views as film
from keyframe_mcp.server import views as give
from keyframe_mcp.server.model_views import ModelsView
from keyframe_mcp.server.strict import strict_tool
from keyframe_mcp.server.tools import Tools

INSTRUCTIONS = """\
Video generation: first-last-frame (flf2v), image-to-video, text-to-video and prompt-to-prompt animation, with typed \
results that chain into longer films.

1. Call generate_flf2v, generate_i2v, generate_t2v or generate_animation. It returns a task at once; a video takes \
seconds (local/...) to ten minutes. Leave `model` out for the best configured one; list_models says what there is. \
dry_run=true checks and prices a call without making it.
2. Call get_task with wait_seconds=30 until status is succeeded, failed, cancelled or unknown. Never start the same \
video again because an answer is slow or a call was lost: ask list_tasks. Reuse idempotency_key on a retry.
3. Look at the result with view_video before you say it is good.
4. Continue a shot: generate_i2v image=task:<id> starts from its last frame; task:<id>#first and task:<id>@2.5 name \
other frames. join_videos puts clips together; extract_frame saves one frame.

Do what next_step says. Models under local/ draw previews on this machine without a key; they are not AI video \
(generative: false) - say so to the user."""

# Only what differs from the protocol's defaults (writes, destroys, not idempotent, open world): these are sent too.
MAKES = ToolAnnotations(destructive_hint=False)
ASKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(destructive_hint=False, idempotent_hint=True)
STOPS = ToolAnnotations(idempotent_hint=True)


def build_server(application: Application, caller: Caller) -> MCPServer:
    """A server for one kind of caller."""
    warnings.filterwarnings("ignore", module=r"mcp\\..*")
    return MCPServer(
        "keyframe-mcp",
        title="Keyframe",
        instructions=INSTRUCTIONS,
        version=__version__,
        tools=list(build_tools(Tools(application, caller))),
        log_level="WARNING",
    )


def build_tools(tools: Tools) -> Sequence[Tool]:
    """Every tool, with what it takes, what it gives, and what the agent is told."""
    task, seen = give.StartedView, ("task_id", "status", "next_step", "poll_after_seconds")
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
        strict_tool(tools.get_task, take.GetTask, give.TaskView, ASKS,
            "Status, progress and the finished video of one task or several. Free. Use wait_seconds=30, "
            "not many calls.", or_gives=give.TasksView),
        strict_tool(tools.cancel_task, take.CancelTask, task, STOPS,
            "Stop a task. A provider may bill what it had begun.", advertised=seen),
        strict_tool(tools.list_tasks, take.ListTasks, give.TaskListView, ASKS,
            "Recent tasks, newest first; finds one whose answer was lost. Free.", advertised=("tasks", "next_step")),
        strict_tool(tools.list_models, take.ListModels, ModelsView, ASKS,
            "Video models, with inputs, limits and prices. Free.", advertised=("models", "next_step")),
        strict_tool(tools.view_video, take.ViewVideo, None, WRITES,
            "See a video: a contact sheet of numbered, timed frames, first and last included. Free."),
        strict_tool(tools.extract_frame, take.ExtractFrame, film.FrameView, WRITES,
            "Save one exact frame of a video as PNG. Free.", advertised=("file", "reference", "next_step")),
        strict_tool(tools.join_videos, take.JoinVideos, film.JoinView, MAKES,
            "Join clips into one film, in order, sound kept. Free.", advertised=("file", "reference", "next_step")),
    )  # fmt: skip
