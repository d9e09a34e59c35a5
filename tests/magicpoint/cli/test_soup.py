"""`magicpoint soup`: the mean of weights becomes a file that every verb takes."""

from magicpoint import Extractor
from magicpoint.cli import main
from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import load_weights, save_weights


def test_the_mean_becomes_a_file_that_extracts(tmp_path, capsys):
    tuned = save_weights(tmp_path / "tuned.safetensors", Extractor.load("superpoint-tiny").model, {})
    words = ["soup", "superpoint-tiny", str(tuned), "--out", str(tmp_path / "new" / "soup.safetensors")]
    for _ in range(2):  # the same words may write it again
        assert main(words) == 0
        assert capsys.readouterr().out.splitlines() == [words[-1]]
    assert [part["weights"] for part in load_weights(words[-1])[1]["soup"]] == ["superpoint-tiny", "tuned.safetensors"]
    assert Extractor.load(words[-1]).weights == "soup.safetensors"


def test_what_cannot_be_averaged_is_said_in_a_line(tmp_path, capsys):
    narrow = save_weights(tmp_path / "narrow.safetensors", PointNetwork(ModelSettings(width=0.125)), {})
    content = narrow.read_bytes()
    for words, message in [
        (["superpoint-tiny", "--out", "o.safetensors"], "at least two, got 1"),
        (["superpoint-tiny", str(narrow), "--out", "o.safetensors"], "differ"),
        (["superpoint-tiny", "magicpoint", "--out", "o.pth"], "must end in .safetensors"),
        ([str(narrow), str(narrow), "--out", "narrow.safetensors"], "would replace the weights"),
        (["superpoint-tiny", "superpoint-tiny", "--out", "mine.safetensors"], "mine.safetensors"),
    ]:
        (tmp_path / "mine.safetensors").write_bytes(b"mine")
        assert main(["soup", *words[:-1], str(tmp_path / words[-1])]) == 1
        error = capsys.readouterr().err
        assert error.startswith("magicpoint: ")
        assert message in error
        assert error.count("\n") == 1
    assert narrow.read_bytes() == content
    assert (tmp_path / "mine.safetensors").read_bytes() == b"mine"
    assert not (tmp_path / "o.safetensors").exists()
