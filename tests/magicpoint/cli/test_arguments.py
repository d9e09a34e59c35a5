"""How arguments are read: sizes, files of settings, the settings of a run that is gone on with, what is refused."""

from pathlib import Path

import pytest
import yaml

from magicpoint.cli import main
from magicpoint.cli.sizes import read_size, write_size
from magicpoint.jobs import train as train_job
from magicpoint.model.settings import ModelSettings
from magicpoint.training import loop
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.settings import MagicPointSettings, SuperPointSettings

LABELLED = ["--images", "photographs", "more", "--labels", "l.h5"]
GIVEN = {"images": (Path("photographs"), Path("more")), "labels": Path("l.h5")}


@pytest.fixture
def trained(monkeypatch):
    """The settings with which training was begun, in place of training."""
    seen = []
    monkeypatch.setattr(loop, "train_model", lambda out, settings, resume, device, progress: seen.append(settings))
    monkeypatch.setattr(train_job, "read_training", str)
    return seen


@pytest.mark.parametrize("written", ["48x64", [48, 64]])
def test_a_size_is_height_and_width(written):
    assert read_size(written) == (48, 64)
    assert write_size((48, 64)) == "48x64"


@pytest.mark.parametrize(
    "written", ["48", "48x", "x64", "48x64x2", "-4x5", "0x64", "4.5x6", [0, 64], [48], [4, 5.0], 7]
)
def test_what_is_no_size_is_named(written):
    with pytest.raises(ValueError, match=r"HxW|at least 1") as error:
        read_size(written)
    assert repr(written) in str(error.value)


@pytest.mark.parametrize(
    "words", [["--shapes.size_hw", "48x64"], ["--shapes.size_hw=48x64"], ["--shapes.size_hw=[48, 64]"]]
)
def test_a_size_is_read_however_it_is_written(tmp_path, trained, words):
    assert main(["train", *words, "--views.size_hw=56x72", str(tmp_path / "run"), *LABELLED]) == 0
    assert trained[0].task.shapes.size_hw == (48, 64)
    assert trained[0].task.views.size_hw == (56, 72)


def test_only_a_size_is_taken_for_one(tmp_path, trained, monkeypatch, capsys):
    with pytest.raises(SystemExit) as error:
        main(["train", str(tmp_path / "run"), "--batch_size", "2x3"])
    assert error.value.code == 2
    assert "--batch_size must be a whole number, got 2x3" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert main(["train", "run", "--start", "4x5"]) == 0
    assert trained[0].start == "4x5"


@pytest.mark.parametrize("words", [["--config", "demo"], ["--config=demo"]])
def test_shipped_settings_are_found_by_their_name(tmp_path, monkeypatch, trained, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()  # the shipped name wins
    assert main(["train", "run", *words, "--seed", "7"]) == 0
    assert (trained[0].steps, trained[0].task.model.width, trained[0].seed) == (300, 0.25, 7)


def test_settings_are_read_from_a_file_and_what_is_said_beside_it_wins(tmp_path, trained):
    file = tmp_path / "s.yaml"
    file.write_text("steps: 5\nbatch_size: 3\nshapes:\n  size_hw: 48x64\n")
    assert main(["train", "--steps", "9", f"--config={file}", "--batch_size", "4", str(tmp_path / "run")]) == 0
    assert (trained[0].steps, trained[0].batch_size, trained[0].task.shapes.size_hw) == (9, 4, (48, 64))


def test_settings_that_are_nowhere_are_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main(["train", str(tmp_path / "run"), "--config=superpont"])
    assert error.value.code == 2
    assert "--config: no file superpont, nor one of the shipped: demo, " in capsys.readouterr().err


def test_settings_that_were_printed_can_be_read(tmp_path, trained, capsys):
    run = str(tmp_path / "run")
    words = ["--config", "demo", "--shapes.size_hw", "48x64", "--model.width", "0.125", "--dataset", "d"]
    assert main(["train", run, *words]) == 0
    assert main(["train", run, *words, "--print_config"]) == 0
    (tmp_path / "s.yaml").write_text(capsys.readouterr().out.removeprefix("None\n"))
    assert main(["train", run, "--config", str(tmp_path / "s.yaml")]) == 0
    assert trained[0] == trained[1] != TrainSettings()


@pytest.mark.parametrize(
    ("words", "task"),
    [
        ([], MagicPointSettings()),
        (["--task=magicpoint"], MagicPointSettings()),
        (["--dataset", "d"], MagicPointSettings(dataset=Path("d"))),
        (["--label_sigma", "0.5"], MagicPointSettings(label_sigma=0.5)),  # both have it
        (LABELLED, SuperPointSettings(**GIVEN)),
        (["--task", "superpoint", *LABELLED], SuperPointSettings(**GIVEN)),
        ([*LABELLED, "--task", "magicpoint", "--task=superpoint"], SuperPointSettings(**GIVEN)),
        ([*LABELLED, "--certain_score", "0"], SuperPointSettings(**GIVEN, certain_score=0.0)),
        (
            ["--config", "superpoint-small", *LABELLED],
            SuperPointSettings(**GIVEN, model=ModelSettings(0.5, "hidden", 256)),
        ),
        (["--config", "superpoint", "--task", "magicpoint"], MagicPointSettings()),
        (["--task", "magicpoint", "--config", "superpoint"], MagicPointSettings()),
        (["--config=FILE"], SuperPointSettings(**GIVEN, label_sigma=0.5)),
        (["--config=FILE", "--label_sigma", "0.7"], SuperPointSettings(**GIVEN, label_sigma=0.7)),
        (["--steps", "superpoint.yaml", "--task", "7"], None),
    ],
)
def test_the_words_tell_the_task(tmp_path, trained, monkeypatch, words, task):
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("label_sigma: 0.5\nlabels: l.h5\nimages: [photographs, more]\n")
    if task is None:
        with pytest.raises(SystemExit):
            main(["train", "run", *words])
        return
    assert main(["train", "run", *words]) == 0
    assert main(["train", *words, "--steps", "500", "run"]) == 0
    assert [settings.task for settings in trained] == [task, task]


def test_help_lists_the_options_of_one_task(capsys):
    listed = {}
    for task in ("magicpoint", "superpoint"):
        with pytest.raises(SystemExit):
            main(["train", "--help", "--task", task])
        listed[task] = capsys.readouterr().out
    own = {
        "magicpoint": ("--dataset", "--augmentation."),
        "superpoint": ("--shapes_share", "--views.", "--descriptor_loss"),
    }
    for task, options in own.items():
        for name, text in listed.items():
            assert all((option in text) == (name == task) for option in options)
            assert "--steps" in text
            assert "--model.width" in text


def begin(folder, **settings):
    folder.mkdir()
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    return folder


def test_a_run_that_is_gone_on_with_keeps_its_own_settings(tmp_path, monkeypatch, trained):
    monkeypatch.chdir(tmp_path)
    begin(tmp_path / "train", steps=3)
    begin(tmp_path / "data", steps=4)
    begin(tmp_path / "run [1]", steps=5, batch_size=6)
    for words in (
        ["run [1]", "--resume", "--dataset", "data"],
        ["--resume", "--dataset", "data", "run [1]"],
        ["--dataset=data", "--seed", "1", "run [1]", "--resume"],
    ):
        assert main(["train", *words]) == 0
        assert (trained[-1].steps, trained[-1].batch_size, str(trained[-1].task.dataset)) == (5, 6, "data")
    assert main(["train", "run [1]", "--resume", "--steps", "8"]) == 0
    assert (trained[-1].steps, trained[-1].batch_size) == (8, 6)
    assert main(["train", "run [1]"]) == 0  # a new run, of which training will say that it is none
    assert main(["train", "new", "--resume"]) == 0
    assert trained[-2:] == [TrainSettings()] * 2


def test_a_run_of_another_task_is_gone_on_with_by_its_folder_alone(tmp_path, trained):
    begin(tmp_path / "run", task="superpoint", images=["photographs", "more"], labels="l.h5", certain_score=0.5)
    assert main(["train", "--resume", str(tmp_path / "run"), "--steps", "8"]) == 0
    assert trained[0] == TrainSettings(task=SuperPointSettings(**GIVEN, certain_score=0.5), steps=8)


@pytest.mark.parametrize("name", ["joint", "loss"])
def test_a_run_of_version_0_1_0_is_refused_by_a_setting_that_it_had(tmp_path, capsys, name):
    begin(tmp_path / "run", task="magicpoint", **{name: None})
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(tmp_path / "run")])
    assert f"'{name}'" in capsys.readouterr().err


def test_settings_of_a_run_that_are_damaged_are_named(tmp_path, capsys):
    begin(tmp_path / "run", stepz=3)
    with pytest.raises(SystemExit) as error:
        main(["train", str(tmp_path / "run"), "--resume"])
    assert error.value.code == 2
    assert "stepz" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "RUN", "--model.width", "-1"], "--model.width must be in (0, 4], got -1.0"),
        (["train", "RUN", "--steps", "0"], "--steps must be at least 1, got 0"),
        (["train", "RUN", "--shapes.size_hw", "50x64"], "--shapes.size_hw must be positive multiples of 8"),
        (["train", "RUN", "--task", "superpoint"], "train: the following arguments are required: --labels, --images"),
        (["train", "RUN", "--images", "--labels", "l.h5"], "--images must be at least one, got none"),
        (["train", "RUN", "--labels", "l.h5"], "--images must be given with labels, got none"),
        (["train", "RUN", "--dataset", "d", "--labels", "l.h5"], "--images must be given with labels, got none"),
        (
            ["train", "RUN", "--task", "nothing"],
            "--task must be magicpoint, superpoint, distil, matcher, quads or verify, got nothing",
        ),
        (["train", "RUN", "--shapes.shapes", "[blob]"], "--shapes.shapes must be some of"),
        (["train", "RUN", *LABELLED, "--views.homographic.scale", "2"], "--views.homographic.scale must be in [0, 1)"),
        (["train", "RUN", *LABELLED, "--certain_score", "2"], "--certain_score must be in [0, 1], got 2.0"),
        (["train", "RUN", "--config", "superpoint"], "train: the following arguments are required: --labels, --images"),
        (["generate", "RUN", "--size_hw", "40x64"], "--size_hw must be (height, width) of 48 to 8192 pixels"),
        (["generate", "RUN", "--count", "-1"], "--count must be from 0 to 100000000, got -1"),
        (["extract", "RUN", "--out", "f.h5", "--threshold", "2"], "--threshold must be in [0, 1), got 2.0"),
        (["match", "RUN", "RUN", "--ratio", "2"], "--ratio must be in (0, 1]"),
        (["adapt", "RUN", "--out", "l.h5", "--count", "0"], "--count must be at least 1, got 0"),
    ],
)
def test_a_setting_out_of_range_is_an_unusable_argument(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
