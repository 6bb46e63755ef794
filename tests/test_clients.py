"""What `make clients` drives other people's clients with: it notices what a client or the server gets wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clients.roster import CLIENTS, NEEDS
from clients.story import Script, Seen, Story, StoryBroken

TASK = "kf_abcdefghijklmnopqrstuvwxyz"
REFUSED = Seen("num_inference_step is not an argument; did you mean num_inference_steps?", is_error=True)
IMAGES = ("first.png", "last.png")


def test_a_client_that_hides_why_a_call_was_refused_breaks_the_story():
    script = Script(Story(IMAGES))
    script.next(None)

    with pytest.raises(StoryBroken, match="Please try again"):
        script.next(Seen("An error occurred. Please try again.", is_error=True))


def test_a_client_that_shows_only_a_sentence_gets_on_and_is_said_to_hide_the_next_step():
    story = Story(IMAGES)
    script = Script(story)
    script.next(None)
    script.next(REFUSED)
    call = script.next(Seen(f"Task {TASK} is running."))

    assert call is not None
    assert (call.tool, call.arguments["task_id"]) == ("get_task", TASK)
    assert story.hidden == ["what to do next", "that a preview is not AI video"]
    assert story.shown == {"text"}


def test_a_client_that_drops_pictures_breaks_the_story():
    script = Script(Story(IMAGES))
    for seen in (None, REFUSED, Seen(f"Task {TASK} is running."), Seen(f"Task {TASK} succeeded: a.mp4")):
        script.next(seen)

    with pytest.raises(StoryBroken, match="no picture"):
        script.next(Seen("Contact sheet, left to right"))


def test_a_task_that_failed_breaks_the_story():
    script = Script(Story(IMAGES))
    for seen in (None, REFUSED, Seen(f"Task {TASK} is running.")):
        script.next(seen)

    with pytest.raises(StoryBroken, match="did not end well"):
        script.next(Seen(f"Task {TASK} failed: no reason"))


def test_every_client_has_a_program():
    here = NEEDS.parent

    assert {each.name for each in CLIENTS} == {path.stem.removeprefix("with_") for path in here.glob("with_*.py")}


@pytest.mark.parametrize("path", sorted(NEEDS.rglob("*.*")), ids=lambda path: str(path.relative_to(NEEDS)))
def test_what_a_client_needs_is_bounded_and_names_no_address(path: Path):
    text = path.read_text("utf-8")

    assert "://" not in text
    if path.suffix == ".txt":
        assert all(re.search(r">=[\d.]+,<\d", line) for line in text.splitlines())
    else:
        assert path.name == "package.json"
        assert all(version.startswith("^") for version in re.findall(r'": "([^"]+)"', text))
