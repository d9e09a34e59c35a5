"""An option of evaluate is of some datasets, and refused by its name with the others."""

import pytest

from magicpoint.cli import main
from magicpoint.cli.verbs.evaluate import DATASETS, OF_FOLDERS, options

VALUES = {
    "images_per_shape": "3",
    "protocols": "full",
    "images": "a",
    "labels": "l.h5",
    "holdout": "0.5",
    "rooms": "3",
    "photographs": "3",
    "changes": "noise",
    "templates": "t",
    "backgrounds": "b",
    "scenes": "3",
    "pairs": "12",
    "matchers": "ratio",
    "keypoints": "100",
}


def refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *words, "--out", "e"])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_every_option_of_a_dataset_has_a_row():
    assert set(VALUES) == set(options())


@pytest.mark.parametrize("name", VALUES)
def test_an_option_of_another_dataset_is_refused_by_its_name(name, capsys):
    of = options()[name].datasets
    other = next(dataset for dataset in DATASETS if dataset not in of)
    words = ["folder"] * (other in OF_FOLDERS) + ["--dataset", other, f"--{name}", VALUES[name]]
    assert f"--{name} is of --dataset {' and '.join(of)}, not {other}" in refused(words, capsys)


@pytest.mark.parametrize("dataset", ["scenes", "verify"])
@pytest.mark.parametrize("words", [["--device", "cpu"], ["--backend", "onnxruntime"], ["--max_megapixels", "3"]])
def test_what_an_extractor_takes_is_refused_where_there_is_none(dataset, words, capsys):
    assert f"{words[0]} is not of --dataset {dataset}, got {words[1]}" in refused(
        ["--dataset", dataset, *words], capsys
    )


@pytest.mark.parametrize("dataset", ["scenes", "verify"])
@pytest.mark.parametrize("switch", ["--averaged", "--cornerness"])
def test_heatmaps_are_neither_averaged_nor_weighed_where_there_is_no_extractor(switch, dataset, capsys):
    said = refused(["--dataset", dataset, switch], capsys)
    assert f"{switch} is not of --dataset {dataset} (see" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--labels", "l.h5"], "--dataset labels needs --images and --labels"),
        (["--images", "a"], "--dataset labels needs --images and --labels"),
        (["folder", "--labels", "l.h5", "--images", "a"], "folder is for --dataset homography"),
        (["--dataset", "robustness"], "--dataset robustness needs a folder"),
        (["--labels", "l.h5", "--images", "a", "--holdout", "1"], "--holdout must be in (0, 1), got 1"),
    ],
)
def test_what_a_dataset_lacks_or_cannot_take_is_said(words, said, capsys):
    assert said in refused(words, capsys)
