"""Pairs of features for a matcher: which keypoints are one, and the same pairs whoever asks for them."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from homography import HomographySettings, warp_points
from homography.warp import inverse_homography
from magicpoint.core.types import Features
from magicpoint.data.image_files import ImageFiles
from magicpoint.data.match_batches import UNKNOWN, UNMATCHED, MatchBatches, collate_pairs, find_targets
from magicpoint.data.settings import ViewSettings
from magicpoint.data.view_features import FeaturePair, FeaturePairs, PairRecipe
from magicpoint.io.images import write_png
from synthetic_shapes import ShapeSettings, render_sample

SHIFT = np.array([[1.0, 0, 10], [0, 1, 0], [0, 0, 1]])
ZOOM = np.diag([2.0, 2.0, 1.0])


def points(*places):
    return np.array(places, np.float32).reshape(-1, 2)


def pair_of(of0, of1, H=SHIFT):
    sides = [
        Features(torch.from_numpy(each), torch.ones(len(each)), torch.ones(len(each), 4), (100, 60))
        for each in (of0, of1)
    ]
    placed = warp_points(of0.astype(float), H), warp_points(of1.astype(float), inverse_homography(H))
    return FeaturePair(*sides, *(torch.from_numpy(each).float() for each in placed))


@pytest.mark.parametrize(
    ("H", "of0", "of1", "expected0", "expected1"),
    [
        (SHIFT, points((5, 5)), points((15, 5)), [0], [0]),
        (SHIFT, points((5, 5)), points((18, 5)), [0], [0]),  # 3 px off
        (SHIFT, points((5, 5)), points((19, 5)), [UNKNOWN], [UNKNOWN]),
        (SHIFT, points((5, 5)), points((20.5, 5)), [UNMATCHED], [UNMATCHED]),
        # Of two the nearer is the one; the other is too near for none.
        (SHIFT, points((5, 5), (50, 5)), points((14, 5), (16.5, 5)), [0, UNMATCHED], [0, UNKNOWN]),
        # 2 px off in view 0 are 4 in view 1.
        (ZOOM, points((5, 5)), points((14, 10)), [UNKNOWN], [UNKNOWN]),
        (ZOOM, points((5, 5)), points((12, 10)), [0], [0]),
        (SHIFT, points(), points((1, 1)), [], [UNMATCHED]),
        (SHIFT, points((1, 1)), points(), [UNMATCHED], []),
    ],
)
def test_targets_on_paper(H, of0, of1, expected0, expected1):
    found0, found1 = find_targets(pair_of(of0, of1, H))
    assert (found0.tolist(), found1.tolist()) == (expected0, expected1)


def test_what_is_hidden_has_no_counterpart():
    pair = pair_of(points((5, 5)), points((15, 5)))
    nowhere = torch.full((1, 2), torch.nan)
    for one_sided in (pair._replace(places0=nowhere), pair._replace(places1=nowhere)):
        # What one view says and the other does not is not known.
        assert [found.tolist() for found in find_targets(one_sided)] == [[UNKNOWN], [UNKNOWN]]
    found = find_targets(pair._replace(places0=nowhere, places1=nowhere))
    assert [each.tolist() for each in found] == [[UNMATCHED], [UNMATCHED]]


def test_a_batch_is_padded():
    batch = collate_pairs([pair_of(points((5, 5), (50, 5)), points((15, 5))), pair_of(points(), points())])
    assert batch.targets0.tolist() == [[0, UNMATCHED], [UNKNOWN, UNKNOWN]]
    assert batch.targets1.tolist() == [[0], [UNKNOWN]]
    assert batch.side0.mask.tolist() == [[True, True], [True, False]]  # never none at all
    assert batch.side1.mask is None
    # (49.5, 29.5) is the middle, and the longer side is 100.
    torch.testing.assert_close(batch.side1.places[0, 0], torch.tensor([-34.5, -24.5]) / 50)


@pytest.fixture
def images(tmp_path):
    for number in range(3):
        sample = render_sample(0, number, ShapeSettings(shapes=("checkerboard",), size_hw=(96, 128)))
        write_png(tmp_path / "images" / f"{number}.png", sample.image)
    return ImageFiles([tmp_path / "images"])


SETTINGS = PairRecipe(
    "superpoint-tiny", ViewSettings((96, 128), homographic=HomographySettings(rotation=0.3)), 64, seed=3
)


def same(pair, other):
    tensors = [(one.keypoints, one.descriptors, one.keypoint_scores) for sides in (pair, other) for one in sides[:2]]
    first, second = tensors[:2], tensors[2:]
    tensors = zip([*sum(first, ()), *pair[2:]], [*sum(second, ()), *other[2:]], strict=True)
    return all(a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in tensors)


def test_a_pair_is_the_same_made_anew_kept_or_sent(images, tmp_path):
    cache = tmp_path / "cache"
    anew, kept = (FeaturePairs(images, range(3), SETTINGS, "training", where) for where in (None, cache))
    first = anew[5]
    assert len(first.features0) > 10
    assert same(kept[5], first)
    [file] = cache.glob("*/*")
    assert file.name == "000005.safetensors"
    assert same(kept[5], first)
    assert same(pickle.loads(pickle.dumps(kept))[5], first)
    before = file.read_bytes()
    for damaged in (b"", before[:-9], b"nonsense"):
        file.write_bytes(damaged)
        assert same(kept[5], first)
        assert file.read_bytes() == before
    assert not same(anew[4], first)
    others = FeaturePairs(images, range(3), SETTINGS, "validation", cache)
    assert others.digest != kept.digest
    assert not same(others[5], first)


def test_views_of_rooms_show_each_others_keypoints(images):
    """The descriptors, which know nothing of the truth, agree with it: what belongs together is more alike."""
    rooms = FeaturePairs(images, range(3), dataclasses.replace(SETTINGS, rooms_share=1.0), "training", None)
    homographies = FeaturePairs(images, range(3), SETTINGS, "training", None)
    some = FeaturePairs(images, range(3), dataclasses.replace(SETTINGS, rooms_share=0.5), "training", None)
    assert {same(some[index], homographies[index]) for index in range(6)} == {True, False}
    together, apart = [], []
    for index in range(6):
        pair = rooms[index]
        assert same(pair, rooms[index])
        found, back = find_targets(pair)
        of0 = np.flatnonzero(found >= 0)
        assert (back[found[of0]] == of0).all()
        shown = pair.places0[pair.places0.isfinite().all(1)].numpy()
        assert ((shown >= -0.5) & (shown < (127.5, 95.5))).all()
        cosines = (pair.features0.descriptors @ pair.features1.descriptors.T).numpy()
        together += cosines[of0, found[of0]].tolist()
        apart += cosines[of0].mean(axis=1).tolist()
    assert len(together) > 30
    assert np.mean(together) > np.mean(apart) + 0.3


def test_batches_are_functions_of_seed_and_step(images, tmp_path):
    pairs = FeaturePairs(images, range(3), SETTINGS, "training", tmp_path / "cache")
    batches, again = (MatchBatches(pairs, 4, 16, 0, 4) for _ in range(2))
    second = again[1]
    first = batches[0]
    assert first.side0.places.shape == (4, 16, 2)
    assert torch.equal(batches[1].side0.descriptors, second.side0.descriptors)
    shares = [MatchBatches(pairs, 4, 16, 0, 4, rank, 2)[1] for rank in (0, 1)]
    for share, part in zip(shares, second.targets0.split(2), strict=True):
        assert torch.equal(share.targets0, part[:, : share.targets0.shape[1]])
    # A counterpart's counterpart is itself.
    rows, columns = torch.nonzero(first.targets0 >= 0, as_tuple=True)
    assert len(rows) > 4
    assert torch.equal(first.targets1[rows, first.targets0[rows, columns]], columns)


def test_a_sample_does_not_hang_on_the_others_of_its_batch(monkeypatch):
    def pair(count):
        places, descriptors = torch.rand(count, 2) * 20, F.normalize(torch.rand(count, 8), dim=1)
        return FeaturePair(*[Features(places, torch.ones(count), descriptors, (32, 24))] * 2, places, places)

    pairs = [pair(2), pair(5)]
    monkeypatch.setattr(MatchBatches, "_chosen", lambda self, index: pairs[index % 2])
    whole, share = MatchBatches(pairs, 2, 16, 0, 2)[1], MatchBatches(pairs, 2, 16, 0, 2, 0, 2)[1]
    for of_both, alone in zip(whole[:2], share[:2], strict=True):
        assert (of_both.places.shape[1], alone.places.shape[1]) == (5, 2)
        assert torch.equal(of_both.descriptors[:1, :2], alone.descriptors)
        assert torch.equal(of_both.places[:1, :2], alone.places)


def test_a_detector_is_refused(images):
    with pytest.raises(ValueError, match="the weights magicpoint give no descriptors"):
        FeaturePairs(images, range(3), dataclasses.replace(SETTINGS, weights="magicpoint"), "training", None)
