"""The providers and their models as Markdown: everything the catalogue says, in tables."""

from __future__ import annotations

from collections.abc import Iterator

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.catalog import Listed, prices
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.inputs import Input
from keyframe_mcp.catalog.limits import bounds
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.server.model_views import NEAREST, SURE

USUAL_HEADER = str(Provider.model_fields["key_as"].default)
COLUMNS = "| Input | Sent as | Type | Accepts | Default | |\n|---|---|---|---|---|---|"
UNITS = ((86_400, "day"), (3600, "h"), (60, "min"))
INLINE = "in the request"
BY = {"upload": "uploaded", "inline": INLINE, "url": "only as URLs"}


def providers_table() -> str:
    """Every provider in a line."""
    rows = [
        "| Provider | Key | Pictures | Results last | Stops a job | Finds lost jobs | Models |",
        "|---|---|---|---|---|---|---|",
    ]
    for provider_id, each in catalogs.load().providers.items():
        key = f"`{each.key}`" if each.key else "none"
        cells = (
            f"[{each.name}](#{provider_id})",
            key,
            "in this machine" if each.base_url is None else BY[each.pictures.by],
            lasts(each),
            yes(fact=each.cancel),
            yes(fact=each.reconcile),
            str(len(each.models)),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def provider_pages() -> str:
    """Every provider with every model."""
    catalog = catalogs.load()
    parts: list[str] = []
    for provider_id, provider in catalog.providers.items():
        parts.append(f"## {provider_id}\n\n{provider_facts(provider)}")
        models = (each for each in catalog.models() if each.provider_id == provider_id)
        parts.extend(model_page(each) for each in models)
    return "\n\n".join(parts)


def provider_facts(provider: Provider) -> str:
    """What is known about one provider."""
    facts = [f"{provider.name}, dialect `{provider.dialect}`. Source: {linked(provider.docs)}."]
    if provider.confidence:
        facts.append(f"Confidence: {SURE[provider.confidence]}.")
    if provider.experimental:
        facts.append(f"**Experimental.** {provider.experimental}")
    return " ".join(facts) + "\n\n" + "\n".join(f"- {line}" for line in provider_lines(provider))


def provider_lines(provider: Provider) -> Iterator[str]:
    """A provider's facts, one a line."""
    if provider.base_url is None:
        yield "Runs on this machine; no key, no network."
        return
    yield f"API: `{provider.base_url}`"
    if provider.hosts:
        yield "Hosts: " + ", ".join(f"{label} `{url}`" for label, url in provider.hosts.items())
    where = f", from {linked(provider.key_page)}" if provider.key_page else ""
    sent = "" if provider.key_as == USUAL_HEADER else f", sent as `{provider.key_as}`"
    yield f"Key: `{provider.key}`{where}{sent}"
    yield f"Pictures: {pictures(provider)}"
    known = f"for {lasts(provider)}" if provider.results_seconds else "for how long is not documented"
    yield f"Results can be downloaded {known}" + (
        f"; from {', '.join(f'`{host}`' for host in provider.key_hosts)} with the key" if provider.key_hosts else ""
    )
    yield f"Stopping a running job: {yes(fact=provider.cancel)}"
    yield f"A list of the account's jobs, to find one whose submission was uncertain: {yes(fact=provider.reconcile)}"
    yield f"[Calling back](webhooks.md) when a job has ended: {yes(fact=provider.webhooks)}"
    if provider.longest_seconds:
        yield f"Lets a job run for {duration(provider.longest_seconds)}"
    if provider.failures_are_free:
        yield "A job that it could not finish costs nothing"
    if provider.limits:
        yield "Limits: " + ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in provider.limits.items())
    if provider.jobs_page:
        yield f"The account's jobs: {linked(provider.jobs_page)}"
    if provider.paths:
        yield "Paths: " + ", ".join(f"{name} `{path}`" for name, path in provider.paths.items())


def pictures(provider: Provider) -> str:
    """How pictures reach a provider."""
    rules = provider.pictures
    if rules.by == "url":
        return f"only as public https URLs, which are passed on; {', '.join(rules.formats)}"
    parts = [
        "uploaded first" if rules.by == "upload" else f"{INLINE}, as `data:` URIs",
        "public https URLs passed on" if rules.urls else "URLs fetched here",
        ", ".join(rules.formats),
        f"at most {rules.most_bytes:,} bytes",
        *([f"up to {rules.inline_under:,} bytes {INLINE}"] if rules.inline_under else []),
        *([f"kept for {duration(rules.kept_seconds)}"] if rules.kept_seconds else []),
    ]
    return "; ".join(parts)


def model_page(listed: Listed) -> str:
    """One model: its facts and every input."""
    model = listed.model
    return "\n\n".join(
        [f"### `{listed.id}`", "\n".join(f"- {line}" for line in model_lines(listed)), inputs_table(model)]
    )


def model_lines(listed: Listed) -> Iterator[str]:
    """A model's facts, one a line."""
    model = listed.model
    version = f", version `{model.version}`" if model.version else ""
    kind = "" if model.generative else " (drawn, not AI video)"
    yield f"{model.title}{kind}: `{model.remote}`{version}"
    yield f"Makes: {', '.join(sorted(model.modes))}"
    yield f"Price: {cell(prices.in_full(model.prices)) or 'unknown'}"
    yield f"Stopping a running job: {yes(fact=listed.can_cancel)}"
    if model.takes_pictures and listed.provider.base_url:
        yield f"Pictures: {', '.join(listed.picture_formats)}"
    if model.fixed:
        yield "Always sent: " + ", ".join(f"`{name}` = {cell(value)}" for name, value in model.fixed.items())
    if model.sizes:
        pairs = [
            f"{resolution} {ratio} is {' x '.join(cell(value) for value in sent.values())}"
            for resolution, ratios in model.sizes.items()
            for ratio, sent in ratios.items()
        ]
        yield "Sizes: " + ", ".join(pairs)
    if model.notes:
        yield cell(model.notes)
    yield f"Source: {linked(model.source)}, looked at {model.verified}. Confidence: {SURE[model.confidence]}"


def inputs_table(model: Model) -> str:
    """Every input and option."""
    rows = [input_row(model, name, name, spec) for name, spec in model.inputs.items()]
    rows += [input_row(model, f"options.{name}", name, spec) for name, spec in model.options.items()]
    return "\n".join([COLUMNS, *rows])


def input_row(model: Model, argument: str, name: str, spec: Input) -> str:
    """One input."""
    modes = f" ({'/'.join(sorted(spec.modes))})" if spec.modes else ""
    cells = (
        f"`{argument}`{' *' if spec.required else ''}{modes}",
        sent_as(model, name, spec),
        spec.type,
        accepts(spec),
        default(spec),
        about(spec, follows_picture=model.follows_picture(name)),
    )
    return f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |"


def sent_as(model: Model, name: str, spec: Input) -> str:
    """The name on the wire, and what becomes of the value."""
    if spec.unused is not None:
        return "not sent"
    if model.sizes and name in ("resolution", "aspect_ratio"):
        return " and ".join(f"`{wire}`" for wire in sorted(model.size_wires, reverse=True))
    change = f" x {spec.times:g}" if spec.times else ""
    return f"`{model.wire(name, spec)}`{change}" + (f" as `{spec.template}`" if spec.template else "")


def accepts(spec: Input) -> str:
    """What values are accepted."""
    if isinstance(spec.values, dict):
        return ", ".join(f"{ours} (`{theirs}`)" for ours, theirs in spec.values.items())
    if spec.values is not None:
        return ", ".join(map(cell, spec.values))
    parts: list[str] = []
    if spec.min is not None or spec.max is not None:
        parts.append(bounds(spec.min, spec.max))
    if spec.step is not None:
        parts.append(f"steps of {spec.step:g}")
    if spec.max_length is not None:
        parts.append(f"at most {spec.max_length:,} {'entries' if spec.type == 'list' else 'characters'}")
    if spec.unset is not None:
        parts.append(f"{cell(spec.unset)}: the provider's choice")
    return ", ".join(parts)


def default(spec: Input) -> str:
    """What holds without the input."""
    if spec.default is not None:
        return f"{cell(spec.default)}, sent"
    return "" if spec.provider_default is None else cell(spec.provider_default)


def about(spec: Input, *, follows_picture: bool) -> str:
    """What else there is to say."""
    words = [
        f"Makes no difference: {spec.unused}." if spec.unused else cell(spec.about),
        NEAREST if follows_picture else "",
        f"Confidence: {SURE[spec.confidence]}." if spec.confidence else "",
    ]
    return " ".join(filter(None, words))


def lasts(provider: Provider) -> str:
    """How long a result can be downloaded."""
    if provider.base_url is None:
        return "for good"
    return duration(provider.results_seconds) if provider.results_seconds else "not documented"


def duration(seconds: int) -> str:
    """A time in the largest unit that fits."""
    for size, unit in UNITS:
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'s' * (unit == 'day' and count > 1)}"
    return f"{seconds} s"


def cell(value: object) -> str:
    """A value without Python's spelling, and without what Markdown would take for its own."""
    return str(value).lower() if isinstance(value, bool) else str(value).replace("*", r"\*").replace("<", "&lt;")


def linked(source: str) -> str:
    """A source, as a link where it is nothing but a URL."""
    return f"<{source}>" if source.startswith("https://") and " " not in source and "," not in source else source


def yes(*, fact: bool) -> str:
    """Yes or no."""
    return "yes" if fact else "no"
