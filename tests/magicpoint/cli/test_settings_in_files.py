"""Settings in files that no run could use: each is named as the option that it is, in one line."""

import pytest

from magicpoint.cli import main


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("steps: null", "--steps must be a whole number, got None"),
        ("steps: 5.5", "--steps must be a whole number, got 5.5"),
        ("learning_rate: .nan", "--learning_rate must be a number, got nan"),
        ("model: null", "--model must be a group of settings, got None"),
        ("augmentation: [1]", "--augmentation must be a group of settings, got [1]"),
        ("task: null", "--task must be magicpoint or superpoint or distil or matcher or quads or verify, got null"),
        ("task: [magicpoint]", "--task"),
        ("stepz: 5", "stepz"),
    ],
)
def test_a_setting_that_cannot_be_is_named_as_an_option(tmp_path, capsys, content, said):
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(SystemExit) as ended:
        main(["train", str(tmp_path / "run"), "--config", str(tmp_path / "s.yaml")])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "run").exists()
