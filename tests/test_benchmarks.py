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


def test_every_benchmark_has_a_row_and_every_row_a_file(load):
    run_all = load("run_all")
    files = {path.stem for path in BENCHMARKS.glob("*.py")}
    assert set(run_all.BENCHMARKS) == files - run_all.PARTS
    assert files > run_all.PARTS


def test_a_figure_is_worse_where_its_best_is_beyond_the_earlier_worst_and_the_noise(load):
    figures = load("figures")
    earlier = {"time": figures.of([10.0, 11.0, 12.0], "ms"), "rate": figures.of([10.0, 11.0, 12.0], "/s", "higher")}
    # 12 ms and 5 % are 12.6 ms, 10 a second less 5 % 9.5.
    same = {"time": figures.of([12.5, 20.0, 30.0], "ms"), "rate": figures.of([5.0, 9.6], "/s", "higher")}
    assert figures.compare(earlier, {**same, "new": figures.of([1.0], "ms")}) == {}
    worse = {"time": figures.of([12.7, 22.0, 30.0], "ms"), "rate": figures.of([5.5, 5.5, 9.4], "/s", "higher")}
    assert figures.compare(earlier, worse) == {"time": 2.0, "rate": 2.0}
    better = {"time": figures.of([1.0], "ms"), "rate": figures.of([99.0], "/s", "higher")}
    assert figures.compare(earlier, better) == {}


def test_figures_come_back_from_their_file(load, tmp_path):
    figures = load("figures")
    found = {"a": figures.of([3.0, 1.0, 2.0], "ms")}
    assert found["a"] == figures.Figure(2.0, 1.0, 3.0, "ms", "lower")
    figures.save(tmp_path / "new" / "f.json", found, machine="m")
    assert figures.load(tmp_path / "new" / "f.json") == (found, {"machine": "m"})


def test_calls_take_turns_and_the_first_round_does_not_count(load):
    figures, called = load("figures"), []
    taken = figures.taken_in_turns({name: lambda name=name: called.append(name) for name in "ab"}, rounds=2)
    assert called == ["a", "b"] * 3
    assert {figure.unit for figure in taken.values()} == {"ms"}


def test_what_needs_data_is_left_out_without_them(load):
    run_all = load("run_all")
    pairs = run_all.BENCHMARKS["speed_accuracy"]
    values = {"pairs": None, "out": "."}
    assert run_all.words_of(pairs, False, values) == "needs --pairs"
    assert run_all.words_of(pairs, True, values) == "of a full run"
    assert run_all.words_of(pairs, False, {"pairs": "P", "out": "."}) == ["P", "--out", "."]


def test_the_page_says_what_failed_what_is_worse_and_what_was_not_run(load):
    run_all = load("run_all")
    failed = run_all.Done(2.0, 1, "it broke", (), {}, {})
    good = run_all.Done(3.0, 0, "| a |\n|---|\n| 1 |", ("growth/growth.png",), {}, {})
    page = run_all.page({"processor": "Z"}, {"cold_start": failed, "growth": good}, {"limits": "no"}, {"x": 1.5})
    for part in ("- processor: Z", "failed with status 1", "\n| a |\n", "(growth/growth.png)", "limits: no", "x: 1.50"):
        assert part in page


def test_growth_is_the_slope_of_the_last_half_in_logarithms(load):
    # The first points are of a fixed cost, the last of the square.
    points = {1: (1.0, 0.0), 2: (1.0, 0.0), 4: (1.0, 0.0), 8: (4.0, 0.0), 16: (16.0, 0.0)}
    assert load("growth").exponent(points) == pytest.approx(2.0)


def test_the_plan_of_a_recipe_is_its_operations_over_those_of_the_machine(load, monkeypatch):
    scaling_plan = load("scaling_plan")
    monkeypatch.setattr(scaling_plan, "operations", lambda width, descriptors: 10.0)
    monkeypatch.setattr(scaling_plan, "parameters", lambda width: 1000)
    recipe = scaling_plan.Recipe(pixels=100, views=9, rounds=2, view_pixels=50, passes=4, batch=2)
    machine = scaling_plan.Machine(flops=1e6, bytes_per_second=6e6, latency=1e-3, decoded=1000, cores=1)
    one, two = (scaling_plan.plan(3600, gpus, recipe, machine) for gpus in (1, 2))
    # 9 ms an image, twice; a step of 2 images takes 2 * 2 * 50 * 3 * 10 / 1e6 = 6 ms, and there are 7200 of them.
    assert (one.adaptation_hours, one.training_hours) == pytest.approx((0.018, 0.012))
    # Half as many steps, each with 4,000 bytes and 24 beginnings: 6 + 0.667 + 24 ms.
    assert scaling_plan.transferred(1000, 2) == 4000
    assert (two.adaptation_hours, two.training_hours) == pytest.approx((0.009, 0.0306667), rel=1e-4)
    assert (one.transfer_share, one.gpu_hours) == (0.0, pytest.approx(0.03))
    # The net is of no use where a core cannot read as fast: 10 ms an image.
    slow = scaling_plan.plan(3600, 1, recipe, scaling_plan.Machine(1e6, 6e6, 1e-3, decoded=100, cores=1))
    assert slow.adaptation_hours == pytest.approx(0.02)
