"""The MCP server: the tools over the engine, and nothing a provider would notice."""

from __future__ import annotations

import warnings
from collections.abc import Collection

from mcp.server import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, SubscriptionBus

from keyframe_mcp import __version__
from keyframe_mcp.app import Application
from keyframe_mcp.engine import Caller
from keyframe_mcp.server.card import CardExtension, point_at_card
from keyframe_mcp.server.completions import Completions, add_completions
from keyframe_mcp.server.correlating import Correlating
from keyframe_mcp.server.instructions import instructions
from keyframe_mcp.server.links import Links, shown_by
from keyframe_mcp.server.lookout import Lookout
from keyframe_mcp.server.notices import add_notices
from keyframe_mcp.server.prompts import Prompts, add_no_prompts, add_prompts
from keyframe_mcp.server.protocol_tasks import TasksExtension
from keyframe_mcp.server.resources import Resources, add_resources
from keyframe_mcp.server.task_notices import TaskNotices
from keyframe_mcp.server.task_states import EngineTasks, TaskSource
from keyframe_mcp.server.task_watches import TaskWatches
from keyframe_mcp.server.toolbox import build_tools
from keyframe_mcp.server.tools import Tools
from keyframe_mcp.server.toolsets import of_set

# whose answer is a task, for clients of the Tasks extension; the other tools answer at once
SLOW_TOOLS = ("generate_flf2v", "generate_i2v", "generate_t2v", "generate_animation", "regenerate")


def build_server(
    application: Application,
    caller: Caller,
    source: TaskSource | None = None,
    slow: Collection[str] = SLOW_TOOLS,
    links: Links | None = None,
) -> MCPServer:
    """A server for one kind of caller. The tasks its `slow` tools name are the engine's, if no other source has them.

    `links` are for callers who do not read this disk: results get addresses.
    """
    warnings.filterwarnings("ignore", module=r"mcp\..*")
    protocol_tasks = source or EngineTasks(application.engine, caller, shown_by(links))
    bus, toolset = InMemorySubscriptionBus(), application.settings.toolset
    tools = list(of_set(build_tools(Tools(application, caller, links)), toolset))
    server = MCPServer(
        "keyframe-mcp",
        title="Keyframe",
        instructions=instructions(toolset, links and links.uploads_url),
        version=__version__,
        tools=tools,
        extensions=[TasksExtension(protocol_tasks, slow), CardExtension(toolset, links and links.origin)],
        middleware=[TaskNotices(TaskWatches(protocol_tasks, application.tasks)), point_at_card],
        subscriptions=bus,
        log_level="WARNING",
    )
    names = frozenset(each.name for each in tools)
    server.middleware.insert(0, Correlating(server, application.observer, names))  # around the SDK's own span
    add_reading(server, Resources(application, caller, shown_by(links)), bus)
    return server


def add_reading(server: MCPServer, resources: Resources, bus: SubscriptionBus) -> None:
    """What is read rather than called: resources, prompts, completions, and word of changes."""
    add_resources(server, resources)
    has_prompts = resources.application.settings.toolset == "full"  # they name tools that other sets do not have
    if has_prompts:
        add_prompts(server, Prompts(resources))
    else:
        add_no_prompts(server)
    add_completions(server, Completions(resources, has_prompts))
    tasks = resources.application.tasks
    add_notices(server, Lookout(resources, bus, tasks), bus, tasks)
