import dataclasses
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

import magicpoint
from magicpoint.decoding.decode import decode
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.export.formats import export_model
from magicpoint.export.keypoints import add_decoding
from magicpoint.export.onnx import build, onnx_model
from magicpoint.inference.extractor import Extractor
from magicpoint.model.network import SuperPoint
from magicpoint.model.quantize import layers, prepare, quantized_weight
from magicpoint.model.weights import weights_hash

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SETTINGS = DecodeSettings(border=0, max_keypoints=200)


def picture(height, width, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 1.5))


def as_batch(*images):
    return np.stack([image[None].astype(np.float32) / 255 for image in images])


def run(path_or_model, **inputs):
    """The outputs of a graph in ONNX Runtime by name."""
    content = path_or_model if isinstance(path_or_model, bytes) else path_or_model.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs), strict=True))


@pytest.fixture(scope="module")
def dense_file(tmp_path_factory, random_network):
    return export_model(random_network(), tmp_path_factory.mktemp("onnx") / "dense.onnx")


@pytest.fixture(scope="module", params=["keypoints", "keypoints_unrolled"])
def keypoint_file(tmp_path_factory, random_network, request):
    path = tmp_path_factory.mktemp("onnx") / "keypoints.onnx"
    return export_model(random_network(), path, kind=request.param, settings=SETTINGS)


def test_descriptors_are_read_where_imported_weights_have_them(tmp_path, random_network):
    model = random_network()
    centred = Extractor(model, SETTINGS, "cpu").extract(picture(37, 61))
    model.settings = dataclasses.replace(model.settings, descriptor_sampling="legacy")
    features = Extractor(model, SETTINGS, "cpu").extract(picture(37, 61))
    assert features.provenance["descriptor_sampling"] == "legacy"
    assert (features.descriptors * centred.descriptors).sum(1).min() < 0.999
    result = run(
        export_model(model, tmp_path / "legacy.onnx", kind="keypoints", settings=SETTINGS),
        image=as_batch(picture(37, 61)),
    )
    np.testing.assert_allclose(result["descriptors"][0, : len(features)], features.descriptors, atol=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (40, 48), (120, 160)])
def test_the_dense_maps_are_those_of_the_network(dense_file, size, random_network):
    image = as_batch(picture(*size), picture(*size, 1))
    result = run(dense_file, image=image)
    with torch.no_grad():
        expected = random_network()(torch.from_numpy(image))
    shares = torch.pixel_shuffle(expected.logits.softmax(1)[:, :64], 8)[:, 0]
    np.testing.assert_allclose(result["heatmap"], shares, atol=1e-4)
    np.testing.assert_allclose(result["descriptors"], expected.descriptors, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (37, 61), (40, 48), (120, 160)])
def test_the_keypoints_are_those_of_the_extractor(keypoint_file, size, random_network):
    images = [picture(*size), picture(*size, 1)]
    result = run(keypoint_file, image=as_batch(*images))
    extractor = Extractor(random_network(), SETTINGS, "cpu")
    for image, count, *padded in zip(images, *(result[name] for name in ("count", *PADDED)), strict=True):
        features = extractor.extract(image)
        assert count == len(features)
        assert 10 < count <= 200 or size == (1, 1)
        fields = (features.keypoints, features.keypoint_scores, features.descriptors)
        for values, expected in zip(padded, fields, strict=True):
            assert len(values) == 200
            np.testing.assert_allclose(values[:count], expected, atol=1e-4)
            assert not values[count:].any()


PADDED = ("keypoints", "scores", "descriptors")


@pytest.mark.parametrize("settings", [SETTINGS, DecodeSettings(1, 0.1, 3, 7), DecodeSettings(2, 0.0, 0, 900, False)])
@pytest.mark.parametrize("levels", [2, 5, 10_000])
def test_the_graph_decodes_ties_plateaus_and_slopes_like_the_library(settings, levels):
    rng = np.random.default_rng(levels)
    model = build(lambda op, heatmap: add_decoding(op, heatmap, None, settings, None), "heatmap", {})
    for shape in [(2, 13, 17), (1, 1, 20), (3, 20, 1), (1, 3, 3)]:
        heatmap = (rng.integers(0, levels + 1, shape) / levels).astype(np.float32)
        result = run(model, heatmap=heatmap[:, None])
        for b, (keypoints, scores) in enumerate(decode(torch.from_numpy(heatmap), settings)):
            assert result["count"][b] == len(keypoints)
            np.testing.assert_allclose(result["scores"][b, : len(scores)], scores, atol=1e-6)
            if not settings.subpixel:  # Fitted heights that differ in the last bit may change places.
                np.testing.assert_array_equal(result["keypoints"][b, : len(keypoints)], keypoints)


@pytest.mark.parametrize("rounds", [None, 1, 4])
def test_a_round_of_suppression_decides_one_link_of_a_chain(rounds):
    # Each of ten falling peaks suppresses the next, two pixels away, so every second is kept: one a round.
    heatmap = np.zeros((1, 1, 3, 20), np.float32)
    heatmap[0, 0, 1, ::2] = np.linspace(0.9, 0.1, 10)
    settings = DecodeSettings(nms_radius=2, border=0, max_keypoints=10)
    result = run(build(lambda op, value: add_decoding(op, value, None, settings, rounds), "h", {}), h=heatmap)
    kept = rounds or 5
    assert result["count"] == [kept]
    np.testing.assert_allclose(result["keypoints"][0, :kept], [[4 * i, 1] for i in range(kept)], atol=1e-6)


def test_an_image_without_keypoints_has_a_count_of_0(random_network):
    network = random_network()
    with torch.no_grad():
        network.detector.layers[-1].bias[64] = 100.0
    result = run(onnx_model(network, "keypoints", SETTINGS), image=as_batch(picture(24, 32)))
    assert result["count"].tolist() == [0]
    assert not result["descriptors"].any()


def test_a_detector_has_no_descriptors_and_1024_places(tmp_path, random_network):
    image = as_batch(picture(40, 48))
    assert list(run(export_model(random_network(0), tmp_path / "a.onnx"), image=image)) == ["heatmap"]
    result = run(export_model(random_network(0), tmp_path / "b.onnx", kind="keypoints"), image=image)
    assert {name: values.shape for name, values in result.items()} == {
        "keypoints": (1, 1024, 2),
        "scores": (1, 1024),
        "count": (1,),
    }


@pytest.mark.parametrize("size", [(40, 48), (120, 160)])
def test_opencv_reads_the_dense_maps(dense_file, size):
    image = as_batch(picture(*size))
    network = cv2.dnn.readNetFromONNX(str(dense_file))
    network.setInput(image)
    found = network.forward(["heatmap", "descriptors"])
    for values, expected in zip(found, run(dense_file, image=image).values(), strict=True):
        np.testing.assert_allclose(values, expected, atol=1e-4)


def test_a_descriptor_of_0_stays_0(random_network):
    network = random_network()
    with torch.no_grad():
        network.descriptor.layers[-1].weight.zero_()
        network.descriptor.layers[-1].bias.zero_()
    image = as_batch(picture(16, 24))
    dense = onnx_model(network, "dense", SETTINGS)
    reader = cv2.dnn.readNetFromONNX(np.frombuffer(dense, np.uint8))
    reader.setInput(image)
    for descriptors in (run(dense, image=image)["descriptors"], reader.forward("descriptors")):
        np.testing.assert_array_equal(descriptors, np.zeros((1, 16, 2, 3), np.float32))
    result = run(onnx_model(network, "keypoints", SETTINGS), image=image)
    assert result["count"] > 0
    np.testing.assert_array_equal(result["descriptors"], np.zeros((1, 200, 16), np.float32))


def operators(graph):
    """The names of the operators of a graph and of the graphs within."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from operators(attribute.g)


def test_the_unrolled_graph_has_no_control_flow_and_no_shape_that_depends_on_values(random_network):
    def used(kind):
        return set(operators(onnx.load_from_string(onnx_model(random_network(), kind, SETTINGS)).graph))

    assert used("keypoints") - used("keypoints_unrolled") == {"Loop", "ReduceMax"}
    assert not used("keypoints_unrolled") & {"Loop", "If", "Scan", "NonZero", "Compress", "Unique"}


@pytest.mark.skipif(cv2.__version__ < "5", reason="OpenCV 4 reads no graph that computes with its input's size")
def test_opencv_reads_the_keypoints(keypoint_file):
    image = as_batch(picture(64, 83))
    network = cv2.dnn.readNetFromONNX(str(keypoint_file))
    network.setInput(image)
    expected = run(keypoint_file, image=image)
    for values, name in zip(network.forward(list(expected)), expected, strict=True):
        np.testing.assert_allclose(values, expected[name], atol=1e-3)


def test_the_file_says_what_it_is(dense_file, keypoint_file, random_network):
    def metadata(path):
        model = onnx.load(path)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
        return {entry.key: entry.value for entry in model.metadata_props}

    about = {
        "weights_hash": weights_hash(random_network().state_dict()),
        "version": magicpoint.__version__,
        "descriptor_sampling": "centres",
    }
    assert metadata(dense_file) == {"kind": "dense", **about}
    found = metadata(keypoint_file)
    assert DecodeSettings(**json.loads(found.pop("decode"))) == SETTINGS
    assert found in [{"kind": kind, **about} for kind in ("keypoints", "keypoints_unrolled")]
    assert [entry.name for entry in keypoint_file.parent.iterdir()] == ["keypoints.onnx"]
    without_limit = onnx.load_from_string(onnx_model(random_network(), "keypoints", DecodeSettings()))
    assert any('"max_keypoints": 1024' in entry.value for entry in without_limit.metadata_props)


def test_the_licence_of_the_weights_stays_with_the_file(random_network):
    model = onnx.load_from_string(onnx_model(random_network(), "dense", SETTINGS, {"licence": "MIT", "source": "x"}))
    assert {entry.key: entry.value for entry in model.metadata_props}["licence"] == "MIT"


def in_bytes(model, image, whole_bias):
    """Logits and descriptors with activations and weights rounded to the steps of `model.quantize`, in doubles.

    With `whole_bias` the biases are whole numbers, too, in units of a step of the activations times one of the weights.
    """
    folded, steps = prepare(model)
    encoder, heads = layers(folded)

    def rounded(values, step):
        return (values / step).round().clip(0, 255) * step

    def convolved(values, layer, step):
        whole, units = quantized_weight(layer)
        weight, bias = whole.double() * units.double()[:, None, None, None], layer.bias.double()
        bias = (bias / (step * units)).round() * (step * units) if whole_bias else bias
        return torch.nn.functional.conv2d(values, weight, bias, padding=layer.padding)

    values, before = rounded(torch.from_numpy(image).double(), 1 / 255), 1 / 255
    for number, (layer, step) in enumerate(zip(encoder, steps, strict=False)):
        values, before = rounded(convolved(values, layer, before), step), step
        values = torch.nn.functional.max_pool2d(values, 2) if number in (1, 3, 5) else values
    outputs = [
        convolved(rounded(convolved(values, first, before), step), last, step)
        for (first, last), step in zip(heads, steps[len(encoder) :], strict=True)
    ]
    shares = torch.pixel_shuffle(outputs[0].softmax(1)[:, :64], 8)[:, 0]
    return shares.numpy(), torch.nn.functional.normalize(outputs[1], dim=1).numpy()


@pytest.mark.int8
def test_int8_has_the_numbers_of_the_quantised_network(tmp_path):
    model = Extractor.load("superpoint-tiny", device="cpu").model
    path = export_model(model, tmp_path / "a.onnx", precision="int8")
    image = as_batch(picture(120, 160))
    result = run(path, image=image)
    with torch.no_grad():
        heatmap, descriptors = in_bytes(model, image, whole_bias=True)
        exact_bias, _ = in_bytes(model, image, whole_bias=False)
        unrounded = torch.pixel_shuffle(model(torch.from_numpy(image)).logits.softmax(1)[:, :64], 8)[:, 0].numpy()
    # A sum just beside a half may be rounded either way, so in the mean and not at every pixel: less than a tenth of
    # what all the rounding changes.
    assert np.abs(result["heatmap"] - heatmap).mean() < 0.1 * np.abs(unrounded - heatmap).mean()
    assert (result["descriptors"] * descriptors).sum(1).mean() > 0.9999
    # The biases of the engine int8 are exact; from the network itself both are as far away.
    of_graph, of_engine = (np.abs(found - unrounded).mean() for found in (result["heatmap"], exact_bias))
    assert 1e-5 < of_graph < 1.1 * of_engine < 1e-3
    graph = onnx.load(path)
    assert {entry.key: entry.value for entry in graph.metadata_props}["precision"] == "int8"
    kinds = {initializer.data_type for initializer in graph.graph.initializer if len(initializer.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}
    assert path.stat().st_size < 0.4 * len(onnx_model(model, "dense", SETTINGS))


@pytest.mark.int8
def test_keypoints_of_int8_are_decoded_in_the_graph():
    model = Extractor.load("superpoint-tiny", device="cpu").model
    image = as_batch(picture(61, 83))
    result = run(onnx_model(model, "keypoints", SETTINGS, None, "int8"), image=image)
    exact = Extractor(model, SETTINGS, "cpu").extract(picture(61, 83))
    found = result["keypoints"][0, : result["count"][0]]
    distances = np.abs(found[:, None] - exact.keypoints.numpy()[None]).max(2).min(1)
    assert len(found) > 10
    assert (distances < 1).mean() > 0.9


def test_batch_norm_behind_the_relu_is_exported():
    torch.manual_seed(0)
    network = SuperPoint(0.125, "after_relu")
    network.train()(torch.rand(4, 1, 32, 32))  # statistics that are not those of the start
    network.eval()
    image = as_batch(picture(40, 48))
    result = run(onnx_model(network, "dense", SETTINGS), image=image)
    with torch.no_grad():
        expected = network(torch.from_numpy(image))
    shares = torch.pixel_shuffle(expected.logits.softmax(1)[:, :64], 8)[:, 0]
    np.testing.assert_allclose(result["heatmap"], shares, atol=1e-5)
    np.testing.assert_allclose(result["descriptors"], expected.descriptors, atol=1e-5)


@pytest.mark.slow
def test_the_file_is_the_same_bytes_in_every_process():
    code = (
        "import hashlib, torch; torch.manual_seed(0)\n"
        "from magicpoint import DecodeSettings, SuperPoint\n"
        "from magicpoint.export.onnx import KINDS, onnx_model\n"
        "network = SuperPoint(0.125)\n"
        "print([hashlib.sha256(onnx_model(network, kind, DecodeSettings())).hexdigest() for kind in KINDS])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in "12"
    }
    assert len(found) == 1


def test_what_cannot_be_exported_is_said(tmp_path, monkeypatch, random_network):
    with pytest.raises(ValueError, match="'tensorrt'"):
        export_model(random_network(), tmp_path / "a", format="tensorrt")
    with pytest.raises(ValueError, match="'sparse'"):
        export_model(random_network(), tmp_path / "a", kind="sparse")
    with pytest.raises(ValueError, match=r"must end in \.onnx, got .*a\.jpg"):
        export_model(random_network(), tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="is a folder: its name has no suffix"):
        export_model(random_network(), tmp_path / "a.onnx", format="transformers")
    with pytest.raises(ValueError, match="kind of magicleap must be weights, got 'dense'"):
        export_model(random_network(), tmp_path / "a.pth", format="magicleap", kind="dense")
    with pytest.raises(ValueError, match="precision of magicleap must be float32, got 'int8'"):
        export_model(random_network(), tmp_path / "a.pth", format="magicleap", precision="int8")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"magicpoint\[onnx\]"):
        export_model(random_network(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
