"""The long runs in short. `python -m soak --tasks 10000` is the whole of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from soak.endurance import WARM_UP, Run, endure

MOST_BYTES_A_TASK = 8192
"""A database is made of pages: of a few tasks each costs more than of many."""


async def test_many_tasks_leave_their_films_and_nothing_else(tmp_path: Path):
    figures = await endure(tmp_path, 40)

    assert figures["soak_tasks"] == 40
    assert figures["soak_not_succeeded"] == 0, figures["soak_first_trouble"]
    assert figures["soak_submissions_a_task"] == 1
    assert figures["soak_films"] == 40 + WARM_UP
    assert figures["soak_unfinished_files"] == 0
    assert abs(float(figures["soak_descriptors_gained"])) <= 10
    assert float(figures["soak_memory_growth_mb"]) < 5
    assert float(figures["soak_database_bytes_a_task"]) < MOST_BYTES_A_TASK


def test_growth_is_what_was_gained_after_warming_up():
    run = Run(100)
    run.memory = [(done, 1000 if done < 40 else 5000 + 10 * done) for done in range(1, 101)]
    assert 400 < run.growth() < 600
    run.memory = [(done, 9000 - (done < 40) * 8000) for done in range(1, 101)]
    assert run.growth() == 0


def test_figures_are_flat_json_on_the_screen_and_in_a_file(tmp_path: Path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "soak", "--tasks", "3", "--write", str(file)]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    (scenario,) = figures
    assert json.loads(done.stdout) == {f"soak_{name}": value for name, value in scenario.items() if name != "scenario"}
    assert all(isinstance(value, int | float | str) for value in scenario.values())
    assert scenario["films"] == 3 + WARM_UP
