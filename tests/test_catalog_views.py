"""What is shown of models: a line to choose by, everything about one, and the pages of the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from keyframe_mcp import catalog
from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.inputs import Entry
from keyframe_mcp.cli.doctor import catalogue
from keyframe_mcp.docs import fields, providers
from keyframe_mcp.server.model_views import InputView, ModelsView, ModelView, model_view
from studio import settings_in

OURS = catalog.load()
EVERY = list(OURS.models())


def whole(model_id: str) -> ModelView:
    return model_view(OURS.find(model_id), configured=True, whole=True)


def inputs(view: ModelView) -> dict[str, InputView]:
    assert isinstance(view.inputs, dict)
    return view.inputs


def test_the_list_of_models_stays_small():
    views = [model_view(each, configured=False, whole=False) for each in EVERY]

    assert len(json.dumps(ModelsView(models=views, next_step="...").data())) < 350 * len(views)


def test_one_model_whole_stays_readable():
    assert max(len(json.dumps(whole(each.id).data())) for each in EVERY) < 4_000


def test_a_line_says_what_is_needed_and_what_is_accepted():
    view = model_view(OURS.find("wavespeed/wan-flf2v"), configured=True, whole=False)

    assert view.inputs == (
        "first_image*, last_image*, prompt, negative_prompt, duration 5/10, resolution 480p/720p, "
        "aspect_ratio 16:9/9:16, num_inference_steps 1-40 (30), guidance_scale 0-20 (5), seed"
    )
    assert view.price == "$0.3-0.6 a video"


def test_what_is_filled_in_is_not_asked_for():
    view = model_view(OURS.find("baicai/viduq2-pro-flf2v-fast"), configured=True, whole=False)

    assert isinstance(view.inputs, str)
    assert "prompt*" in view.inputs
    assert "duration 5/6/8" in view.inputs
    assert "aspect_ratio" not in view.inputs  # it makes no difference
    assert whole("siliconflow/wan2.2-t2v").options is not None
    assert (whole("siliconflow/wan2.2-t2v").options or {})["image_size"].required is None


def test_what_the_provider_does_by_itself_is_shown_as_the_default():
    view = whole("wavespeed/framepack")

    assert inputs(view)["resolution"].default == "720p"
    assert (view.options or {})["num_frames"].default == 180
    assert inputs(whole("siliconflow/wan2.2-i2v"))["aspect_ratio"].values == ["16:9", "9:16", "1:1"]


def test_everything_about_a_model_is_shown():
    view = whole("replicate/stable-diffusion-animation")

    assert view.can_cancel is True
    assert view.confidence == "high, from the provider's own pages or code"
    assert view.sizes == "512p with 1:1, 3:2, 2:3, 2:1; 768p with 1:1, 4:3"
    assert view.remote == "andreasjansson/stable-diffusion-animation"
    assert whole("gateway/stable-diffusion-animation").can_cancel is False
    assert inputs(whole("gateway/stable-diffusion-animation"))["seed"].confidence == "low, inferred"
    assert inputs(view)["seed"].random == -1


def test_a_picture_that_decides_the_shape_is_mentioned():
    for model_id in ("wavespeed/framepack", "wavespeed/wan-flf2v", "siliconflow/wan2.2-i2v"):
        assert "nearest to the first picture" in (inputs(whole(model_id))["aspect_ratio"].about or "")
    assert inputs(whole("siliconflow/wan2.2-t2v"))["aspect_ratio"].about is None


def test_every_price_is_told():
    assert whole("wavespeed/wan-flf2v").price == (
        "$0.3 a video with duration 5, size 832*480/480*832; $0.45 a video with duration 10, size 832*480/480*832; "
        "$0.4 a video with duration 5, size 1280*720/720*1280; $0.6 a video with duration 10, size 1280*720/720*1280"
    )
    assert whole("siliconflow/wan2.2-t2v").price == "unknown"
    assert whole("local/morph").price == "free, drawn on this machine"


def test_an_experimental_provider_is_marked_in_both_views():
    short = model_view(OURS.find("baicai/viduq2-pro-flf2v-fast"), configured=True, whole=False)

    assert short.title == "Vidu Q2 Pro fast (experimental)"
    assert "Only submitting is documented" in (whole("baicai/viduq2-pro-flf2v-fast").experimental or "")


def test_a_key_that_is_missing_is_named():
    view = model_view(OURS.find("wavespeed/framepack"), configured=False, whole=True)

    assert (view.configured, view.needs_key) == (False, "WAVESPEED_API_KEY")


def test_picture_formats_are_the_models_own_or_the_providers():
    assert whole("wavespeed/kling-v1.6-i2v-pro").picture_formats == ["png", "jpeg"]
    assert "webp" in (whole("wavespeed/wan-flf2v").picture_formats or [])
    assert whole("siliconflow/wan2.2-t2v").picture_formats is None


# The pages


PAGES = providers.provider_pages()


@pytest.mark.parametrize("listed", EVERY, ids=lambda listed: listed.id)
def test_every_input_of_every_model_is_on_the_page(listed: Listed):
    page = PAGES.partition(f"### `{listed.id}`")[2].partition("### ")[0]

    assert all(f"| `{name}`" in page for name in listed.model.inputs)
    assert all(f"| `options.{name}`" in page for name in listed.model.options)
    assert listed.model.source in page
    assert str(listed.model.verified) in page


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    rows = [line for line in PAGES.splitlines() if line.startswith("|")]

    assert {line.replace("\\|", "").count("|") for line in rows} == {7}


def test_stars_of_sizes_are_no_emphasis():
    assert r"832\*480" in PAGES
    assert "832*480" not in PAGES


def test_every_provider_is_in_the_overview():
    table = providers.providers_table()

    assert all(f"(#{provider_id})" in table for provider_id in OURS.providers)
    assert all(f"\n## {provider_id}\n" in f"\n{PAGES}" for provider_id in OURS.providers)


@pytest.mark.parametrize(("seconds", "words"), [(604_800, "7 days"), (3600, "1 h"), (600, "10 min"), (90, "90 s")])
def test_times_are_told_in_the_largest_unit_that_fits(seconds: int, words: str):
    assert providers.duration(seconds) == words


@pytest.mark.parametrize("table", [table for _, table in fields.TABLES], ids=lambda table: table.__name__)
def test_every_field_of_a_catalogue_file_is_explained(table: type[Entry]):
    found = dict(fields.described(table))

    assert found.keys() == table.model_fields.keys()
    assert all(about.endswith(".") for about in found.values())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(86_400, "1 day"), (604_800, "7 days"), (3600, "1 h"), (600, "10 min"), (90_000, "25 h"), (61, "61 s")],
)
def test_a_time_is_in_the_largest_unit_that_fits(seconds: int, words: str):
    assert providers.duration(seconds) == words


def acme(**facts: Any) -> Provider:
    """A provider on the network."""
    told = {"name": "Acme", "dialect": "wavespeed", "base_url": "https://acme.example", "docs": "-", "key": "ACME_KEY"}
    return Provider.model_validate({**told, "models": [], **facts})


def test_how_the_key_travels_is_shown_where_it_is_not_as_usual():
    assert "Key: `ACME_KEY`" in list(providers.provider_lines(acme()))
    assert "Key: `ACME_KEY`, sent as `X-Key: {}`" in list(providers.provider_lines(acme(key_as="X-Key: {}")))


def test_a_provider_that_takes_only_urls_of_pictures_is_shown_as_one():
    assert "only as public https URLs" in providers.pictures(acme(pictures={"by": "url"}))
    assert "in the request, as `data:` URIs" in providers.pictures(acme())


def test_doctor_counts_one_model_and_many_models(tmp_path: Path):
    told = catalogue(settings_in(tmp_path))

    assert "baicai (1 model)" in told
    assert re.search(r"wavespeed \(\d+ models\)", told)
