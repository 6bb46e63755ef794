"""Finding a model for a video: by what it can do and what that costs, judged as a real request is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.catalog.requests import check
from keyframe_mcp.catalog.searching import Wish, search
from keyframe_mcp.errors import InvalidInput, UnknownModel
from keyframe_mcp.server import build_server
from keyframe_mcp.server.arguments import ListModels
from keyframe_mcp.server.model_list import listing
from keyframe_mcp.server.model_views import ModelsView
from keyframe_mcp.server.outline import outline
from keyframe_mcp.task import Inputs, Mode
from studio import ME, open_server_inside

OURS = catalogs.load()
EVERYTHING = frozenset(OURS.providers)
NEEDED = {
    Mode.FLF2V: {"first_image": "a.png", "last_image": "b.png", "prompt": "p"},
    Mode.I2V: {"image": "a.png", "prompt": "p"},
    Mode.T2V: {"prompt": "p"},
    Mode.ANIMATION: {"prompt_start": "p", "prompt_end": "q"},
}


def listed(**words: Any) -> ModelsView:
    return listing(ListModels.model_validate(words), OURS, EVERYTHING)


def named(view: ModelsView) -> list[str]:
    return [each.model for each in view.models]


def test_one_call_finds_the_cheapest_model_for_a_long_portrait_between_two_frames():
    view = listed(mode="flf2v", duration=10, aspect_ratio="9:16", sort="price")
    drawn, cheapest, *_ = view.models

    assert (drawn.model, drawn.price_usd, drawn.generative) == ("local/morph", 0, False)
    assert (cheapest.model, cheapest.price_usd) == ("wavespeed/wan-flf2v", 0.45)
    assert cheapest.price == "$0.45 a video with duration 10, size 480*832"
    assert "wavespeed/wan-2.2-i2v-480p-ultra-fast" not in named(view)  # 5 or 8 s only
    prices = [each.price_usd for each in view.models]
    assert prices == sorted(prices, key=lambda usd: float("inf") if usd is None else usd)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    "wish",
    [{"duration": 10}, {"resolution": "720p"}, {"aspect_ratio": "9:16", "duration": 5}, {"resolution": "480p"}, {}],
)
def test_what_fits_is_what_a_real_request_would_pass(mode: Mode, wish: dict[str, Any]):
    models = list(OURS.models(mode))
    fitting = {each.listed.id: each for each in search(models, Wish(mode=mode, **wish)).fitting}

    for each in models:
        needed = {name: text for name, text in NEEDED[mode].items() if name in each.model.inputs_for(mode)}
        request = Inputs.model_validate({"mode": mode} | needed | wish)
        real = check(each.id, each.model, request)
        assert (each.id in fitting) == (not real.problems), (each.id, real.problems)
        if not real.problems:
            assert fitting[each.id].cost == each.cost(real.wire)


def test_a_highest_price_leaves_out_what_is_dearer_and_says_how_many_prices_nobody_knows():
    view = listed(mode="flf2v", duration=5, max_price_usd=0.31)

    assert {"local/morph", "wavespeed/wan-flf2v"} <= set(named(view))
    assert all(each.price_usd is not None and each.price_usd <= 0.31 for each in view.models)
    everything = search(OURS.models(Mode.FLF2V), Wish(mode=Mode.FLF2V, duration=5)).fitting
    unknown = sum(each.cost.estimated_usd is None for each in everything)
    assert f"{unknown} that can w" in view.next_step
    assert "left out by max_price_usd: nobody knows the price" in view.next_step


def test_when_nothing_fits_it_is_said_what_keeps_the_nearest():
    view = listed(mode="flf2v", duration=10, provider="baicai")

    assert view.models == []
    assert view.nearest == ["baicai/viduq2-pro-flf2v-fast: duration: 10 is not one of 5, 6, 8; nearest: 8"]
    assert "Relax" in view.next_step
    assert "10 is not one of 5, 6, 8" in outline(view.data())


def test_a_price_that_is_too_high_is_named_as_what_keeps_a_model():
    view = listed(mode="flf2v", duration=5, provider="wavespeed", max_price_usd=0.01, query="wan-flf2v")

    assert view.nearest == ["wavespeed/wan-flf2v: max_price_usd: this video costs $0.3"]


def test_models_that_follow_the_picture_are_named_where_an_aspect_ratio_keeps_them():
    view = listed(mode="flf2v", duration=5, aspect_ratio="9:16", sort="price")

    assert "wavespeed/wan-2.2-i2v-480p-ultra-fast" not in named(view)
    assert "Without aspect_ratio, in the shape of the picture: wavespeed/wan-2.2-i2v-480p-ultra-fast ($0.05)" in (
        view.next_step
    )


def test_a_resolution_spelled_strangely_is_judged_by_the_models_which_name_the_nearest():
    view = listed(mode="t2v", resolution="720P", provider="local")

    assert view.nearest == ["local/storyboard: resolution: '720P' is not one of 480p, 720p, 1080p; nearest: 720p"]


def test_without_a_mode_every_model_is_judged_in_each_of_its_modes():
    view = listed(duration=10, provider="wavespeed", query="hailuo")

    (hailuo,) = view.models
    assert hailuo.modes == [Mode.FLF2V, Mode.I2V, Mode.T2V]
    assert listed(duration=10, mode="t2v", query="hailuo").models[0].modes is None


def test_what_was_asked_for_is_not_repeated_for_every_model():
    (model,) = listed(mode="flf2v", duration=10, query="wavespeed/wan-flf2v").models

    assert model.modes is None
    assert isinstance(model.inputs, str)
    assert "duration" not in model.inputs
    assert len(json.dumps(listed(mode="flf2v", duration=5).data())) < len(json.dumps(listed(mode="flf2v").data())) + 600


def test_a_mode_alone_lists_its_models_with_the_prices_as_they_are_listed():
    view = listed(mode="flf2v", query="wavespeed/wan-flf2v")

    assert (view.models[0].price, view.models[0].price_usd) == ("$0.3-0.6 a video", None)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("wavespeeed", "did you mean wavespeed?"),
        ("silicon", "did you mean siliconflow?"),
        ("fal", "there are baicai, gateway, local, replicate, siliconflow, wavespeed"),
    ],
)
def test_an_unknown_provider_is_refused_with_those_there_are(asked: str, told: str):
    with pytest.raises(InvalidInput) as caught:
        listed(provider=asked)

    assert told in str(caught.value)


def test_a_provider_is_known_by_its_name_too():
    assert named(listed(provider="WaveSpeedAI")) == named(listed(provider="wavespeed"))


def test_a_provider_that_does_not_do_a_mode_says_what_its_models_do():
    view = listed(provider="baicai", mode="t2v")

    assert view.nearest == [
        "baicai/viduq2-pro-flf2v-fast: model: baicai/viduq2-pro-flf2v-fast does not do t2v; it does flf2v"
    ]


def test_words_no_model_has_say_so():
    assert "query" in listed(query="no such words").next_step


def test_one_model_is_judged_too_and_shown_whole():
    cannot = listed(model="wavespeed/wan-flf2v", duration=7)
    assert isinstance(cannot.models[0].inputs, dict)
    assert "cannot make this: duration: 7 is not one of 5, 10; nearest: 5" in cannot.next_step
    can = listed(model="wavespeed/wan-flf2v", duration=10, max_price_usd=1)
    assert (can.models[0].price_usd, can.next_step[:17]) == (0.45, "It can make this.")
    elsewhere = listed(model="wavespeed/wan-flf2v", provider="local")
    assert "one of wavespeed's" in elsewhere.next_step
    with pytest.raises(InvalidInput, match="query: leave it out"):
        listed(model="wavespeed/wan-flf2v", query="wan")
    with pytest.raises(UnknownModel, match="did you mean"):
        listed(model="wavespeed/wan-flf2w", duration=5)


def test_models_whose_key_is_set_come_first_unless_the_price_decides():
    asked = ListModels.model_validate({"mode": "flf2v"})
    view = listing(asked, OURS, {"wavespeed"})

    assert [each.configured for each in view.models] == sorted((each.configured for each in view.models), reverse=True)


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_an_agent_asks_for_a_video_and_gets_models_with_prices(tmp_path: Path, era: str):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME), mode=era) as client:
        asked = {"mode": "flf2v", "duration": 10, "aspect_ratio": "9:16", "sort": "price", "max_price_usd": 0.5}
        found = await client.call_tool("list_models", asked)
        assert found.structured_content is not None
        assert [each["model"] for each in found.structured_content["models"]] == ["local/morph", "wavespeed/wan-flf2v"]
        odd = await client.call_tool("list_models", {"sort": "name"})
        assert odd.is_error
        assert "sort: input should be 'price'" in str(odd.content)
