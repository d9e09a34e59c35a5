"""What the benchmarks share, and the figures that one of them draws from a run."""

import importlib
from pathlib import Path

import pytest

from magicpoint import TrainResult
from magicpoint.jobs.train import RunMeasures

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """A function that imports a file of the benchmarks, which import each other from their folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_a_function_runs_in_a_process_of_its_own(load, capsys):
    variants, timing = load("variants"), load("timing")
    rows = [timing.Timing(whole, 2.0, 3.0, 10, 100.0, network=whole / 2) for whole in (1.0, 5.0, 2.0)]
    median = variants.run_apart("median", timing.median_of, rows)
    assert median == timing.Timing(2.0, 2.0, 3.0, 10, 100.0, network=1.0)
    assert variants.run_apart("impossible", timing.median_of, []) is None
    assert "impossible: " in capsys.readouterr().err


def test_the_time_to_a_quality_is_that_of_training_until_its_first_validation(load):
    # Ten images a second, then twenty: 100 images take 10 s, the next 100 take 5 s.
    training = (RunMeasures(10, 100, {"images_per_second": 10.0}), RunMeasures(20, 200, {"images_per_second": 20.0}))
    validations = tuple(
        RunMeasures(step, 10 * step, {"ap_clean": ap}) for step, ap in ((10, 0.93), (20, 0.96), (20, 0.9))
    )
    time_to_quality = load("time_to_quality")
    reached = time_to_quality.time_to_quality(TrainResult(Path("best"), training, validations))
    assert reached == {0.90: time_to_quality.Reached(100, 10 / 60), 0.95: time_to_quality.Reached(200, 15 / 60)}
