import dataclasses
import json
import math
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from magicpoint.core import machine
from magicpoint.core.types import Features
from magicpoint.decoding.decode import decode, logits_to_heatmap
from magicpoint.decoding.descriptors import sample_descriptors
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference import backends
from magicpoint.inference.backends import ENGINES, open_network, preferred_device, torch_int8
from magicpoint.inference.backends.base import Engine, Maps
from magicpoint.inference.backends.torch_int8 import QuantizedNetwork
from magicpoint.inference.extractor import Extractor, as_input
from magicpoint.io.grey import to_grey
from magicpoint.io.images import read_image
from magicpoint.measures.agreement import compare_features
from magicpoint.model.network import MagicPoint, PointNetwork, SuperPoint
from magicpoint.model.weights import load_weights, shipped_weights
from synthetic_shapes import ShapeSettings, render_sample

CPU = torch.device("cpu")
PHOTOGRAPH = Path(__file__).parents[3] / "notebooks" / "images" / "cameraman.png"
SETTINGS = DecodeSettings(max_keypoints=1000)


@pytest.fixture(scope="module")
def network():
    """The shipped detector, with a descriptor head of arbitrary weights."""
    detector, _ = load_weights(shipped_weights("magicpoint").path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SuperPoint(detector.settings.width, detector.settings.batch_norm, 64)
    model.load_state_dict(detector.state_dict(), strict=False)
    return model.eval()


@pytest.fixture(scope="module")
def images():
    """A part of a photograph, and renders that no network has been trained or calibrated on."""
    renders = [render_sample(7, number, ShapeSettings((120, 160)), "test")[0] for number in range(9)]
    return [read_image(PHOTOGRAPH)[100:280, 150:390], *(to_grey(image) for image in renders)]


def plainly(model: PointNetwork, image) -> Features:
    """The reference: the network as it was trained, in float32, and nothing but the library's decoding."""
    with torch.no_grad():
        output = model(as_input(image, 8))
    size = (image.shape[1], image.shape[0])
    [(keypoints, scores)] = decode(logits_to_heatmap(output.logits), SETTINGS, [size])
    return Features(keypoints, scores, sample_descriptors(output.descriptors, [keypoints])[0], size)


@pytest.fixture(scope="module")
def reference(network, images):
    return [plainly(network, image) for image in images]


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_float32_finds_the_same_keypoints(network, images, reference, backend):
    if backend == "onnxruntime":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    extractor = Extractor(network, SETTINGS, "cpu", backend=backend)
    found = extractor.extract_batch(images)
    assert [len(features) for features in found] == [len(features) for features in reference]
    agreement = compare_features(reference, found, tolerance=0.01)
    assert agreement.keypoints > 150
    assert agreement.found == 1.0
    assert agreement.lowest_cosine > 0.9999
    assert json.loads(extractor.provenance["network"])["backend"] == backend


@pytest.mark.parametrize(
    ("precision", "share"), [("bfloat16", 0.97), ("float16", 0.97), pytest.param("int8", 0.95, marks=pytest.mark.int8)]
)
def test_smaller_numbers_find_nearly_the_same_keypoints(network, images, reference, precision, share):
    found = Extractor(network, SETTINGS, "cpu", precision=precision).extract_batch(images)
    agreement = compare_features(reference, found)
    assert agreement.found >= share
    assert agreement.mean_cosine > 0.99
    assert compare_features(found, reference).found >= share


@pytest.mark.int8
def test_a_layer_of_whole_numbers_is_computed_exactly():
    # The image in units of 1 / 255 and weights of -127 to 127 units need no rounding: the sums are those of floats.
    model = MagicPoint(0.125, batch_norm="none").eval()
    first = model.encoder.layers[0][0]
    with torch.no_grad():
        first.weight.copy_(torch.randint(-126, 127, first.weight.shape, generator=torch.Generator().manual_seed(0)))
        first.weight[:, 0, 0, 0] = 127
        first.bias.zero_()
    image = torch.randint(0, 256, (1, 1, 16, 16), generator=torch.Generator().manual_seed(0)) / 255
    layer = torch_int8._quantized(first, 1 / 255, None)
    pixels = (image * 255).round().to(torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(layer(pixels, True), first(image), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.int8
def test_int8_depends_on_the_calibration_and_on_nothing_else(images):
    network = MagicPoint(0.125).eval()
    image = as_input(images[0], 8)
    first, second = QuantizedNetwork(network), QuantizedNetwork(network)
    assert first.digest == second.digest
    assert torch.equal(first(image).logits, second(image).logits)
    batch = first(torch.cat((image.flip(3), image)))
    assert torch.equal(batch.logits[1:], first(image).logits)
    assert QuantizedNetwork(network, [image]).digest != first.digest
    by_extractor = Extractor(network, device="cpu", precision="int8", calibration=[images[0]])
    assert QuantizedNetwork(network, [image]).digest in by_extractor.provenance["network"]


@pytest.mark.int8
def test_a_layer_that_never_fires_is_quantized_to_zeros():
    network = MagicPoint(0.125, batch_norm="none").eval()
    with torch.no_grad():
        network.encoder.layers[0][0].weight.zero_()
        network.encoder.layers[0][0].bias.fill_(-1.0)
    image = torch.rand(1, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    # So the image has no influence, and what is left is what the biases of the other layers give.
    logits, black = (QuantizedNetwork(network)(values).logits for values in (image, torch.zeros_like(image)))
    assert torch.equal(logits, black)
    with torch.inference_mode():
        expected = network(image).logits
    torch.testing.assert_close(logits, expected, atol=0.02 * float(expected.abs().max()), rtol=0)


def test_any_module_with_that_output_runs_in_torch():
    class Shipped(torch.nn.Module):
        def forward(self, image):
            return MagicPoint(0.125).eval()(image)

    maps = open_network(Shipped(), CPU)(torch.rand(1, 1, 16, 24))
    assert isinstance(maps, Maps)
    assert maps.heatmap.shape == (1, 16, 24)
    assert maps.descriptors is None
    with pytest.raises(ValueError, match="needs a PointNetwork, got Shipped"):
        open_network(Shipped(), CPU, precision="int8")


def test_what_does_not_go_together_is_refused_by_name(monkeypatch):
    network = MagicPoint(0.125)
    with pytest.raises(ValueError, match="'tensorflow'"):
        open_network(network, CPU, "tensorflow")
    with pytest.raises(ValueError, match="'float8'"):
        open_network(network, CPU, precision="float8")
    with pytest.raises(ValueError, match="onnxruntime runs float32, got precision bfloat16"):
        open_network(network, CPU, "onnxruntime", "bfloat16")
    with pytest.raises(ValueError, match="onnxruntime in float32 runs on the CPU, got device meta"):
        open_network(network, torch.device("meta"), "onnxruntime")
    with pytest.raises(ValueError, match="torch in int8 runs on the CPU, got device meta"):
        open_network(network, torch.device("meta"), precision="int8")
    with pytest.raises(ValueError, match="for int8, not for float32"):
        open_network(network, CPU, calibration=[torch.zeros(1, 1, 8, 8)])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"magicpoint\[onnx\]"):
        open_network(network, CPU, "onnxruntime")


def test_every_engine_of_the_folder_is_in_the_table():
    files = {path.stem for path in Path(backends.__file__).parent.glob("*.py")}
    assert files - {"__init__", "base"} == {file for row in backends.ENGINES.values() for file in row}


def test_an_engine_is_a_row_of_the_table(monkeypatch):
    def open_corner(model, device, precision, calibration):
        def run(image):
            heatmap = torch.zeros_like(image[:, 0])
            heatmap[:, 5, 7] = 1.0
            return Maps(heatmap, None)

        run.settings = "{}"
        return run

    file = ModuleType("magicpoint.inference.backends.corner")
    file.ENGINE = Engine(("float32",), open_corner, package=("no_such_package", "onnx"))
    monkeypatch.setitem(sys.modules, file.__name__, file)
    monkeypatch.setitem(backends.ENGINES, "corner", ("corner",))
    with pytest.raises(ImportError, match=r"this needs no_such_package: pip install 'magicpoint\[onnx\]'"):
        Extractor(MagicPoint(0.125), device="cpu", backend="corner")
    file.ENGINE = dataclasses.replace(file.ENGINE, package=None)
    extractor = Extractor(MagicPoint(0.125), device="cpu", backend="corner")
    assert extractor.extract(np.zeros((16, 16), np.uint8)).keypoints.tolist() == [[7.0, 5.0]]


def test_a_processor_whose_sums_overflow_is_refused(monkeypatch):
    def saturating(convolution, before, after):
        return lambda activations, padded: torch.full((1, 8, 3, 3), 32767.0)

    monkeypatch.setattr(torch_int8, "_quantized", saturating)
    with pytest.raises(RuntimeError, match="32767"):
        QuantizedNetwork(MagicPoint(0.125))


@pytest.mark.parametrize(
    ("share", "taken"), [(0.5, "bfloat16"), (0.79, "bfloat16"), (0.81, "float32"), (5.0, "float32")]
)
def test_auto_takes_the_smaller_numbers_where_they_are_clearly_faster(monkeypatch, share, taken):
    monkeypatch.setattr(machine, "_seconds", lambda dtype, device: share if dtype == torch.bfloat16 else 1.0)
    network = open_network(MagicPoint(0.125), CPU, precision="auto")
    assert json.loads(network.settings)["precision"] == taken


def test_the_time_of_a_format_is_measured():
    assert 0 < machine._seconds(torch.float32, CPU) < 10


# --- agreement


def features(points, descriptors=None):
    points = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    if descriptors is not None:
        descriptors = torch.tensor(descriptors, dtype=torch.float32).reshape(-1, 2)
    return Features(points, torch.ones(len(points)), descriptors, (64, 48))


def test_agreement_is_counted_over_all_keypoints_of_the_reference():
    reference = [features([[1, 1], [10, 10], [20, 20]], [[1, 0], [1, 0], [0, 1]]), features([[5, 5]], [[0, 1]])]
    other = [features([[1, 1.5], [10, 10], [23, 24]], [[1, 0], [0.6, 0.8], [0, 1]]), features([], [])]
    agreement = compare_features(reference, other)
    assert agreement.keypoints == 4
    assert agreement.found == 0.5
    assert agreement.largest_distance == 0.5
    assert agreement.mean_cosine == pytest.approx(0.8)
    assert agreement.lowest_cosine == pytest.approx(0.6)


def test_nothing_agrees_with_nothing():
    agreement = compare_features([features([])], [features([[1, 1]])])
    assert (agreement.keypoints, agreement.found, agreement.mean_cosine) == (0, 1.0, None)
    assert math.isclose(agreement.largest_distance, 0.0)
    with pytest.raises(ValueError, match="shorter"):
        compare_features([features([])], [])


@pytest.mark.parametrize("engine", ["float32", "bfloat16", "onnxruntime", pytest.param("int8", marks=pytest.mark.int8)])
def test_another_process_can_be_given_an_extractor(network, images, engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    options = {"backend" if engine in ENGINES else "precision": engine}
    random_state = torch.get_rng_state()
    extractor = Extractor(network, SETTINGS, "cpu", **options)
    sent = pickle.loads(pickle.dumps(extractor))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert sent.provenance == extractor.provenance
    expected, found = extractor.extract(images[0]), sent.extract(images[0])
    assert len(found) > 10
    for name in ("keypoints", "keypoint_scores", "descriptors"):
        assert torch.equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("default", ["cpu", "cuda"])
def test_without_a_device_the_engine_says_which(monkeypatch, default):
    monkeypatch.setattr(machine, "default_device", lambda: torch.device(default))
    assert preferred_device("torch", "float32").type == default
    assert preferred_device("torch", "int8").type == "cpu"
    assert preferred_device("onnxruntime", "float32").type == "cpu"
