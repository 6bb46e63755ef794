"""The figures in docs/performance.md are those of the tools there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from mcp import Client

from keyframe_mcp.server import build_server
from keyframe_mcp.server.instructions import INSTRUCTIONS
from studio import ME, open_server_inside

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
AGAIN = "run: python bench/report.py --tokens"


def figure(pattern: str) -> int:
    """The number behind some words in a table of the page."""
    found = re.search(pattern + r" \| ([\d,]+) \|", PAGE.read_text("utf-8"))
    assert found, AGAIN
    return int(found[1].replace(",", ""))


async def test_the_size_of_the_tool_list_on_the_page_is_what_it_is_today(tmp_path: Path):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME)) as client:
        tools = [
            tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in (await client.list_tools()).tools
        ]
    today = len(json.dumps({"tools": tools}, separators=(",", ":"), ensure_ascii=False).encode())

    assert figure(rf"`tools/list`, {len(tools)} tools") == pytest.approx(today, rel=0.02), AGAIN


def test_the_size_of_the_instructions_on_the_page_is_what_it_is_today():
    assert figure("server instructions") == pytest.approx(len(INSTRUCTIONS["full"].encode()), rel=0.02), AGAIN
