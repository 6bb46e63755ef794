"""Catalogue files for the shops: like our own, without the limits of an ordinary account."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from crash.shops import Books, Weathered
from emulators.replicate_models import ANIMATION, ANIMATION_VERSION
from emulators.siliconflow import TEXT_TO_VIDEO

KEY = "CRASH_KEY"
TEXT = """prompt = { type = "string", required = true }"""
PROMPTS = """prompt_start = { type = "string", required = true }
prompt_end = { type = "string", required = true }"""
MP4 = """[models.options]
output_format = { type = "string", values = ["gif", "mp4"], default = "mp4" }"""
SIZED = """[models.options]
image_size = { type = "string", values = ["1280x720"], default = "1280x720" }"""
ANIMATED = f'version = "{ANIMATION_VERSION}"\nprefix = "input."'

Shelf = tuple[str, str, str, str, str]
SHELVES: Mapping[str, Shelf] = {
    "crash-wavespeed": ("wavespeed-ai/wan-2.1/t2v-720p", "t2v", "", TEXT, ""),
    "crash-siliconflow": (TEXT_TO_VIDEO, "t2v", "", TEXT, SIZED),
    "crash-replicate": (ANIMATION, "animation", ANIMATED, PROMPTS, MP4),
    "crash-gateway": (ANIMATION, "animation", ANIMATED, PROMPTS, MP4),
}
"""What each sells: the remote model, its mode, how it is asked for, its inputs and its options."""


def write_catalogue(folder: Path, shops: Books, callers: Collection[str] = ()) -> None:
    """Catalogue files for the shops: like our own, without the limits of an ordinary account. `callers` make calls."""
    folder.mkdir(parents=True)
    for name, shop in shops.items():
        dialect = "replicate" if name == "crash-gateway" else name.removeprefix("crash-")
        calls = "webhooks = true\n" if name in callers else ""
        (folder / f"{name}.toml").write_text(entry(name, dialect, shop, SHELVES[name], calls))


def entry(name: str, dialect: str, shop: Weathered, shelf: Shelf, calls: str) -> str:
    """One catalogue file."""
    remote, mode, more, inputs, options = shelf
    lists = "true" if name in ("crash-wavespeed", "crash-replicate") else "false"
    lines = [
        f'name = "{name}"\ndialect = "{dialect}"\nbase_url = "{shop.base_url}"\ndocs = "tests/crash"\nkey = "{KEY}"',
        f"{calls}reconcile = {lists}",
        '[paths]\nprefix = "/replicate/v1"' if name == "crash-gateway" else "",
        f'[[models]]\nid = "film"\nremote = "{remote}"\ntitle = "Film"\nmodes = ["{mode}"]\nsource = "tests/crash"',
        f'verified = 2026-11-20\nconfidence = "H"\nprices = [{{ usd = 0.5, per = "video" }}]\n{more}',
        f"[models.inputs]\n{inputs}\n{options}",
    ]
    return "\n".join(lines) + "\n"
