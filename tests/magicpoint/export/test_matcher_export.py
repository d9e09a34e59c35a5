"""The graphs of a matcher give what the matcher gives."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from magicpoint.core.types import Features
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.export.formats import export_model
from magicpoint.inference.extractor import Extractor
from magicpoint.matching.learned import LearnedMatcher
from magicpoint.matching.settings import LearnedSettings
from magicpoint.model.matcher import MatcherNetwork
from magicpoint.model.settings import MatcherSettings
from magicpoint.model.weights import weights_hash

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

LEARNED = LearnedSettings(min_score=1e-4)


@pytest.fixture(scope="module")
def network(random_network):
    return random_network()


@pytest.fixture(scope="module")
def matcher(network):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = MatcherNetwork(MatcherSettings(16, 2, 2, 16, weights_hash(network.state_dict())))
        made.begin_with(F.normalize(torch.randn(100, 16), dim=1))
        for name, values in made.named_parameters():
            if "narrow" in name:
                torch.nn.init.normal_(values, std=0.3)
    return LearnedMatcher(made, LEARNED)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs), strict=True))


@pytest.fixture(scope="module")
def files(tmp_path_factory, network, matcher):
    folder = tmp_path_factory.mktemp("onnx")
    settings = DecodeSettings(max_keypoints=60, threshold=0.0)
    return {
        kind: export_model(
            network, folder / f"{kind}.onnx", kind=kind, settings=settings, matcher=matcher.network, learned=LEARNED
        )
        for kind in ("matcher", "matches")
    }


@pytest.mark.parametrize("counts", [(40, 30), (1, 30), (1, 1), (0, 5), (5, 0), (0, 0)])
def test_features_have_the_same_matches(files, matcher, counts):
    sides, inputs = [], {}
    for side, (count, size) in enumerate(zip(counts, ((64, 48), (50, 70)), strict=True)):
        generator = torch.Generator().manual_seed(side)
        keypoints = torch.rand(count, 2, generator=generator) * torch.tensor(size)
        descriptors = F.normalize(torch.randn(count, 16, generator=generator), dim=1)
        sides.append(Features(keypoints, torch.ones(count), descriptors, size))
        inputs |= {f"keypoints{side}": keypoints.numpy(), f"descriptors{side}": descriptors.numpy()}
        inputs[f"image_size{side}"] = np.array(size)
    expected, found = matcher.match(*sides), run(files["matcher"], **inputs)
    assert len(expected) >= min(*counts, 5)
    assert found["matches01"].tolist() == expected.matches01.tolist()
    np.testing.assert_allclose(found["match_scores"], expected.scores, rtol=1e-3, atol=1e-6)


def test_images_of_two_sizes_have_the_same_matches(files, network, matcher):
    rng = np.random.default_rng(0)
    images = [rng.random((56, 72), np.float32), rng.random((45, 61), np.float32)]
    extractor = Extractor(network, DecodeSettings(max_keypoints=60, threshold=0.0), "cpu")
    sides = [extractor.extract(image) for image in images]
    found = run(files["matches"], **{f"image{side}": image[None, None] for side, image in enumerate(images)})
    for side in (0, 1):
        np.testing.assert_allclose(found[f"keypoints{side}"], sides[side].keypoints, atol=1e-3)
    expected = matcher.match(*sides)
    assert len(expected) > 5
    assert found["matches01"].tolist() == expected.matches01.tolist()
    np.testing.assert_allclose(found["match_scores"], expected.scores, rtol=1e-2, atol=1e-5)


def test_a_matcher_of_other_features_is_refused(tmp_path, matcher, random_network):
    with pytest.raises(ValueError, match="the matcher is for features of the weights"):
        export_model(random_network(8), tmp_path / "a.onnx", kind="matches", matcher=matcher.network)
    with pytest.raises(ValueError, match="belong together, got 'matcher'"):
        export_model(random_network(), tmp_path / "a.onnx", kind="matcher")
