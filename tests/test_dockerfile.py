"""The image's recipe, read; where no image can be built these promises are all there is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyframe_mcp import __version__
from keyframe_mcp.cli.serve import serve
from keyframe_mcp.docs import registry
from keyframe_mcp.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction with what follows, over line ends and without comments."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest


STEPS = list(instructions(TEXT))
LAST_STAGE = STEPS[max(place for place, (word, _) in enumerate(STEPS) if word == "FROM") :]


def values(word: str) -> list[str]:
    return [rest for each, rest in LAST_STAGE if each == word]


def test_it_ends_as_a_user_without_rights_who_owns_what_is_kept():
    (user,) = values("USER")
    (volume,) = values("VOLUME")
    places = dict(re.findall(r"(\w+)=(\S+)", " ".join(values("ENV"))))

    assert int(user.partition(":")[0]) > 0
    assert f"chown -R {user} {volume}" in " ".join(values("RUN"))
    assert LAST_STAGE.index(("USER", user)) > max(place for place, each in enumerate(LAST_STAGE) if each[0] == "RUN")
    # with a read-only root, this is all that can be written
    kept = [places["HOME"], places["KEYFRAME_STATE_DIR"], places["KEYFRAME_OUTPUT_DIR"]]
    assert all(Path(each).is_relative_to(volume) for each in kept)


def test_its_variables_are_settings_and_none_is_a_key():
    named = set(re.findall(rf"\b{PREFIX}\w+", TEXT))

    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}
    assert not re.search(r"(_KEY|_TOKEN|_TOKENS|SECRET)\b", TEXT)


def test_no_host_of_a_registry_is_named():
    images = [rest.split()[0] for word, rest in STEPS if word == "FROM"]

    assert images == ["python:${PYTHON}-slim"] * 2
    assert not re.findall(r"https?://(?!127\.0\.0\.1)\S+", TEXT)


def test_its_python_version_and_labels_are_those_of_the_package():
    (python,) = re.findall(r"^ARG PYTHON=(\S+)$", TEXT, re.MULTILINE)
    labels = dict(re.findall(r'([\w.]+)="([^"]*)"', " ".join(values("LABEL"))))

    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["io.modelcontextprotocol.server.name"] == registry.NAME


def test_its_extras_are_ones_the_package_has():
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", TEXT, re.MULTILINE)

    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()


def test_the_command_is_one_and_health_is_asked_where_it_listens():
    (entry,), (arguments,), (health,) = (values(word) for word in ("ENTRYPOINT", "CMD", "HEALTHCHECK"))
    command = json.loads(arguments)
    with serve.make_context("serve", command[1:]) as context:
        port, transport = context.params["port"], context.params["transport"]

    assert json.loads(entry) == [next(iter(PROJECT["scripts"]))]
    assert transport == "http"
    assert values("EXPOSE") == [str(port)]
    assert f"http://127.0.0.1:{port}/health" in health
    compile(json.loads(health[health.index("[") :])[2], "HEALTHCHECK", "exec")


def test_health_is_a_path_of_the_application():
    sources = (ROOT / "src" / "keyframe_mcp" / "server" / "http").rglob("*.py")

    assert any('"/health"' in path.read_text("utf-8") for path in sources)


@pytest.mark.parametrize("copied", [each for word, rest in STEPS if word == "COPY" for each in rest.split()[:-1]])
def test_what_is_copied_is_there_and_sent_to_the_builder(copied: str):
    sent = [each[1:] for each in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if each.startswith("!")]
    if copied.startswith(("--from", "/")):
        return

    assert (ROOT / copied).exists()
    assert any(copied == each or copied.startswith(f"{each}/") for each in sent)
