"""The life of a task."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from keyframe_mcp.errors import InvalidInput, ProviderBusy
from keyframe_mcp.task import NEXT, Failure, Inputs, Mode, Status, Task

FINAL = [status for status in Status if status.is_final]
OPEN = [status for status in Status if not status.is_final]


def reachable(status: Status) -> set[Status]:
    """Every status some chain of moves leads to."""
    found: set[Status] = set()
    waiting = [status]
    while waiting:
        for following in NEXT[waiting.pop()] - found:
            found.add(following)
            waiting.append(following)
    return found


def test_every_status_has_its_moves_written_down():
    assert set(NEXT) == set(Status)


def test_the_final_statuses_are_the_three_that_end_a_task():
    assert set(FINAL) == {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}


@pytest.mark.parametrize("status", FINAL)
def test_a_final_status_has_no_way_out(status: Status):
    assert not NEXT[status]


@pytest.mark.parametrize("status", OPEN)
def test_every_other_status_can_still_end_well_or_badly(status: Status):
    assert {Status.SUCCEEDED, Status.FAILED} <= reachable(status)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_comes_after_queued_and_none_leads_to_itself(status: Status):
    assert status in {Status.QUEUED} | reachable(Status.QUEUED)
    assert status not in NEXT[status]


def test_what_may_have_been_billed_is_never_sent_saved_or_finished_without_evidence():
    assert not NEXT[Status.UNKNOWN] & {Status.SUBMITTING, Status.SAVING, Status.SUCCEEDED}


def test_only_a_queued_task_is_sent_and_only_a_saved_one_succeeds():
    assert [status for status in Status if Status.SUBMITTING in NEXT[status]] == [Status.QUEUED]
    assert [status for status in Status if Status.SUCCEEDED in NEXT[status]] == [Status.SAVING]


def test_waiting_is_pointless_for_final_tasks_and_for_those_a_person_has_to_look_at():
    assert {status for status in Status if status.is_settled} == {*FINAL, Status.UNKNOWN}


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_has_words_for_people(mode: Mode):
    assert mode.meaning


def test_only_what_the_caller_set_is_given():
    request = Inputs(mode=Mode.T2V, prompt="a fox", seed=0, options={"fps": 8})

    assert request.given() == {"prompt": "a fox", "seed": 0}


def test_a_misspelled_input_is_an_error_and_not_ignored():
    with pytest.raises(ValidationError, match="promt"):
        Inputs.model_validate({"mode": "t2v", "promt": "a fox"})


def test_a_task_is_replaced_and_never_mutated():
    task = a_task()

    with pytest.raises(ValidationError, match="frozen"):
        setattr(task, "status", Status.FAILED)  # noqa: B010 - the type checker knows as well


def test_a_task_comes_back_from_json_as_it_was():
    failure = Failure.of(ProviderBusy("slow down"))
    task = a_task().model_copy(update={"failure": failure, "warnings": ("one",), "status": Status.QUEUED})

    assert Task.model_validate_json(task.model_dump_json()) == task


def test_a_failure_remembers_what_the_error_was_and_what_helps():
    failure = Failure.of(ProviderBusy("slow down"))

    assert failure == Failure(kind="provider_busy", message="slow down", fix=ProviderBusy.fix, retryable=True)


def a_task() -> Task:
    return Task(
        id="kf_a",
        owner="local",
        mode=Mode.T2V,
        model="local/storyboard",
        provider="local",
        request={"prompt": "a fox"},
        wire={"prompt": "a fox"},
        request_hash="hash",
        created_at=1.0,
        updated_at=1.0,
    )


NUMBERS = ["duration", "seed", "num_inference_steps", "guidance_scale", "num_outputs"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [True, False])
def test_a_switch_is_no_number(name: str, value: bool):
    with pytest.raises(ValidationError, match="True and false are not numbers"):
        Inputs.model_validate({"mode": "t2v", name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_may_be_written_as_text(name: str):
    assert getattr(Inputs.model_validate({"mode": "t2v", name: "1"}), name) == 1


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"prompt": "a fox \ud83d"}, "prompt"),
        ({"first_image": "\udc00.png"}, "first_image"),
        ({"options": {"style": "\ud83d"}}, "options.style"),
        ({"options": {"shots": [{"prompt": "\ud83d"}]}}, "options.shots"),
        ({"options": {"\ud83d": 1}}, r"options.\ud83d"),
    ],
)
def test_half_a_character_is_refused_with_the_argument_it_is_in(given: dict[str, object], named: str):
    with pytest.raises(InvalidInput) as caught:
        Inputs.model_validate({"mode": "t2v"} | given)

    assert [problem.argument for problem in caught.value.problems] == [named]
    assert str(caught.value).isascii()


def test_whole_characters_of_any_plane_are_text():
    assert Inputs.model_validate({"mode": "t2v", "prompt": "a 🦊", "options": {"é": ["🦊"]}}).prompt == "a 🦊"
