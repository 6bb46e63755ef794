"""What a field of a reply may be. Only the id of a job, or its state, is ever required; the rest is ornament.

An ornament of a shape nobody expects is taken for absent: it must not hide a job that was paid for.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BeforeValidator, ValidatorFunctionWrapHandler, WrapValidator

T = TypeVar("T")

LONGEST_ID = 200


def or_none(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """The value, or None where it is not what it should be."""
    try:
        return handler(value)
    except ValueError:
        return None


def remote_id(value: object) -> str:
    """A job's id as text. Raises `ValueError` for what cannot be one."""
    is_one = isinstance(value, str | int) and not isinstance(value, bool)
    text = str(value) if is_one else ""
    if not is_remote_id(text):
        raise ValueError(f"not 1 to {LONGEST_ID} printable characters")
    return text


def is_remote_id(text: str) -> bool:
    """Whether a text can stand for a job in a path, a table and a message."""
    fits = 0 < len(text) <= LONGEST_ID and text.isprintable()
    return fits and bool(text.strip(".")) and not any(each.isspace() for each in text)


def number(value: object) -> object:
    """Anything but yes and no, which count as numbers elsewhere. Raises `ValueError`."""
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic passes on only this kind
    return value


Lenient = Annotated[T | None, WrapValidator(or_none)]
"""An ornament."""

RemoteId = Annotated[str, BeforeValidator(remote_id)]
Number = Annotated[float, BeforeValidator(number)]
Whole = Annotated[int, BeforeValidator(number)]
