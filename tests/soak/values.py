"""Arguments for tools, made from the schemas they advertise: such as an agent gives, and such as nobody should."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Schema = Mapping[str, Any]

PRIVATE_PLACES = (
    "http://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/a.png",
    "https://192.168.1.1:8443/a.png",
    "https://[fd00::1]/a.png",
    "https://[::ffff:10.0.0.1]/a.png",
    "https://0x7f000001/a.png",
    "https://2130706433/a.png",
    "http://127.0.0.1:1/a.png",
    "https://name.invalid/a.png",
    "https://user:word@10.0.0.1/a.png",
    "https://[::1",
    "https://",
    "https://\u202egnp.a",
    "ftp://10.0.0.1/a.png",
    "gopher://10.0.0.1/",
)
ESCAPES = (
    "../outside/secret.txt",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "/proc/self/environ",
    "link.png",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "a.png\x00.txt",
    "\x00",
    "~/.ssh/id_rsa",
    "//10.0.0.1/share/a.png",
    "C:\\Windows\\win.ini",
    "a" * 5000 + ".png",
    ".",
    "",
    " ",
    "no-picture.txt",
    "empty.png",
)
BROKEN_DATA = (
    "data:",
    "data:,",
    "data:image/png;base64",
    "data:image/png;base64,",
    "data:image/png;base64,====",
    "data:image/png;base64,iVBORw==",
    "data:image/png;base64,%%%",
    "data:image/png,iVBORw",
    "data:text/html;base64,PGI+",
    "data:image/png;base64," + "A" * 100_000,
    "data:image/svg+xml;base64,PHN2Zz4=",
)
ODD_TEXTS = (
    "\ud800",
    "half \udfff of it",
    "\u202eltr\u202c",
    "\x1b[31mred\x07",
    "line\r\nbreak",
    "null",
    "true",
    '{"a": 1}',
    "[1, 2]",
    "{" * 2000,
    "[" * 2000,
    "\U0001f3ac" * 300,
    "\ufeffmark",
    "%s%n{0}{self}",
    "x" * 1_000_000,
    "nan",
    "1e999",
)
ODD_TASKS = ("kf_", "kf_" + "a" * 26, "task:kf_" + "z" * 26, "task:", "output:../../a.mp4", "output:kf_x.mp4", "*", "%")
TEXTS = (*PRIVATE_PLACES, *ESCAPES, *BROKEN_DATA, *ODD_TEXTS, *ODD_TASKS)
ODD_NUMBERS = (
    float("nan"),
    float("inf"),
    -float("inf"),
    1e308,
    -1e308,
    5e-324,
    10**400,
    -(10**30),
    2**63,
    -(2**63) - 1,
    2**31,
    -1,
    0,
    -0.0,
    1.5,
)


@dataclass(frozen=True)
class Known:
    """What an agent of this server would have seen: its models, tasks, files, and the inputs models have."""

    models: Sequence[str]
    tasks: Sequence[str]
    pictures: Sequence[str]
    videos: Sequence[str]
    options: Sequence[str]


@dataclass(frozen=True)
class Call:
    """One call of a tool."""

    tool: str
    arguments: dict[str, Any]

    def __repr__(self) -> str:
        text = json.dumps(self.arguments)
        return f"{self.tool}({text if len(text) < 4000 else text[:4000] + '...'})"


def calls(tools: Mapping[str, Schema], known: Known) -> SearchStrategy[Call]:
    """A call of any of these tools; `tools` maps a name to the schema of what it takes."""
    each = [arguments(schema, known).map(lambda given, name=name: Call(name, given)) for name, schema in tools.items()]
    return st.one_of(each)


def arguments(schema: Schema, known: Known) -> SearchStrategy[dict[str, Any]]:
    """Arguments of one tool: mostly plausible with one oddity, sometimes all plausible, sometimes all odd."""
    names: Sequence[str] = list(schema["properties"])
    needed: Sequence[str] = schema.get("required", [])
    honest = st.fixed_dictionaries(
        {name: plausible(name, schema["properties"][name], known) for name in needed},
        optional={name: plausible(name, schema["properties"][name], known) for name in names if name not in needed},
    )
    spoiled = st.builds(with_oddity, honest, st.sampled_from(names), hostile(known))
    wild = st.dictionaries(st.sampled_from(names), hostile(known), max_size=len(names))
    strange = st.builds(with_oddity, honest, misspelt(names), hostile(known))
    short = st.builds(without, honest, st.sampled_from(names))
    return st.one_of(honest, spoiled, spoiled, wild, strange, short)


def with_oddity(given: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The arguments with one set to something else."""
    return {**given, name: value}


def without(given: dict[str, Any], name: str) -> dict[str, Any]:
    """The arguments, one left out."""
    return {key: value for key, value in given.items() if key != name}


def misspelt(names: Sequence[str]) -> SearchStrategy[str]:
    """A name that is nearly an argument's, or none at all."""
    near = st.sampled_from(names).flatmap(
        lambda name: st.sampled_from([name.upper(), name + "s", name[:-1], name.replace("_", "-"), f" {name}"])
    )
    return near | st.sampled_from(["", "context", "self", "model_config", "__class__", "ctx", "\u202e", "x" * 10_000])


def plausible(name: str, node: Schema, known: Known) -> SearchStrategy[Any]:
    """What an agent would give. Waiting is kept short."""
    named: dict[str, Sequence[Any]] = {
        "model": known.models,
        "task_id": known.tasks,
        "source": known.videos,
        "image": known.pictures,
        "first_image": known.pictures,
        "last_image": known.pictures,
        "duration": (1, 5, 8),
        "resolution": ("480p", "720p"),
        "aspect_ratio": ("16:9", "9:16", "1:1"),
        "wait_seconds": (0, 0.01),
        "status": ("running", "succeeded", "failed", "nonsense"),
        "at": ("first", "last", "0.5", 0.2, "1s"),
        "seed": (1, 7, 2**31 - 1),
        "num_outputs": (1, 2),
        "cells": (1, 4),
        "limit": (1, 5, 100),
        "query": ("wan", "flf2v", "nothing of the kind"),
        "idempotency_key": ("one", "two", "three"),
    }
    if name == "options":
        return st.dictionaries(st.sampled_from(known.options), st.integers(1, 9) | st.booleans(), max_size=2)
    if name in ("task_ids", "sources"):
        return st.lists(st.sampled_from(known.tasks if name == "task_ids" else known.videos), min_size=1, max_size=3)
    if name in named:
        return st.sampled_from(named[name])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    return {"integer": st.integers(1, 50), "number": st.floats(1, 20), "boolean": st.booleans()}.get(
        node["type"], st.sampled_from(("a heron takes off", "die Kamera fährt zurück", "雪山日出", "🎬 city at night"))
    )


def hostile(known: Known) -> SearchStrategy[Any]:
    """Anything JSON can say, and NaN, which it cannot."""
    texts = st.integers(0, len(TEXTS) - 1).map(TEXTS.__getitem__) | st.text(max_size=40)  # by number: some are large
    keys = texts.filter(str.isascii)  # the client cannot send a key with half a character
    leaves = st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | texts | st.sampled_from(known.tasks)
    nested = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=8,
    )
    deep = st.builds(layers, st.sampled_from((20, 60, 120)), st.sampled_from(("list", "table")))
    return st.one_of(leaves, texts, nested, deep, st.lists(st.sampled_from(known.tasks), min_size=51, max_size=60))


def layers(depth: int, kind: str) -> Any:
    """Lists in lists, or tables in tables."""
    return reduce(lambda inner, _: [inner] if kind == "list" else {"a": inner}, range(depth), 1)
