"""`magicpoint import`: weights of another SuperPoint become a file that every verb takes."""

import pytest
import torch

from magicpoint import Extractor
from magicpoint.cli import main
from magicpoint.export.foreign import to_layout
from magicpoint.model.network import SuperPoint
from magicpoint.model.weights import load_weights

ORIGIN = ["--source", "https://example.org/theirs", "--licence", "MIT"]


def test_foreign_weights_become_a_file_of_our_own(tmp_path, capsys):
    model = SuperPoint(0.25).eval()
    theirs, ours = tmp_path / "theirs.pth", tmp_path / "new" / "ours.safetensors"
    torch.save(to_layout(model, "transformers"), theirs)
    assert main(["import", str(theirs), *ORIGIN, "--out", str(ours)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(ours)]
    _, provenance = load_weights(ours)
    assert (provenance["source"], provenance["licence"]) == ("https://example.org/theirs", "MIT")
    image = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for found, expected in zip(Extractor.load(ours).model(image), model(image), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("format", "name", "file"),
    [("transformers", "out", "model.safetensors"), ("transformers", "out", ""), ("magicleap", "out.pth", "")],
)
def test_shipped_weights_leave_and_come_back(tmp_path, format, name, file):
    weights = "superpoint" if format == "magicleap" else "superpoint-tiny"
    assert main(["export", "--weights", weights, "--format", format, "--out", str(tmp_path / name)]) == 0
    back = tmp_path / "back.safetensors"
    assert main(["import", str(tmp_path / name / file), *ORIGIN, "--out", str(back)]) == 0
    image = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    ours, again = Extractor.load(weights, device="cpu"), Extractor.load(back, device="cpu")
    for found, expected in zip(again.network(image), ours.network(image), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_source_and_the_licence_must_be_said(tmp_path, capsys):
    for words in (ORIGIN[:2], ORIGIN[2:]):
        with pytest.raises(SystemExit) as exit_status:
            main(["import", "theirs.pth", *words, "--out", str(tmp_path / "ours.safetensors")])
        assert exit_status.value.code == 2
    assert "required" in capsys.readouterr().err


def test_what_cannot_be_imported_is_said_in_a_line(tmp_path, capsys):
    theirs = tmp_path / "theirs.safetensors"
    theirs.write_bytes(b"no weights")
    for out, message in [
        ("ours.pth", "must end in .safetensors"),
        ("theirs.safetensors", "would replace the weights"),
        ("ours.safetensors", "theirs.safetensors is damaged"),
    ]:
        assert main(["import", str(theirs), *ORIGIN, "--out", str(tmp_path / out)]) == 1
        error = capsys.readouterr().err
        assert error.startswith("magicpoint: ")
        assert message in error
        assert error.count("\n") == 1
    assert theirs.read_bytes() == b"no weights"
