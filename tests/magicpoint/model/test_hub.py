"""Weights in a repository of the Hugging Face hub, from its cache: no test opens a connection."""

import inspect
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch

from magicpoint import Extractor
from magicpoint.model.weights import pretrained_names, shipped_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache with one repository, as its client lays it out."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--someone--points"
    for folder, name in (("refs", "main"), ("refs", "v1")):
        (repository / folder).mkdir(parents=True, exist_ok=True)
        (repository / folder / name).write_text(COMMIT, encoding="utf-8")
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    shutil.copy(shipped_weights("superpoint-tiny").path, snapshot / "model.safetensors")
    return snapshot


@pytest.mark.parametrize("revision", ["", "@v1", f"@{COMMIT}"])
def test_a_repository_is_opened_by_its_name(cache, revision):
    found = Extractor.load(f"hf:someone/points{revision}", device="cpu")
    assert found.weights == f"hf:someone/points{revision}"
    expected = Extractor.load("superpoint-tiny", device="cpu")
    assert found.provenance["weights_hash"] == expected.provenance["weights_hash"]


def test_a_copy_of_a_repository_is_opened_by_its_folder(cache):
    found = Extractor.load(cache, device="cpu")
    assert found.provenance["weights_hash"] == Extractor.load("superpoint-tiny").provenance["weights_hash"]


@pytest.mark.parametrize("name", ["hf:someone/nothing", "hf:someone/points@v2", "hf:", "hf:a/b/c", "hf:../points"])
def test_what_is_not_there_is_named(cache, name):
    with pytest.raises(ValueError, match=rf"no weights {name}: \w"):
        Extractor.load(name)


def test_a_path_with_a_slip_asks_nobody(monkeypatch):
    monkeypatch.setattr("magicpoint.model.weights.hub_weights", lambda name: pytest.fail("asked"))
    with pytest.raises(ValueError, match="no weights runs/detecter: neither a file, nor a folder"):
        Extractor.load("runs/detecter")


def test_without_the_client_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'magicpoint\[hub\]'"):
        Extractor.load("hf:someone/points")


@pytest.mark.parametrize("name", pretrained_names())
def test_a_model_card_has_the_header_that_the_hub_reads(name):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(shipped_weights(name).path.with_suffix(".md"))
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "magicpoint"
    assert card.data.pipeline_tag == "keypoint-detection"
    assert card.text.lstrip().startswith("<!-- --8<-- [start:card] -->\n# Model card: ")


def test_torch_hub_finds_every_shipped_name():
    root = str(Path(__file__).parents[3])
    names = {name for name, value in runpy.run_path(f"{root}/hubconf.py").items() if inspect.isfunction(value)}
    assert {name.replace("_", "-") for name in names} == set(pretrained_names())
    extractor = torch.hub.load(root, "superpoint_tiny", source="local", device="cpu", max_keypoints=7, threshold=0.0)
    image = torch.rand(1, 64, 96, generator=torch.Generator().manual_seed(0))
    assert (extractor.weights, len(extractor.extract(image))) == ("superpoint-tiny", 7)
