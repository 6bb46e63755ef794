"""A card that shows a task to a person, in hosts that speak MCP Apps (`io.modelcontextprotocol/ui`, 2026-01-26).

Everybody else sees nothing of it: the results of the tools are the same with and without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, ResourceBinding
from mcp.server.mcpserver.resources import Resource

CARD_URI = "ui://keyframe/task.html"
SHOWN_ON = frozenset({"generate_flf2v", "generate_i2v", "generate_t2v", "generate_animation", "regenerate", "get_task"})
"""The tools whose results the card can show."""

RESULT_HOSTS = (
    "https://replicate.delivery",  # Replicate's own documentation and SDK, 2026-11-20
    "https://*.replicate.delivery",
    "https://d1q70pf5vjeyhc.cloudfront.net",  # WaveSpeedAI: in answers of its API that people published, 2026-03-04
    "https://s3.siliconflow.cn",  # SiliconFlow: measured by a public project with an account, 2026-09-10
    "https://sc-maas.oss-cn-shanghai.aliyuncs.com",  # SiliconFlow until 2025, in published answers
)
"""Where results of known providers are played from. From elsewhere they are opened or copied: a host blocks the rest.

Baicai Infer documents no address of its results.
"""

_PARTS = Path(__file__).parent
_COMMENT = re.compile(r"(?:^|\s)\s*// .*$|/\* .*? \*/")
_SPACES = re.compile(r"\s*([{};:,])\s+")  # of a style sheet
_SCRIPTS = ("bridge.js", "task.js", "card.js")


class CardPage(Resource):
    """The page. It is put together when somebody reads it, not when the server starts."""

    toolset: str

    async def read(self) -> str:
        """The HTML, with everything it needs inside."""
        return page(self.toolset)


class CardExtension(Extension):
    """The page as a resource, and the extension announced. The SDK's own class would cost 1.5 ms of every start."""

    identifier = "io.modelcontextprotocol/ui"

    def __init__(self, toolset: str, own: str | None = None) -> None:
        self._toolset = toolset
        self._own = own  # the origin of our own links, where there are any

    def resources(self) -> Sequence[ResourceBinding]:
        """The page, with what it may load and do."""
        wanted: dict[str, object] = {
            "csp": {"resourceDomains": [*RESULT_HOSTS, *filter(None, [self._own])]},
            "permissions": {"clipboardWrite": {}},
            "prefersBorder": True,
        }
        card = CardPage(
            uri=CARD_URI,
            name="task_card",
            title="Video task",
            description="How a video task is doing, and its result, for a person to see. Hosts show it by themselves.",
            mime_type="text/html;profile=mcp-app",
            meta={"ui": wanted},
            toolset=self._toolset,
        )
        return (ResourceBinding(card),)


async def point_at_card(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: the tool list names the card, to clients that said they show such cards."""
    result = await call_next(ctx)
    if ctx.method != "tools/list" or not isinstance(result, Mapping):
        return result
    from mcp.server.apps import client_supports_apps  # noqa: PLC0415 - as above

    if not client_supports_apps(ctx):
        return result
    return {**result, "tools": [pointing(tool) for tool in result["tools"]]}


def pointing(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as it is listed, with its card if it has one; the flat key is for hosts from before the specification."""
    if tool["name"] not in SHOWN_ON:
        return tool
    meta: dict[str, Any] = tool.get("_meta") or {}
    return {**tool, "_meta": {**meta, "ui": {"resourceUri": CARD_URI}, "ui/resourceUri": CARD_URI}}


@cache
def page(toolset: str = "full") -> str:
    """The HTML in one piece, without indentation and comments. It offers what the toolset can do."""
    script = "".join(part(name) for name in _SCRIPTS).replace("{{toolset}}", toolset)
    style = _SPACES.sub(r"\1", part("card.css"))
    whole = part("card.html").replace("{{style}}", style).replace("{{script}}", script)
    lines = (_COMMENT.sub("", line).strip() for line in whole.splitlines())
    return "\n".join(filter(None, lines))


def part(name: str) -> str:
    """One file of it."""
    return (_PARTS / name).read_text(encoding="utf-8")
