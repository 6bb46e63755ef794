"""The MCP server: the tools over the engine, and nothing a provider would notice."""

from __future__ import annotations

import warnings

from mcp.server import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, SubscriptionBus

from keyframe_mcp import __version__
from keyframe_mcp.app import Application
from keyframe_mcp.engine import Caller
from keyframe_mcp.server.card import CardExtension, point_at_card
from keyframe_mcp.server.completions import Completions, add_completions
from keyframe_mcp.server.instructions import INSTRUCTIONS
from keyframe_mcp.server.lookout import Lookout
from keyframe_mcp.server.notices import add_notices
from keyframe_mcp.server.prompts import Prompts, add_no_prompts, add_prompts
from keyframe_mcp.server.protocol_tasks import TasksExtension
from keyframe_mcp.server.resources import Resources, add_resources
from keyframe_mcp.server.task_notices import TaskNotices
from keyframe_mcp.server.task_states import EngineTasks
from keyframe_mcp.server.task_watches import TaskWatches
from keyframe_mcp.server.toolbox import build_tools
from keyframe_mcp.server.tools import Tools
from keyframe_mcp.server.toolsets import of_set

# whose answer is a task, for clients of the Tasks extension; the other tools answer at once
SLOW_TOOLS = ("generate_flf2v", "generate_i2v", "generate_t2v", "generate_animation", "regenerate")


def build_server(application: Application, caller: Caller) -> MCPServer:
    """A server for one kind of caller."""
    warnings.filterwarnings("ignore", module=r"mcp\\..*")
    protocol_tasks = EngineTasks(application.engine, caller)
    bus, toolset = InMemorySubscriptionBus(), application.settings.toolset
    server = MCPServer(
        "keyframe-mcp",
        title="Keyframe",
        instructions=INSTRUCTIONS[toolset],
        version=__version__,
        tools=list(of_set(build_tools(Tools(application, caller)), toolset)),
        extensions=[TasksExtension(protocol_tasks, SLOW_TOOLS), CardExtension(toolset)],
        middleware=[TaskNotices(TaskWatches(protocol_tasks, application.tasks)), point_at_card],
        subscriptions=bus,
        log_level="WARNING",
    )
    add_reading(server, Resources(application, caller), bus)
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
