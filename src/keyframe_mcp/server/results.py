"""What a tool answers, for those who read structures and for those who do not."""

from __future__ import annotations

from mcp.types import CallToolResult, TextContent

from keyframe_mcp.server.outline import outline, unbroken
from keyframe_mcp.server.views import View


def result(view: View, *sentences: str, is_error: bool = False) -> CallToolResult:
    """Structure for those who read it, and all of it in words for those who do not."""
    data = view.data()
    text = "\n".join((*map(unbroken, sentences), outline(view.unsaid(data))))
    content = TextContent(type="text", text=text)
    return CallToolResult(content=[content], structured_content=data, is_error=is_error)
