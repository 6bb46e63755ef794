"""The media worker: `python -m keyframe_mcp.media` reads one order a line and answers in lines.

Only these lines reach the pipe: everything else a library prints goes to standard error. The process ends when its
standard input does, so it never outlives the server.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, TextIO

from pydantic import BaseModel

from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.media import orders

IDLE_SECONDS = 60

WORK: Mapping[str, str] = MappingProxyType(
    {
        "CheckImage": "keyframe_mcp.media.images:check",
        "FitImage": "keyframe_mcp.media.fitting:fit",
        "ProbeVideo": "keyframe_mcp.media.video:probe",
        "ExtractFrame": "keyframe_mcp.media.video:extract",
        "MakeSheet": "keyframe_mcp.media.sheet:make",
        "JoinVideos": "keyframe_mcp.media.join:join",
        "MarkVideo": "keyframe_mcp.media.marking:mark",
        "RenderVideo": "keyframe_mcp.media.render:render",
    }
)
"""Which function carries out which order. Imported when first asked for: a probe needs no OpenCV."""


def main() -> None:
    """Serve until standard input ends, or nothing was asked for a while."""
    answers = private_stdout()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(sys.stdin, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            return
        answer(line, lambda message: print(json.dumps(message), file=answers, flush=True))


def listen(orders_in: TextIO, lines: queue.SimpleQueue[str]) -> None:
    """Pass lines on; when the server is gone, leave at once, even in the middle of a render."""
    for line in orders_in:
        lines.put(line)
    os._exit(0)


def answer(line: str, send: Callable[[Mapping[str, Any]], None]) -> None:
    """Carry out the order in `line`. Every error becomes a message; only a crash leaves none."""
    try:
        request = json.loads(line)
        order = getattr(orders, request["order"]).model_validate(request["arguments"])
        facts = carry_out(request["order"], order, lambda fraction: send({"progress": round(fraction, 4)}))
        send({"facts": facts.model_dump(mode="json")})
    except KeyframeError as error:
        send({"error": str(error), "kind": error.kind})
    except MemoryError:
        send({"error": "the file needs more memory than there is", "kind": "render_failed"})
    except Exception as error:  # noqa: BLE001 - the edge of the process: the server must hear how the order ended
        send({"error": f"{type(error).__name__}: {error}"[:500], "kind": "render_failed"})


def carry_out(name: str, order: BaseModel, report: Callable[[float], None]) -> BaseModel:
    """Call the function for this order; the renderer also gets a way to say how far it is."""
    module, _, function = WORK[name].partition(":")
    work = getattr(import_module(module), function)
    return work(order, report) if name == "RenderVideo" else work(order)


def private_stdout() -> TextIO:
    """A stream on the real standard output; descriptor 1 itself now leads to standard error."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return own


if __name__ == "__main__":
    main()
    os._exit(0)  # an orderly end would wait for the thread that waits for the next order
