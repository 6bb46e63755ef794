"""How a picture or a video is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyframe_mcp.errors import InvalidInput
from keyframe_mcp.media.references import (
    At,
    DataReference,
    PathReference,
    Reference,
    TaskReference,
    UrlReference,
    parse,
    shortened,
)

ID = "kf_" + "abcdefghijklmnopqrstuvwxyz234567"[:26]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (ID, None),
        (f"task:{ID}", None),
        (f"  task:{ID}\n", None),
        (f"{ID}#first", "first"),
        (f"task:{ID}#first", "first"),
        (f"task:{ID}#last", "last"),
        (f"task:{ID}@2.5", 2.5),
        (f"{ID}@0", 0.0),
        (f"task:{ID}@.5", 0.5),
        (f"task:{ID}@10.", 10.0),
    ],
)
def test_an_earlier_task_is_named_by_its_id_and_perhaps_a_moment(text: str, at: At | None):
    assert parse(text) == TaskReference(ID, at)


@pytest.mark.parametrize(
    "url",
    [
        "https://pictures.example/fox.png",
        "HTTPS://PICTURES.EXAMPLE/FOX.PNG",
        "https://pictures.example/fox.png?signature=a%2Fb#part",
        "http://pictures.example/fox.png",
    ],
)
def test_a_url_is_kept_as_it_was_written(url: str):
    assert parse(f" {url} ") == UrlReference(url)


@pytest.mark.parametrize(
    "path",
    [
        "fox.png",
        "./fox.png",
        "../fox.png",
        "/pictures/fox.png",
        "~/fox.png",
        r"C:\pictures\fox.png",
        "c:/pictures/fox.png",
        r"\\server\share\fox.png",
        "a picture of a fox.png",
        "fox.png?v=1",
        "./odd:name.png",
        "kf_short",
        f"{ID}.png",
        "лиса.png",
    ],
)
def test_anything_else_that_is_no_scheme_is_a_path(path: str):
    assert parse(path) == PathReference(path)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "it is empty; give a path, an https URL or task:<id>"),
        (" \n", "it is empty; give a path, an https URL or task:<id>"),
        ("task:", "write task:<id>"),
        ("task:two words", "write task:<id>"),
        ("task:" + "a" * 81, "write task:<id>"),
        (f"task:{ID}#middle", "task:<id>#first"),
        (f"task:{ID}@-1", "task:<id>@2.5"),
        (f"task:{ID}@", "task:<id>@2.5"),
        (f"task:{ID}@1.2.3", "@1.2.3 is not a number of seconds; write for example task:<id>@2.5"),
        (f"task:{ID}@.", "@. is not a number of seconds"),
        (f"task:{ID}@{'9' * 400}", "is not a number of seconds"),
        (f"task:{ID}@nan", "task:<id>@2.5"),
        ("task:../" + ID, "write task:<id>"),
        ("data:image/png,iVBORw0KGgo=", "write data:image/png;base64,<base64>"),
        ("data:image/png;base64,iVBORw0KGg", "may have been cut off"),
        ("DATA:image/png;base64,iVBORw0KGgo=", "give a path, an https URL or task:<id>"),
        ("file:///etc/passwd", "file: is not accepted; give a path, an https URL or task:<id>"),
        ("ftp://pictures.example/fox.png", "ftp: is not accepted; give a path"),
        ("s3://bucket/fox.png", "s3: is not accepted; give a path"),
        ("javascript:alert(1)", "javascript: is not accepted"),
        ("blob:https://pictures.example/1", "blob: is not accepted"),
    ],
)
def test_what_is_none_of_the_three_is_refused_with_words_that_help(text: str, advice: str):
    with pytest.raises(InvalidInput) as caught:
        parse(text)

    assert advice in str(caught.value)


def test_the_picture_in_a_damaged_data_uri_is_not_repeated():
    with pytest.raises(InvalidInput) as caught:
        parse("data:image/png;base64," + "QUJD" * 1000 + "!")

    assert "QUJD" not in str(caught.value)


@pytest.mark.parametrize("text", ["data:image/png;base64,QUJD", "data:image/png;base64, QUJD", "data:;base64,QU\nJD"])
def test_a_picture_may_travel_in_the_call(text: str):
    assert parse(text) == DataReference(b"ABC")


def test_a_picture_that_travelled_is_not_kept_in_the_request():
    assert (
        shortened("data:image/png;base64," + "QUJD" * 1000)
        == "data:image/png;base64,QUJDQUJDQUJDQUJDQU... (4,022 characters)"
    )
    assert shortened("https://pictures.example/fox.png") == "https://pictures.example/fox.png"


@given(st.one_of(st.text(), st.text().map(lambda end: f"task:{ID}{end}"), st.text().map(lambda end: f"https:{end}")))
def test_any_text_is_one_of_the_three_or_refused(text: str):
    assert outcome(text)


def outcome(text: str) -> Reference | str:
    try:
        return parse(text)
    except InvalidInput as error:
        return str(error)
