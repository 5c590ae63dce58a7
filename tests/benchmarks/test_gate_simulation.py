from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reagent_benchmarks import gate as command
from reagent_benchmarks.gate_populations import NONE, THRESHOLDS, Population, gate, naive, populations

from reagent_sdk.calibration.card import Gate
from reagent_sdk.calibration.gate import fit_gate
from reagent_sdk.errors import InvalidInput

TARGET, CONFIDENCE, RESAMPLES = 0.1, 0.95, 1000
PEOPLE = {people.name: people for people in populations(TARGET)}


def simulated(people: Population, chooser: command.Chooser = gate, seed: int = 0) -> command.Kept:
    return command.simulate(chooser, people, resamples=RESAMPLES, seed=seed, target=TARGET, confidence=CONFIDENCE)


@pytest.mark.parametrize("name", PEOPLE)
def test_the_promise_is_kept(name: str) -> None:
    for people in (PEOPLE[name], PEOPLE[name].with_own_grid()):
        assert simulated(people).interval[0] <= 1 - CONFIDENCE


def test_the_simulation_can_tell_a_broken_promise() -> None:
    kept = simulated(PEOPLE["every threshold just above"], naive)
    assert kept.interval[0] > 0.5
    assert simulated(PEOPLE["loose threshold just above"], naive).interval[0] > 0.4


def test_the_promise_is_not_kept_by_refusing_everything() -> None:
    good = simulated(PEOPLE["good judge"])
    assert good.given / RESAMPLES > 0.5
    assert good.accepted > 0.2
    assert simulated(PEOPLE["loose threshold just above"]).given == RESAMPLES
    assert simulated(PEOPLE["useless judge"]).given == 0


def test_what_is_simulated_is_fit_gate() -> None:
    people, random = PEOPLE["good judge"], np.random.default_rng(5)
    counts = people.draw(people.labels, 25, np.random.default_rng(5))
    chosen = gate(people, 25, random, TARGET, CONFIDENCE)
    for index, cells in zip(chosen, counts, strict=True):
        labels = np.repeat(np.tile([False, True], len(people.scores)), cells.reshape(-1))
        fitted = fit_gate(labels, np.repeat(people.scores, cells.sum(axis=1)), target=TARGET)
        assert (fitted.threshold if isinstance(fitted, Gate) else NONE) == (
            THRESHOLDS[index] if index != NONE else NONE
        )
    assert 0 < (chosen != NONE).sum() < 25


def test_real_risks_are_those_of_the_population() -> None:
    for people in PEOPLE.values():
        counts = people.draw(2_000_000, 1, np.random.default_rng(0))[0]
        accepted = people.accepts @ counts.sum(axis=1)
        seen = (people.accepts @ counts[:, 0])[accepted > 0] / accepted[accepted > 0]
        assert np.abs(seen - people.risk[accepted > 0]).max() < 0.02
        assert accepted / 2_000_000 == pytest.approx(people.accepted, abs=0.002)


def test_scored_rows_become_a_population(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    rows = [{"score": 0.9, "label": True}, {"score": 0.9, "label": 0}, {"score": 0.2, "label": False, "id": "c"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    people = command.from_file(file)
    assert people.labels == 3
    assert people.risk[THRESHOLDS == 0.5] == pytest.approx(0.5)
    assert people.risk[THRESHOLDS == 0.0] == pytest.approx(2 / 3)
    assert people.accepted[THRESHOLDS == 0.5] == pytest.approx(2 / 3)


@pytest.mark.parametrize("line", ["{}", "[]", "x", '{"score": NaN, "label": 1}', '{"score": 0.5, "label": "yes"}', ""])
def test_other_rows_are_refused_by_line(line: str, tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text(f'{{"score": 0.9, "label": true}}\n{line}\n')
    with pytest.raises(InvalidInput, match="line 2"):
        command.from_file(file)


def test_the_command_fails_when_a_promise_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gate", "--resamples", "50"])
    monkeypatch.setattr(command, "labels_table", lambda: "")
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert not stopped.value.code
    assert "good judge" in capsys.readouterr().out
    monkeypatch.setattr(command, "CHOOSERS", {**command.CHOOSERS, "gate": naive})
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 1
