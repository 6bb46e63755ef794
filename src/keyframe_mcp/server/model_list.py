"""What `list_models` answers: the models that fit, at the price of the video in question, or why none does."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from keyframe_mcp.catalog import Catalog, Listed
from keyframe_mcp.catalog.searching import (
    Found,
    Judged,
    Wish,
    cheapest_first,
    judge,
    of_provider,
    search,
    shaped_by_picture,
)
from keyframe_mcp.errors import InvalidInput, Problem
from keyframe_mcp.server.arguments import ListModels
from keyframe_mcp.server.model_views import ModelsView, ModelView, judged_view, model_view

MOST_MODELS = 30
MOST_NEAREST = 5
MOST_NAMED = 3
CHOOSE = "Pass `model` to a generate tool, or leave it out."


def listing(asked: ListModels, catalog: Catalog, configured: Collection[str]) -> ModelsView:
    """The models that fit. Raises `UnknownModel` and `InvalidInput`, each with what may have been meant."""
    wish = Wish(
        mode=asked.mode,
        duration=asked.duration,
        resolution=asked.resolution,
        aspect_ratio=asked.aspect_ratio,
        max_price_usd=asked.max_price_usd,
    )
    models = list(catalog.models())
    if asked.provider is not None:
        models = list(of_provider(models, asked.provider, catalog.providers))
    if asked.model is not None:
        return one(asked, catalog.find(asked.model), [each.id for each in models], wish, configured)
    named = [each for each in models if matches(each, asked.query)]
    if not named:
        return ModelsView(models=[], next_step="None has all these words; ask with fewer, or leave query out.")
    of_mode = [each for each in named if asked.mode in (None, *each.model.modes)]
    found = search(of_mode or named, wish)
    if not found.fitting:
        return none(found, wish, configured)
    fitting = sorted(found.fitting, key=lambda each: each.listed.provider_id not in configured)
    chosen = cheapest_first(fitting) if asked.sort else fitting
    is_priced = wish.is_particular or asked.sort is not None
    shown = chosen[:MOST_MODELS]
    views = [view_of(each, wish, configured, is_priced=is_priced) for each in shown]
    usable = [each.listed for each in shown if each.listed.provider_id in configured]
    unusable = [each.listed for each in shown if each.listed.provider_id not in configured]
    step = steps(found, wish, len(chosen) - len(shown), usable, unusable)
    return ModelsView(models=views, next_step=" ".join(step))


def one(asked: ListModels, listed: Listed, ids: Collection[str], wish: Wish, configured: Collection[str]) -> ModelsView:
    """One model with every input, and whether it can make what else was asked for."""
    if asked.query is not None:
        raise InvalidInput(problems=[Problem("query", "leave it out where model says which one; or leave model out")])
    view = model_view(listed, configured=listed.provider_id in configured, whole=True)
    choose = CHOOSE if view.configured else keyless([listed])
    if not (wish.is_particular or wish.mode or asked.provider or asked.sort):
        return ModelsView(models=[view], next_step=choose)
    judged = judge(listed, wish)
    problems = [str(each) for each in judged.problems]
    if listed.id not in ids:
        problems.append(f"provider: {listed.id} is one of {listed.provider_id}'s")
    step = f"{listed.id} cannot make this: {'; '.join(problems)}" if problems else f"It can make this. {choose}"
    usd = None if problems else judged.cost.estimated_usd
    unknown = "" if problems or usd is not None else f" What it costs is not known ({judged.cost.basis})."
    return ModelsView(models=[view.model_copy(update={"price_usd": usd})], next_step=step + unknown)


def view_of(judged: Judged, wish: Wish, configured: Collection[str], *, is_priced: bool) -> ModelView:
    """A model that fits: with the price of the video, where there is one to price."""
    has_key = judged.listed.provider_id in configured
    view = judged_view(judged, wish, configured=has_key)
    if is_priced:
        return view
    usual = model_view(judged.listed, configured=has_key, whole=False)
    return view.model_copy(update={"price": usual.price, "price_usd": None})


def steps(
    found: Found, wish: Wish, more: int, usable: Collection[Listed], unusable: Collection[Listed]
) -> Iterator[str]:
    """What to do now, and what else there would be."""
    if more:
        yield f"{more} more fit: narrow with mode, provider or query."
    if usable:
        yield CHOOSE if not wish.is_particular else "Pass `model` and the same inputs to a generate tool."
    if unusable:
        yield keyless(unusable)
    yield from hints(found, wish)


def keyless(unusable: Collection[Listed]) -> str:
    """Why models that are not configured cannot be used, and who can do something about it."""
    keys = list(dict.fromkeys(each.provider.key for each in unusable if each.provider.key))
    which = "It cannot" if len(unusable) == 1 else "Those with configured: false cannot"
    are = "is" if len(keys) == 1 else "are"
    return f"{which} be used: {', '.join(keys)} {are} not set; ask whoever runs this server."


def hints(found: Found, wish: Wish) -> Iterator[str]:
    """Models that were left out and may do all the same."""
    if found.unpriced:
        are = "1 that can was" if found.unpriced == 1 else f"{found.unpriced} that can were"
        yield f"{are} left out by max_price_usd: nobody knows the price."
    if shaped := cheapest_first(shaped_by_picture(found, wish)):
        named = ", ".join(f"{each.listed.id} ({priced(each)})" for each in shaped[:MOST_NAMED])
        rest = f" and {len(shaped) - MOST_NAMED} more" if len(shaped) > MOST_NAMED else ""
        yield f"Without aspect_ratio, in the shape of the picture: {named}{rest}."


def none(found: Found, wish: Wish, configured: Collection[str]) -> ModelsView:
    """Why none fits: what keeps the nearest, those first that could be used here."""
    missing = sorted(found.missing, key=lambda each: (len(each.problems), each.listed.provider_id not in configured))
    nearest = [each.why_not for each in missing[:MOST_NEAREST]]
    relax = "None fits. Relax what keeps the nearest." if nearest else "None fits."
    return ModelsView(models=[], nearest=nearest or None, next_step=" ".join((relax, *hints(found, wish))))


def priced(judged: Judged) -> str:
    """What it costs, in a word or two."""
    usd = judged.cost.estimated_usd
    return "price unknown" if usd is None else f"${usd:g}"


def matches(listed: Listed, query: str | None) -> bool:
    """Whether every word is somewhere in what is known about a model."""
    known = " ".join((listed.id, listed.model.remote, listed.provider.name, listed.model.title, *listed.model.modes))
    return all(word in (known + " " + listed.model.notes).lower() for word in (query or "").lower().split())
