"""Other projects' weights: random ones, under the names that those projects give them, against plain convolutions."""

import itertools
import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from magicpoint import Extractor
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.export.foreign import to_layout, write_magicleap, write_transformers
from magicpoint.interop.checkpoints import load_checkpoint
from magicpoint.model.network import MagicPoint, SuperPoint
from magicpoint.model.weights import load_weights, pretrained_names, save_weights, shipped_weights

MAGICLEAP = [f"conv{number}{half}" for number in "1234PD" for half in "ab"]
TRANSFORMERS = [
    "encoder.conv_blocks.0.conv_a",
    "encoder.conv_blocks.0.conv_b",
    "encoder.conv_blocks.1.conv_a",
    "encoder.conv_blocks.1.conv_b",
    "encoder.conv_blocks.2.conv_a",
    "encoder.conv_blocks.2.conv_b",
    "encoder.conv_blocks.3.conv_a",
    "encoder.conv_blocks.3.conv_b",
    "keypoint_decoder.conv_score_a",
    "keypoint_decoder.conv_score_b",
    "descriptor_decoder.conv_descriptor_a",
    "descriptor_decoder.conv_descriptor_b",
]
ERIC = [
    ("inc.conv.conv.0", "inc.conv.conv.1"),
    ("inc.conv.conv.3", "inc.conv.conv.4"),
    ("down1.mpconv.1.conv.0", "down1.mpconv.1.conv.1"),
    ("down1.mpconv.1.conv.3", "down1.mpconv.1.conv.4"),
    ("down2.mpconv.1.conv.0", "down2.mpconv.1.conv.1"),
    ("down2.mpconv.1.conv.3", "down2.mpconv.1.conv.4"),
    ("down3.mpconv.1.conv.0", "down3.mpconv.1.conv.1"),
    ("down3.mpconv.1.conv.3", "down3.mpconv.1.conv.4"),
    ("convPa", "bnPa"),
    ("convPb", "bnPb"),
    ("convDa", "bnDa"),
    ("convDb", "bnDb"),
]
RPAUTRAT = [
    *((f"backbone.{number}.{place}.conv", f"backbone.{number}.{place}.bn") for number in range(4) for place in (0, 1)),
    *((f"{head}.{place}.conv", f"{head}.{place}.bn") for head in ("detector", "descriptor") for place in (0, 1)),
]
ORIGIN = {"source": "made up for this test", "licence": "CC0-1.0"}


def random_weights(names, norms=None, width=1.0):
    """Weights as large as keeps the values of the layers near 1, and statistics that are no image's."""
    generator = torch.Generator().manual_seed(0)
    channels = [1, *(int(width * c) for c in (64, 64, 64, 64, 128, 128, 128, 128))]
    hidden = int(width * 256)
    shapes = [(b, a, 3, 3) for a, b in itertools.pairwise(channels)]
    for outputs in (65, 256):
        shapes += [(hidden, channels[-1], 3, 3), (outputs, hidden, 1, 1)]
    tensors = {}
    for number, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        spread = (2 / (shape[1] * shape[2] * shape[3])) ** 0.5
        tensors[f"{name}.weight"] = spread * torch.randn(shape, generator=generator)
        tensors[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
        if norms:
            norm = norms[number]
            tensors[f"{norm}.weight"] = 0.5 + torch.rand(shape[0], generator=generator)
            tensors[f"{norm}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
            tensors[f"{norm}.running_mean"] = 0.1 * torch.randn(shape[0], generator=generator)
            tensors[f"{norm}.running_var"] = 0.5 + torch.rand(shape[0], generator=generator)
            tensors[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    return tensors


def eric_weights():
    return random_weights([name for name, _ in ERIC], [norm for _, norm in ERIC])


def plain(tensors, names, image, norms=None, after_relu=False):
    """The paper's network written out: logits and descriptors of an image, in double precision."""
    values = {name: tensor.double() for name, tensor in tensors.items()}

    def layer(number, x):
        weight = values[f"{names[number]}.weight"]
        x = F.conv2d(x, weight, values[f"{names[number]}.bias"], padding=weight.shape[2] // 2)
        hidden = number not in (9, 11)
        if after_relu and hidden:
            x = x.relu()
        if norms:
            parts = [values[f"{norms[number]}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
            x = F.batch_norm(x, *parts, eps=1e-3 if after_relu else 1e-5)
        return x.relu() if hidden and not after_relu else x

    x = image.double()
    for number in range(8):
        x = layer(number, x)
        if number in (1, 3, 5):
            x = F.max_pool2d(x, 2)
    return layer(9, layer(8, x)), F.normalize(layer(11, layer(10, x)), dim=1)


def assert_computes(model, expected, image):
    with torch.no_grad():
        output = model(image)
    for ours, theirs in zip(output, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def image():
    return torch.rand(2, 1, 48, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("layout", "names", "width"),
    [("magicleap", MAGICLEAP, 1.0), ("transformers", TRANSFORMERS, 1.0), ("transformers", TRANSFORMERS, 0.25)],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_without_batch_norm_compute_the_same_here(tmp_path, image, layout, names, width, suffix):
    tensors = random_weights(names, width=width)
    path = tmp_path / f"theirs{suffix}"
    if suffix == ".pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    model, provenance = load_checkpoint(path, **ORIGIN)
    assert provenance["layout"] == layout
    assert model.settings.width == width
    assert model.settings.descriptor_sampling == "legacy"
    assert not model.training
    assert_computes(model, plain(tensors, names, image), image)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_biases_before_batch_norm_go_into_its_mean(tmp_path, image, prefix):
    tensors = eric_weights()
    state = {"n_iter": 200000, "model_state_dict": {prefix + name: tensor for name, tensor in tensors.items()}}
    torch.save(state, tmp_path / "theirs.pth.tar")
    model, provenance = load_checkpoint(tmp_path / "theirs.pth.tar", **ORIGIN)
    assert len(tensors) == 84
    assert provenance["layout"] == "eric-yyjau"
    assert model.settings.batch_norm == "all"
    names, norms = zip(*ERIC, strict=True)
    assert_computes(model, plain(tensors, names, image, norms), image)


def test_batch_norm_behind_the_relu_stays_there(tmp_path, image):
    names, norms = zip(*RPAUTRAT, strict=True)
    tensors = random_weights(names, norms)
    torch.save(tensors, tmp_path / "theirs.pth")
    model, provenance = load_checkpoint(tmp_path / "theirs.pth", **ORIGIN)
    assert provenance["layout"] == "rpautrat"
    expected = plain(tensors, names, image, norms, after_relu=True)
    assert_computes(model, expected, image)
    path = save_weights(tmp_path / "ours.safetensors", model, provenance)
    extractor = Extractor.load(path, device="cpu")
    heatmap, dense = extractor.network(image)
    shares = torch.pixel_shuffle(expected[0].softmax(1)[:, :64], 8)[:, 0]
    torch.testing.assert_close(heatmap.double(), shares, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(dense.double(), expected[1], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="int8 needs BatchNorm before the ReLU"):
        Extractor.load(path, device="cpu", precision="int8")
    with pytest.raises(ValueError, match="behind the ReLU, stays"):
        to_layout(model, "transformers")


def test_the_source_and_the_licence_stay_with_the_weights(tmp_path):
    save_file(random_weights(MAGICLEAP), tmp_path / "theirs.safetensors")
    model, provenance = load_checkpoint(tmp_path / "theirs.safetensors", "https://example.org/x@1", "MIT")
    saved = save_weights(tmp_path / "ours.safetensors", model, provenance)
    again, kept = load_weights(saved)
    assert (kept["source"], kept["licence"]) == ("https://example.org/x@1", "MIT")
    assert len(kept["sha256"]) == 64
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    for source, licence in (("", "MIT"), ("somewhere", " ")):
        with pytest.raises(ValueError, match="source and the licence"):
            load_checkpoint(tmp_path / "theirs.safetensors", source, licence)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({**random_weights(MAGICLEAP), "epoch": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth is damaged or no file of weights: it has more than tensors"):
        load_checkpoint(tmp_path / "evil.pth", **ORIGIN)
    assert not (tmp_path / "owned").exists()


def test_what_is_no_such_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        load_checkpoint(tmp_path / "none.pth", **ORIGIN)
    path = tmp_path / "some.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"some\.pth is damaged"):
        load_checkpoint(path, **ORIGIN)
    path.with_suffix(".safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"some\.safetensors is damaged"):
        load_checkpoint(path.with_suffix(".safetensors"), **ORIGIN)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(ValueError, match="no weights by name"):
        load_checkpoint(path, **ORIGIN)

    tensors = random_weights(MAGICLEAP)
    torch.save({**tensors, "extra": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"with magicleap, 0 tensors are missing .* and 1 unknown \(extra"):
        load_checkpoint(path, **ORIGIN)
    del tensors["convDb.bias"]
    torch.save(tensors, path)
    with pytest.raises(ValueError, match=r"with magicleap, 1 tensors are missing \(convDb\.bias"):
        load_checkpoint(path, **ORIGIN)


def test_another_form_of_the_network_is_refused_by_its_channels(tmp_path):
    tensors = random_weights(MAGICLEAP)
    tensors["conv3a.weight"], tensors["conv3a.bias"] = torch.zeros(96, 64, 3, 3), torch.zeros(96)
    save_file(tensors, tmp_path / "theirs.safetensors")
    with pytest.raises(ValueError, match=r"\[64, 64, 64, 64, 96, .* channels, where .* width 1 "):
        load_checkpoint(tmp_path / "theirs.safetensors", **ORIGIN)
    tensors = random_weights(MAGICLEAP)
    tensors["conv2a.weight"] = torch.zeros(64, 64, 5, 5)
    save_file(tensors, tmp_path / "theirs.safetensors")
    with pytest.raises(ValueError, match=r"conv2a\.weight has shape \(64, 64, 5, 5\) instead of \(64, 64, 3, 3\)"):
        load_checkpoint(tmp_path / "theirs.safetensors", **ORIGIN)


def test_a_bias_that_is_no_layers_is_not_spread_over_it(tmp_path):
    tensors = eric_weights()
    tensors["down1.mpconv.1.conv.0.bias"] = torch.zeros(1)
    torch.save(tensors, tmp_path / "theirs.pth")
    with pytest.raises(ValueError, match=r"down1\.mpconv\.1\.conv\.0\.bias has shape \(1,\) instead of \(64,\)"):
        load_checkpoint(tmp_path / "theirs.pth", **ORIGIN)


@pytest.mark.parametrize("batch_norm", ["all", "hidden", "none"])
def test_the_way_out_folds_batch_norm_and_the_way_back_gives_the_same_maps(tmp_path, image, batch_norm):
    torch.manual_seed(0)
    model = SuperPoint(batch_norm=batch_norm)
    model.train()(torch.rand(2, 1, 32, 32))  # statistics that are not those of the start
    model.eval()
    with torch.no_grad():
        expected = tuple(values.double() for values in model(image))
    path = write_magicleap(tmp_path / "ours.pth", model)
    assert_computes(load_checkpoint(path, **ORIGIN)[0], expected, image)
    for theirs, ours in zip(plain(torch.load(path, weights_only=True), MAGICLEAP, image), expected, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5)
    folder = write_transformers(tmp_path / "folder", model, {"licence": "Apache-2.0"})
    assert_computes(load_checkpoint(folder / "model.safetensors", **ORIGIN)[0], expected, image)


def test_a_network_that_a_layout_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="descriptor head, and the network has none"):
        to_layout(MagicPoint(), "magicleap")
    with pytest.raises(ValueError, match=r"this one has width 0\.5 and 256"):
        to_layout(SuperPoint(0.5), "magicleap")
    with pytest.raises(ValueError, match="this one has width 1 and 128"):
        to_layout(SuperPoint(descriptor_dim=128), "magicleap")


def shipped_superpoints():
    return [name for name in pretrained_names() if name.startswith("superpoint")]


@pytest.mark.parametrize("name", shipped_superpoints())
def test_the_folder_for_transformers_says_what_it_holds(tmp_path, name):
    model, provenance = load_weights(shipped_weights(name).path)
    settings = DecodeSettings(threshold=0.02, max_keypoints=500, nms_radius=3, border=6)
    folder = write_transformers(tmp_path / name, model, provenance, settings)
    width = {"superpoint": 1, "superpoint-small": 0.5, "superpoint-tiny": 0.25}[name]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["encoder_hidden_sizes"] == [64 * width, 64 * width, 128 * width, 128 * width]
    assert config["decoder_hidden_size"] == 256 * width
    assert (config["keypoint_threshold"], config["max_keypoints"]) == (0.02, 500)
    assert (config["nms_radius"], config["border_removal_distance"]) == (3, 6)
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert len(file.keys()) == 24
        assert file.metadata()["format"] == "pt"
        assert json.loads(file.metadata()["provenance"]).items() >= provenance.items()
    write_transformers(tmp_path / name, model)
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["max_keypoints"] == -1


@pytest.fixture(scope="module")
def transformers():
    # Its classes check themselves with warnings of their own, which are no matter of ours.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield pytest.importorskip("transformers")


def their_maps(model, image):
    """Logits and dense descriptors of the parts of `SuperPointForKeypointDetection`, in double precision."""
    with torch.no_grad():
        encoded = model.encoder(image.double()).last_hidden_state
        detector, descriptor = model.keypoint_decoder, model.descriptor_decoder
        logits = detector.conv_score_b(detector.relu(detector.conv_score_a(encoded)))
        descriptors = descriptor.conv_descriptor_b(descriptor.relu(descriptor.conv_descriptor_a(encoded)))
        return logits, F.normalize(descriptors, dim=1)


def test_random_weights_of_transformers_compute_the_same_here(tmp_path, image, transformers):
    torch.manual_seed(0)
    theirs = transformers.SuperPointForKeypointDetection(transformers.SuperPointConfig())
    with torch.no_grad():  # its own start is so small that the maps would be flat
        for name, tensor in random_weights(TRANSFORMERS).items():
            theirs.get_parameter(name).copy_(tensor)
    theirs.save_pretrained(tmp_path)
    model, provenance = load_checkpoint(tmp_path / "model.safetensors", **ORIGIN)
    assert provenance["layout"] == "transformers"
    assert_computes(model, their_maps(theirs.eval().double(), image), image)


@pytest.mark.parametrize("name", shipped_superpoints())
def test_our_weights_of_every_width_load_in_transformers(tmp_path, image, transformers, name):
    model, provenance = load_weights(shipped_weights(name).path)
    folder = write_transformers(tmp_path, model, provenance, DecodeSettings(threshold=1e-4, max_keypoints=50))
    theirs, report = transformers.SuperPointForKeypointDetection.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    output = theirs.eval()(image[:1].expand(1, 3, -1, -1))
    assert 0 < output.keypoints.shape[1] <= 50
    assert output.descriptors.shape[2] == 256
    assert_computes(model, their_maps(theirs.double(), image), image)
