"""`keyframe-mcp models`: what can make a video."""

from __future__ import annotations

from typing import cast

import anyio
import click

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS
from keyframe_mcp.cli.learning import learn
from keyframe_mcp.cli.session import settings, show_json, warn_of_strangers
from keyframe_mcp.server.model_views import InputView, ModelView, model_view
from keyframe_mcp.task import Mode


@click.command()
@click.argument("model_id", required=False)
@click.option("--mode", type=click.Choice([str(mode) for mode in Mode]), help="Only models that can do this.")
@click.option("--refresh", metavar="PROVIDER", help="First ask a provider (wavespeed) for its models, and keep them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(model_id: str | None, mode: str | None, refresh: str | None, *, as_json: bool) -> None:
    """List the models, or show one with every input."""
    chosen = settings()
    if refresh is not None:
        click.echo(anyio.run(learn, refresh, chosen), err=True)
    catalog = catalogs.load(chosen.catalog_dir, DIALECTS, chosen.learned_models)
    for trouble in catalog.troubles:
        click.echo(trouble, err=True)
    warn_of_strangers(catalog)
    found = [catalog.find(model_id)] if model_id else list(catalog.models(Mode(mode) if mode else None))
    has_key = {each.id: each.provider.key is None or chosen.key(each.provider.key) is not None for each in found}
    found.sort(key=lambda each: not has_key[each.id])
    views = [model_view(each, configured=has_key[each.id], whole=bool(model_id)) for each in found]
    if as_json:
        show_json([view.data() for view in views])
        return
    for view in views:
        show(view)


def show(view: ModelView) -> None:
    """A model for people."""
    kind = "AI video" if view.generative else "drawn on this machine"
    price = "price unknown" if view.price == "unknown" else view.price
    click.echo(f"{view.model}  {', '.join(view.modes or ())}  {view.title} ({kind}; {price})")
    if isinstance(view.inputs, str):
        click.echo(f"  {view.inputs}")
        return
    for name, each in view.inputs.items():
        click.echo(f"  {name:20} {facts(each)}")
    for name, each in (view.options or {}).items():
        click.echo(f"  options.{name:12} {facts(each)}")
    if view.notes:
        click.echo(f"  {view.notes}")
    click.echo(f"  Source: {view.source}, looked at {view.verified}")


def facts(each: InputView) -> str:
    """An input's limits in a line."""
    limits = {key: value for key, value in each.data().items() if key not in ("type", "required", "about")}
    parts = [
        each.type,
        *(["required"] if each.required else []),
        *(f"{key} {plain(value)}" for key, value in limits.items()),
    ]
    return ", ".join(parts) + (f". {each.about}" if each.about else "")


def plain(value: object) -> str:
    """A limit without Python's punctuation."""
    if isinstance(value, list):
        return "/".join(map(str, cast("list[object]", value)))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
