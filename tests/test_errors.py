"""The tree of errors, as it is drawn and as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from keyframe_mcp import errors
from keyframe_mcp.errors import InvalidInput, KeyframeError, Problem, ProviderBusy, by_kind, kind_of

DRAWN = re.compile(r"^(?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+)")


def drawn() -> list[tuple[int, str]]:
    """Depth and name of every line of the tree in the docstring."""
    lines = (errors.__doc__ or "").splitlines()[1:]
    found = [match for line in lines if (match := DRAWN.match(line))]
    return [(len(match["branches"]) // 4, match["name"]) for match in found]


def real(error: type[KeyframeError] = KeyframeError, depth: int = 0) -> Iterator[tuple[int, str]]:
    yield depth, error.__name__
    for child in error.__subclasses__():
        yield from real(child, depth + 1)


EVERY = sorted(by_kind().items())


def test_the_tree_in_the_docstring_is_the_real_one():
    assert drawn() == list(real())


def test_every_kind_is_unique():
    assert len(by_kind()) == len(list(real()))


@pytest.mark.parametrize(("kind", "error"), EVERY)
def test_an_error_found_by_its_kind_is_of_that_kind_and_says_what_it_was_told(kind: str, error: type[KeyframeError]):
    raised = error("what happened")

    assert (raised.kind, kind_of(error), str(raised)) == (kind, kind, "what happened")
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind)


@pytest.mark.parametrize(("kind", "error"), EVERY)
def test_an_error_that_was_told_nothing_says_its_docstring(kind: str, error: type[KeyframeError]):
    assert error.__doc__
    assert str(error()) == error.__doc__.strip()


@pytest.mark.parametrize(("kind", "error"), [(kind, error) for kind, error in EVERY if error is not KeyframeError])
def test_every_error_says_what_to_do_next(kind: str, error: type[KeyframeError]):
    assert error.fix.endswith(".")


def test_an_invalid_input_names_every_problem():
    error = InvalidInput(problems=[Problem("duration", "7 is too long"), Problem("seed", "it is negative")])

    assert str(error) == "duration: 7 is too long; seed: it is negative"
    assert [problem.argument for problem in error.problems] == ["duration", "seed"]


def test_a_busy_provider_says_how_long_to_wait():
    assert ProviderBusy("slow down", retry_after=7).retry_after == 7
    assert ProviderBusy().retry_after is None


@pytest.mark.parametrize(
    ("error", "outlook"),
    [
        (errors.InvalidInput, "To mend: you. The same call again: no use."),
        (errors.NotReady, "To mend: you. The same call again: may work later."),
        (errors.MissingCredential, "To mend: whoever runs this server. The same call again: no use."),
        (errors.OutputUnwritable, "To mend: whoever runs this server. The same call again: may work later."),
        (errors.ProviderRefused, "To mend: the provider, or you with another request. The same call again: no use."),
    ],
)
def test_an_error_says_whose_it_is_to_mend_and_whether_to_try_again(error: type[errors.KeyframeError], outlook: str):
    assert error.outlook() == outlook
