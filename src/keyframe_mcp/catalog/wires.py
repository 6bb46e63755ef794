"""Where wire names lead in a request, so that no two inputs of a model want the same place."""

from __future__ import annotations

from collections.abc import Iterable

Step = str | int


def collision(names: Iterable[str]) -> tuple[str, str] | None:
    """Two different names that cannot be in one request: `images` and `images[0]`, `input` and `input.prompt`."""
    every = sorted(set(names))
    nested = [name for name in every if not name.isidentifier()]  # plain words are never in each other's way
    for name in nested:
        place = steps(name)
        for other in every:
            if other != name and are_in_the_way(place, steps(other)):
                return min(name, other), max(name, other)
    return None


def steps(name: str) -> tuple[Step, ...]:
    """`input.images[0]` as input, images, 0. A header is one step; the case of its letters means nothing."""
    if name.startswith("header:"):
        return (name.lower(),)
    found: list[Step] = []
    for part in name.split("."):
        word, bracket, index = part.partition("[")
        found += [word, int(index.removesuffix("]"))] if bracket else [word]
    return tuple(found)


def are_in_the_way(one: tuple[Step, ...], other: tuple[Step, ...]) -> bool:
    """Whether one place is inside the other or the same, or both make one thing a list and a table."""
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            return isinstance(mine, int) is not isinstance(theirs, int)
    return True
