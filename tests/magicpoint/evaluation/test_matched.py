"""Several ways to match the keypoints of one method, in one evaluation."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from magicpoint.core.types import Matches
from magicpoint.data.hpatches import find_sequences
from magicpoint.evaluation.interiors.results import InteriorsProtocol
from magicpoint.evaluation.interiors.run import evaluate_on_interiors
from magicpoint.evaluation.methods.matched import MatchedBy
from magicpoint.evaluation.methods.network import NetworkOnPairs
from magicpoint.evaluation.methods.opencv import ON_PAIRS
from magicpoint.evaluation.pairs.report import format_pairs
from magicpoint.evaluation.pairs.results import PairsProtocol
from magicpoint.evaluation.pairs.run import evaluate_on_pairs
from magicpoint.inference.extractor import Extractor
from magicpoint.matching.settings import MatchSettings

HALF = np.random.default_rng(0).integers(0, 256, (60, 80)).astype(np.uint8)
NOISE = cv2.resize(HALF, (160, 120), interpolation=cv2.INTER_CUBIC)


@dataclasses.dataclass(frozen=True)
class Counted:
    """OpenCV's ORB, and how often it was asked."""

    images: list
    has_descriptors = True

    def settings(self):
        return {}

    def prepare(self, selection):
        detect = ON_PAIRS["orb"].prepare(selection)
        return lambda image: self.images.append(1) or detect(image)


class First:
    """Matches the first keypoints of both."""

    provenance = {"matcher": "first"}  # noqa: RUF012

    def match(self, features0, features1):
        return Matches(torch.zeros((1, 2), dtype=torch.int64), torch.ones(1))


@pytest.fixture
def compared():
    orb = Counted([])
    ways = {"nearest": MatchSettings(), "first": First()}
    return orb, {"plain": orb, **{name: MatchedBy(orb, way) for name, way in ways.items()}}


def test_pairs_have_a_row_for_each_way(compared, tmp_path):
    orb, methods = compared
    (tmp_path / "v_a").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"v_a/{number}.png"), NOISE)
    np.savetxt(tmp_path / "v_a/H_1_2", np.eye(3))
    found = evaluate_on_pairs(find_sequences(tmp_path), methods, {"small": PairsProtocol(None, 50, (4,), True)})
    assert len(orb.images) == 2  # once for each image
    pairs = {name: found.results["small"][4][name].pairs[0].measures for name in methods}
    assert pairs["plain"].keys() == pairs["nearest"].keys() - {"matching_recall", "milliseconds"}
    assert pairs["nearest"]["matching_recall"] == pairs["nearest"]["matching_accuracy_3"] == 1
    assert pairs["first"]["matches"] == 1
    assert 0 < pairs["first"]["matching_recall"] < 0.2
    assert found.methods["first"]["matching"] == '{"matcher": "first"}'
    assert "viewpoint: matchers" in format_pairs(found)


def test_a_network_finds_the_keypoints_of_all_protocols_at_once(tmp_path, random_network, monkeypatch):
    (tmp_path / "v_a").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"v_a/{number}.png"), np.roll(NOISE, number, axis=1))
    np.savetxt(tmp_path / "v_a/H_1_2", np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]]))
    seen, extract = [], Extractor.extract
    monkeypatch.setattr(Extractor, "extract", lambda self, image: seen.append(1) or extract(self, image))
    methods = {"ours": NetworkOnPairs(Extractor(random_network(), device="cpu"))}
    protocols = {f"best {count}": PairsProtocol(None, count, (4,), True) for count in (20, 60)}
    together = evaluate_on_pairs(find_sequences(tmp_path), methods, protocols)
    assert len(seen) == 2
    for name, protocol in protocols.items():
        alone = evaluate_on_pairs(find_sequences(tmp_path), methods, {name: protocol})
        assert alone.results[name][4]["ours"].pairs == together.results[name][4]["ours"].pairs


def test_rooms_have_a_row_for_each_way(compared):
    orb, methods = compared
    found = evaluate_on_interiors([NOISE], methods, InteriorsProtocol(rooms=1, max_keypoints=100))
    assert len(orb.images) == 2
    [plain, nearest, first] = [found.results[name].rooms[0] for name in methods]
    assert plain == nearest
    assert first.matches == 1
