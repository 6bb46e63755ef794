"""What whoever runs the server can set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.settings import LOG_LEVELS, PREFIX, Settings, base_url_variable, is_set, read_settings, strangers

SHOW = """
import os
from pathlib import Path
from keyframe_mcp.settings import read_settings
print(read_settings(os.environ, Path.cwd(), Path.home()).model_dump_json())
"""


def settings(given: Mapping[str, str], working_dir: Path = Path("/srv/project"), home: Path = Path("/home/me")):
    return read_settings({PREFIX + name: value for name, value in given.items()}, working_dir, home)


SECRET = "sk-canary-0123456789"  # noqa: S105 - the word to look for


def with_providers(**variables: str) -> Settings:
    """Settings of an environment that also has keys and hosts of providers."""
    return read_settings(variables, Path("/srv/project"), Path("/home/me"))


def shown(environment: Mapping[str, str], working_dir: Path) -> dict[str, str]:
    """The settings a process with only this environment has."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(
        command, env={**kept, **environment}, cwd=working_dir, capture_output=True, text=True, timeout=30, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of other platforms are elsewhere")
def test_the_default_folders_are_where_the_platform_keeps_such_things(tmp_path: Path):
    home = tmp_path / "home"
    working_dir = tmp_path / "project"
    home.mkdir()
    working_dir.mkdir()

    plain = shown({"HOME": str(home)}, working_dir)
    moved = shown({"HOME": str(home), "XDG_DATA_HOME": str(tmp_path / "data")}, working_dir)

    assert plain["output_dir"] == str(home / "Videos" / "Keyframe")
    assert plain["state_dir"] == str(home / ".local" / "share" / "keyframe-mcp")
    assert moved["state_dir"] == str(tmp_path / "data" / "keyframe-mcp")
    assert plain["allowed_dirs"] == [plain["output_dir"], str(working_dir)]


def test_nothing_needs_to_be_set():
    found = settings({})

    assert (found.catalog_dir, found.default_model, found.log_level, found.allow_loopback) == (
        None,
        None,
        "warning",
        False,
    )
    assert found.output_dir.is_absolute()
    assert found.state_dir.is_absolute()


def test_every_setting_is_read_from_its_variable(tmp_path: Path):
    found = settings(
        {
            "OUTPUT_DIR": "/videos",
            "STATE_DIR": "/state",
            "ALLOWED_DIRS": os.pathsep.join(["/pictures", "/more"]),
            "CATALOG_DIR": str(tmp_path),
            "DEFAULT_MODEL": "local/camera",
            "BUDGET_USD_PER_TASK": "0.5",
            "BUDGET_USD_PER_DAY": " 20 ",
            "BUDGET_USD_PER_OWNER_PER_DAY": "$10",
            "BUDGET_UNPRICED_USD": "0",
            "LOG_LEVEL": "DEBUG",
            "ALLOW_LOOPBACK": "1",
        }
    )

    assert found == Settings(
        output_dir=Path("/videos"),
        state_dir=Path("/state"),
        allowed_dirs=(Path("/pictures"), Path("/more"), Path("/videos")),
        catalog_dir=tmp_path,
        default_model="local/camera",
        budget_usd_per_task=0.5,
        budget_usd_per_day=20,
        budget_usd_per_owner_per_day=10,
        budget_unpriced_usd=0,
        log_level="debug",
        allow_loopback=True,
    )
    assert found.database == Path("/state/tasks.db")


@pytest.mark.parametrize("name", [field.upper() for field in Settings.model_fields])
@pytest.mark.parametrize("value", ["", "  ", "${user_config.folder}", " ${FOLDER} "])
def test_empty_and_unfilled_values_mean_unset(name: str, value: str):
    assert settings({name: value}) == settings({})


def test_a_value_that_only_mentions_a_variable_is_a_value():
    assert is_set("/videos/${USER}")


def test_every_problem_is_in_the_one_error(tmp_path: Path):
    with pytest.raises(InvalidSettings) as caught:
        settings(
            {
                "OUTPUT_DIR": "videos",
                "STATE_DIR": "./state",
                "ALLOWED_DIRS": os.pathsep.join(["pictures", "/fine", "../more"]),
                "CATALOG_DIR": str(tmp_path / "missing"),
                "BUDGET_USD_PER_TASK": "-1",
                "BUDGET_UNPRICED_USD": "free",
                "WAVESPEED_AT_ONCE": "many",
                "MY_GATEWAY_SUBMITS_PER_MINUTE": "1.5",
                "LOG_LEVEL": "loud",
                "ALLOW_LOOPBACK": "perhaps",
            }
        )
    first, *problems = str(caught.value).splitlines()

    assert first == "11 settings cannot be used:"
    assert [problem.strip().partition("; ")[0] for problem in problems] == [
        "KEYFRAME_OUTPUT_DIR=videos is not an absolute path",
        "KEYFRAME_STATE_DIR=state is not an absolute path",
        "KEYFRAME_ALLOWED_DIRS: pictures is not an absolute path",
        "KEYFRAME_ALLOWED_DIRS: ../more is not an absolute path",
        f"KEYFRAME_CATALOG_DIR={tmp_path / 'missing'} is not a folder",
        "KEYFRAME_BUDGET_USD_PER_TASK=-1 is not an amount in US dollars, such as 2.50",
        "KEYFRAME_BUDGET_UNPRICED_USD=free is not an amount in US dollars, such as 2.50",
        f"KEYFRAME_LOG_LEVEL=loud is not one of {', '.join(LOG_LEVELS)}",
        "KEYFRAME_ALLOW_LOOPBACK=perhaps is not one of 1, 0, true, false",
        "KEYFRAME_WAVESPEED_AT_ONCE=many is not a whole number",
        "KEYFRAME_MY_GATEWAY_SUBMITS_PER_MINUTE=1.5 is not a whole number",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KEYFRAME_BUDGET_PER_DAY", "did you mean KEYFRAME_BUDGET_USD_PER_DAY?"),
        ("KEYFRAME_BUDGET_USD_PER_VIDEO", "did you mean KEYFRAME_BUDGET_USD_PER_"),
        ("keyframe_budget_usd_per_task", "did you mean KEYFRAME_BUDGET_USD_PER_TASK?"),
        ("KEYFRAME_BUDGETS", "there are KEYFRAME_BUDGET_USD_PER_TASK, KEYFRAME_BUDGET_USD_PER_DAY, "),
    ],
)
def test_a_misspelt_limit_stops_the_start_and_the_right_name_is_told(name: str, meant: str):
    with pytest.raises(InvalidSettings) as caught:
        with_providers(**{name: "5"})

    assert str(caught.value).startswith(f"{name} is no setting, and would limit nothing; {meant}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEYFRAME_BUDGET_PER_DAY", ""),
        ("KEYFRAME_BUDGET_PER_DAY", "${day}"),
        ("KEYFRAME_BUGDET_USD_PER_DAY", "5"),
        ("KEYFRAME_BUDGET_BASE_URL", "https://budget.test"),
        ("KEYFRAME_BUDGET_AT_ONCE", "2"),
    ],
)
def test_what_limits_nothing_or_may_be_of_a_provider_stops_nothing(name: str, value: str):
    assert with_providers(**{name: value}).budget_usd_per_day is None


@pytest.mark.parametrize("name", ["OUTPUT_DIR", "STATE_DIR", "ALLOWED_DIRS"])
def test_a_folder_may_be_written_from_the_home_folder(name: str):
    found = settings({name: "~/somewhere"})

    assert Path("~/somewhere").expanduser() in (found.output_dir, found.state_dir, *found.allowed_dirs)


@pytest.mark.parametrize("name", ["OUTPUT_DIR", "STATE_DIR", "ALLOWED_DIRS", "CATALOG_DIR"])
def test_the_home_of_a_user_there_is_not_is_a_problem_like_any_other(name: str):
    with pytest.raises(InvalidSettings, match=f"KEYFRAME_{name}.*~nobody-by-that-name/x"):
        settings({name: "~nobody-by-that-name/x"})


def test_the_output_and_working_folders_may_be_read_unless_folders_are_named():
    assert settings({"OUTPUT_DIR": "/videos"}).allowed_dirs == (Path("/videos"), Path("/srv/project"))
    assert settings({"OUTPUT_DIR": "/videos", "ALLOWED_DIRS": "/pictures"}).allowed_dirs == (
        Path("/pictures"),
        Path("/videos"),
    )


@pytest.mark.parametrize("working_dir", ["/", "/home", "/home/me"])
def test_a_working_folder_that_holds_the_whole_home_folder_may_not_be_read(working_dir: str):
    assert settings({"OUTPUT_DIR": "/videos"}, Path(working_dir)).allowed_dirs == (Path("/videos"),)


def test_a_working_folder_inside_the_home_folder_may_be_read():
    assert Path("/home/me/project") in settings({}, Path("/home/me/project")).allowed_dirs


def test_no_folder_is_listed_twice():
    assert settings({"OUTPUT_DIR": "/srv/project"}).allowed_dirs == (Path("/srv/project"),)
    assert settings({"OUTPUT_DIR": "/a", "ALLOWED_DIRS": os.pathsep.join(["/a", "", "/a"])}).allowed_dirs == (
        Path("/a"),
    )


@pytest.mark.parametrize(
    ("value", "meaning"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("False", False)]
)
def test_a_switch_is_on_or_off(value: str, meaning: bool):
    assert settings({"ALLOW_LOOPBACK": value}).allow_loopback is meaning


def test_a_key_is_what_its_variable_holds():
    found = with_providers(WAVESPEED_API_KEY="sk-one", SILICONFLOW_API_KEY=" sk-two\n")

    assert found.key("WAVESPEED_API_KEY") == "sk-one"
    assert found.key("SILICONFLOW_API_KEY") == "sk-two"


@pytest.mark.parametrize("value", ["", "  ", "\n", "${WAVESPEED_API_KEY}", " ${user_config.key} "])
def test_an_empty_or_unfilled_key_is_not_set(value: str):
    found = with_providers(WAVESPEED_API_KEY=value)

    assert found.key("WAVESPEED_API_KEY") is None


def test_a_key_that_is_not_set_and_a_provider_without_one_have_none():
    found = with_providers(WAVESPEED_API_KEY="sk-one")

    assert found.key("BAICAI_API_KEY") is None
    assert found.key(None) is None


@pytest.mark.parametrize("damage", [" ", "\n", "\t", "\x00", "\u201c", "\u200b", "\u00fc"])
def test_a_key_no_header_can_carry_is_pointed_out_and_not_shown(damage: str):
    found = with_providers(WAVESPEED_API_KEY=f"{SECRET[:8]}{damage}{SECRET[8:]}")

    with pytest.raises(InvalidSettings, match="WAVESPEED_API_KEY holds a character") as caught:
        found.key("WAVESPEED_API_KEY")
    assert "canary" not in str(caught.value)


def test_a_setting_of_ours_is_no_key():
    found = with_providers(KEYFRAME_LOG_LEVEL="debug")

    assert found.key("KEYFRAME_LOG_LEVEL") is None


def test_nothing_that_shows_the_settings_shows_a_key():
    found = with_providers(WAVESPEED_API_KEY=SECRET, KEYFRAME_WAVESPEED_BASE_URL="https://host.test/canary")

    for text in (repr(found), str(found), f"{found.model_dump()}", found.model_dump_json(), f"{vars(found)}"):
        assert "canary" not in text
    assert list(found.model_dump()) == list(Settings.model_fields)


def test_a_provider_is_where_the_catalogue_says_unless_it_is_moved():
    found = with_providers(KEYFRAME_SILICONFLOW_BASE_URL="https://api.siliconflow.com/v1")

    assert found.base_url("siliconflow", "https://api.siliconflow.cn/v1") == "https://api.siliconflow.com/v1"
    assert found.base_url("wavespeed", "https://api.wavespeed.ai") == "https://api.wavespeed.ai"


@pytest.mark.parametrize("value", ["", "  ", "${HOST}"])
def test_an_empty_or_unfilled_host_is_the_one_of_the_catalogue(value: str):
    found = with_providers(KEYFRAME_WAVESPEED_BASE_URL=value)

    assert found.base_url("wavespeed", "https://api.wavespeed.ai") == "https://api.wavespeed.ai"


def test_the_variable_of_a_host_is_spelled_as_a_variable_can_be():
    assert base_url_variable("wavespeed") == "KEYFRAME_WAVESPEED_BASE_URL"
    assert base_url_variable("my-gateway_2") == "KEYFRAME_MY_GATEWAY_2_BASE_URL"
    found = with_providers(KEYFRAME_MY_GATEWAY_2_BASE_URL="https://gateway.test")
    assert found.base_url("my-gateway_2", None) == "https://gateway.test"


@pytest.mark.parametrize("written", ["https://host.test/v1/", " https://host.test/v1// ", "https://host.test/v1"])
def test_a_slash_at_the_end_of_a_host_does_not_matter(written: str):
    assert with_providers(KEYFRAME_X_BASE_URL=written).base_url("x", None) == "https://host.test/v1"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080", "http://localhost:8080/v1", "http://[::1]:8080", "http://127.9.9.9", "HTTPS://host"],
)
def test_this_machine_may_be_spoken_to_without_encryption(url: str):
    assert with_providers(KEYFRAME_X_BASE_URL=url).base_url("x", None) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.wavespeed.ai", "unencrypted; use https"),
        ("http://10.0.0.1", "unencrypted"),
        ("http://0.0.0.0", "unencrypted"),
        ("http://localhost.elsewhere.test", "unencrypted"),
        ("http://127.0.0.1.elsewhere.test", "unencrypted"),
        ("http://127.0.0.1@elsewhere.test", "without user name"),
        ("https://me:secret@host.test", "without user name"),
        ("https://host.test/v1?key=secret", "query"),
        ("https://host.test/v1#secret", "fragment"),
        ("https://host.test/v1?", "query"),
        ("api.wavespeed.ai", "write https://host"),
        ("ftp://host.test", "write https://host"),
        ("file:///etc/passwd", "write https://host"),
        ("https://", "write https://host"),
        ("https:///v1", "write https://host"),
        ("https://[::1", "write https://host"),
        ("https://host.test:port", "write https://host"),
        ("https://host.test:99999", "write https://host"),
        ("https://host .test", "write https://host"),
        ("https://host.test/a\nb", "write https://host"),
    ],
)
def test_a_host_that_cannot_be_used_is_refused_before_a_key_goes_there(url: str, words: str):
    found = with_providers(KEYFRAME_X_BASE_URL=url)

    with pytest.raises(InvalidSettings, match="KEYFRAME_X_BASE_URL=") as caught:
        found.base_url("x", "https://host.test")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_provider_without_any_host_says_what_to_set():
    with pytest.raises(InvalidSettings, match=r"KEYFRAME_X_BASE_URL=\(not set\).*write https://host"):
        with_providers().base_url("x", None)


def strange(*names: str) -> list[str]:
    return strangers(dict.fromkeys(names, "x"), ["wavespeed", "siliconflow"], ["WAVESPEED_API_KEY"])


def test_every_setting_and_every_provider_s_host_is_known():
    names = [PREFIX + name.upper() for name in Settings.model_fields]

    assert strange(*names, "KEYFRAME_WAVESPEED_BASE_URL", "KEYFRAME_SILICONFLOW_BASE_URL", "WAVESPEED_API_KEY") == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KEYFRAME_WAVESPED_BASE_URL", "KEYFRAME_WAVESPEED_BASE_URL"),
        ("KEYFRAME_SILICON_FLOW_BASE_URL", "KEYFRAME_SILICONFLOW_BASE_URL"),
        ("KEYFRAME_WAVESPEED_URL", "KEYFRAME_WAVESPEED_BASE_URL"),
        ("KEYFRAME_OUTPUT_FOLDER", "KEYFRAME_OUTPUT_DIR"),
        ("KEYFRAME_WAVESPEED_API_KEY", "WAVESPEED_API_KEY"),
    ],
)
def test_a_setting_that_means_nothing_is_named_with_what_was_meant(name: str, meant: str):
    assert strange(name) == [f"{name} means nothing; {meant} does"]


def test_a_setting_that_resembles_nothing_is_named_all_the_same():
    assert strange("KEYFRAME_COFFEE", "OTHER_COFFEE") == ["KEYFRAME_COFFEE means nothing"]


def test_the_host_of_a_provider_there_is_not_means_nothing():
    (told,) = strange("KEYFRAME_ELSEWHERE_BASE_URL")

    assert told.startswith("KEYFRAME_ELSEWHERE_BASE_URL means nothing")


@pytest.mark.parametrize("name", ["PER_TASK", "PER_DAY", "PER_OWNER_PER_DAY"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "-0.01", "1,50", "ten", "0x10", "$", "1 2"])
def test_an_amount_that_is_none_is_refused(name: str, value: str):
    with pytest.raises(InvalidSettings, match=f"KEYFRAME_BUDGET_USD_{name}=.*is not an amount in US dollars"):
        settings({f"BUDGET_USD_{name}": value})


@pytest.mark.parametrize("value", ["-1", "1.0", "many", "1e3", "+3", "\u0663", "12345678901"])
def test_a_number_of_jobs_that_is_none_is_refused(value: str):
    with pytest.raises(InvalidSettings, match=r"KEYFRAME_WAVESPEED_AT_ONCE=.*or 0 for no limit"):
        settings({"WAVESPEED_AT_ONCE": value})


def test_a_provider_is_given_what_the_catalogue_says_unless_a_variable_says_otherwise():
    found = with_providers(KEYFRAME_WAVESPEED_AT_ONCE=" 8 ", KEYFRAME_MY_GATEWAY_SUBMITS_PER_MINUTE="0")

    assert found.limit("wavespeed", "at_once", 3) == 8
    assert found.limit("wavespeed", "submits_per_minute", 5) == 5
    assert found.limit("my-gateway", "submits_per_minute", 60) is None
    assert found.limit("my-gateway", "at_once", None) is None


@pytest.mark.parametrize("value", ["", "  ", "${AT_ONCE}"])
def test_an_empty_or_unfilled_limit_is_the_one_of_the_catalogue(value: str):
    assert with_providers(KEYFRAME_WAVESPEED_AT_ONCE=value).limit("wavespeed", "at_once", 3) == 3


def test_the_limits_of_providers_are_known_settings():
    assert strange("KEYFRAME_WAVESPEED_AT_ONCE", "KEYFRAME_SILICONFLOW_SUBMITS_PER_MINUTE") == []
    assert strange("KEYFRAME_WAVESPEED_ATONCE") == [
        "KEYFRAME_WAVESPEED_ATONCE means nothing; KEYFRAME_WAVESPEED_AT_ONCE does"
    ]
