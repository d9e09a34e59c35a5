import sys

import cv2
import numpy as np
import pytest
import torch

from magicpoint.decoding.decode import DecodeSettings, decode
from magicpoint.export.keypoints import keypoint_graph
from magicpoint.export.onnx import export_model
from magicpoint.inference.extractor import Extractor

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from magicpoint.export.graph import Graph  # noqa: E402
from magicpoint.export.keypoints import add_decoding  # noqa: E402

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


@pytest.fixture(scope="module")
def keypoint_file(tmp_path_factory, random_network):
    path = tmp_path_factory.mktemp("onnx") / "keypoints.onnx"
    return export_model(random_network(), path, kind="keypoints", settings=SETTINGS)


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
    graph = Graph()
    for name, value in add_decoding(graph, "heatmap", None, settings, settings.max_keypoints).items():
        graph.name(value, name)
    count = settings.max_keypoints
    outputs = {"keypoints": ("float", ["b", count, 2]), "scores": ("float", ["b", count]), "count": ("int64", ["b"])}
    model = graph.finish({"heatmap": ("float", ["b", 1, "h", "w"])}, outputs, {}).SerializeToString()
    for shape in [(2, 13, 17), (1, 1, 20), (3, 20, 1), (1, 3, 3)]:
        heatmap = (rng.integers(0, levels + 1, shape) / levels).astype(np.float32)
        result = run(model, heatmap=heatmap[:, None])
        for b, (keypoints, scores) in enumerate(decode(torch.from_numpy(heatmap), settings)):
            assert result["count"][b] == len(keypoints)
            np.testing.assert_allclose(result["scores"][b, : len(scores)], scores, atol=1e-6)
            if not settings.subpixel:  # Fitted heights that differ in the last bit may change places.
                np.testing.assert_array_equal(result["keypoints"][b, : len(keypoints)], keypoints)


def test_an_image_without_keypoints_has_a_count_of_0(keypoint_file, random_network):
    network = random_network()
    with torch.no_grad():
        network.detector.layers[-1].bias[64] = 100.0
    result = run(keypoint_graph(network, SETTINGS).SerializeToString(), image=as_batch(picture(24, 32)))
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


def test_the_file_says_what_it_is(keypoint_file):
    model = onnx.load(keypoint_file)
    assert {entry.key: entry.value for entry in model.metadata_props}["kind"] == "keypoints"
    assert [entry.name for entry in keypoint_file.parent.iterdir()] == ["keypoints.onnx"]


def test_what_cannot_be_exported_is_said(tmp_path, monkeypatch, random_network):
    with pytest.raises(ValueError, match="'tensorrt'"):
        export_model(random_network(), tmp_path / "a", format="tensorrt")
    with pytest.raises(ValueError, match="'sparse'"):
        export_model(random_network(), tmp_path / "a", kind="sparse")
    with pytest.raises(ValueError, match=r"must end in \.onnx, got .*a\.jpg"):
        export_model(random_network(), tmp_path / "a.jpg")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"magicpoint\[onnx\]"):
        export_model(random_network(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
