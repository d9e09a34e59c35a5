"""The public functions with arguments that are none: None, other types, other shapes, nothing, NaN.

Whoever calls from Python gets a `TypeError` or a `ValueError` (an `InputError` is one), or an `OSError` of a file; no
error from the depths, and no result.
"""

import numpy as np
import pytest
import torch

import magicpoint
from homography import sample_homography, valid_mask, warp_image, warp_points
from magicpoint import (
    DecodeSettings,
    Extractor,
    Features,
    Labels,
    Matches,
    MatchSettings,
    draw_keypoint_map,
    draw_matches,
    estimate_homography,
    labels2Dto3D,
    labels3Dto2D,
    mask_to_cells,
    match_features,
    read_features,
    read_image,
    read_labels,
)
from magicpoint.decoding.decode import decode
from magicpoint.decoding.nms import non_maximum_suppression
from synthetic_shapes import ShapesDataset, ShapeSettings

REFUSALS = (TypeError, ValueError, OSError)
NAN = float("nan")


def points(count=5, dim=8, **changes):
    values = {
        "keypoints": torch.zeros(count, 2),
        "keypoint_scores": torch.ones(count),
        "descriptors": torch.nn.functional.normalize(torch.ones(count, dim)),
        "image_size": (64, 48),
    }
    return Features(**{**values, **changes})


@pytest.fixture(scope="module")
def extractor(material):
    path = material.folder / "weights.safetensors"
    return Extractor.load(path, DecodeSettings(threshold=0.0), device="cpu")


IMAGES = {
    "None": None,
    "a number": 5,
    "a list": [[0.0] * 16] * 16,
    "an object": object(),
    "bytes": b"\x89PNG",
    "a path that is nowhere": "nowhere.png",
    "a folder": ".",
    "empty": np.zeros((0, 0)),
    "no height": np.zeros((0, 16)),
    "no width": torch.zeros(16, 0),
    "flat": np.zeros(16),
    "a scalar": np.float32(1),
    "two channels": np.zeros((16, 16, 2), np.uint8),
    "five axes": np.zeros((1, 1, 1, 16, 16)),
    "texts": np.array([["a", "b"], ["c", "d"]]),
    "objects": np.array([[None, None], [None, None]]),
    "complex": np.zeros((16, 16), np.complex64),
    "int64": np.zeros((16, 16), np.int64),
    "signed": np.zeros((16, 16), np.int8),
    "dates": np.zeros((16, 16), "datetime64[s]"),
    "NaN": np.full((16, 16), np.nan),
    "infinite": np.full((16, 16), np.inf),
    "a NaN in a tensor": torch.full((1, 16, 16), NAN),
    "negative": np.full((16, 16), -1.0),
    "bright": np.full((16, 16), 1e6),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_extractor_refuses_what_is_no_image(extractor, name):
    with pytest.raises(REFUSALS) as error:
        extractor.extract(IMAGES[name])
    assert len(str(error.value).splitlines()) == 1


LOADS = {
    "None": None,
    "a number": 5,
    "nowhere": "nowhere",
    "nothing": "",
    "a folder": ".",
    "a list": ["superpoint"],
    "a NUL": "a\0b",
}


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("read", [Extractor.load, read_image, read_features, read_labels], ids=lambda f: f.__name__)
def test_a_reader_refuses_what_is_no_path(read, name):
    with pytest.raises(REFUSALS):
        read(LOADS[name])


@pytest.mark.parametrize(
    "options",
    [
        {"device": "toaster"},
        {"device": "cuda:999"},
        {"backend": "none"},
        {"precision": "float8"},
        {"backend": "onnxruntime", "precision": "int8"},
    ],
    ids=str,
)
def test_an_extractor_refuses_an_engine_that_is_not_there(material, options):
    with pytest.raises((*REFUSALS, RuntimeError)) as error:
        Extractor.load(material.folder / "weights.safetensors", **options)
    assert str(next(iter(options.values()))).split(":")[0] in str(error.value)


CALLS = {
    # what flows
    "Features: scores of another count": lambda: points(keypoint_scores=torch.ones(4)),
    "Features: 3-D keypoints": lambda: points(keypoints=torch.zeros(5, 3)),
    "Features: doubles": lambda: points(keypoints=torch.zeros(5, 2).double()),
    "Features: descriptors of another count": lambda: points(descriptors=torch.ones(4, 8)),
    "Features: no size": lambda: points(image_size=(0, 48)),
    "Features: half a size": lambda: points(image_size=(64,)),
    "Features: a fractional size": lambda: points(image_size=(64.5, 48)),
    "Features: a size of 2^40": lambda: points(image_size=(2**40, 48)),
    "Labels: a mask of another size": lambda: Labels(
        torch.zeros(1, 2), torch.ones(1), None, (64, 48), torch.ones(64, 48, dtype=torch.bool)
    ),
    "Labels: a mask of numbers": lambda: Labels(torch.zeros(1, 2), torch.ones(1), None, (64, 48), torch.ones(48, 64)),
    # matching
    "match_features: no descriptors": lambda: match_features(points(descriptors=None), points()),
    "match_features: other lengths": lambda: match_features(points(dim=8), points(dim=16)),
    "match_features: NaN": lambda: match_features(points(descriptors=torch.full((5, 8), NAN)), points()),
    "MatchSettings: ratio NaN": lambda: MatchSettings(ratio=NAN),
    "MatchSettings: ratio text": lambda: MatchSettings(ratio="0.8"),
    "Matches: other counts": lambda: Matches(torch.zeros(3, 2, dtype=torch.int64), torch.zeros(2)),
    "estimate_homography: other counts": lambda: estimate_homography(np.zeros((5, 2)), np.zeros((4, 2))),
    "estimate_homography: flat": lambda: estimate_homography(np.zeros(10), np.zeros(10)),
    "estimate_homography: NaN": lambda: estimate_homography(np.full((5, 2), NAN), np.zeros((5, 2))),
    "estimate_homography: a threshold of 0": lambda: estimate_homography(np.zeros((5, 2)), np.zeros((5, 2)), 0.0),
    "estimate_homography: a threshold of NaN": lambda: estimate_homography(np.zeros((5, 2)), np.zeros((5, 2)), NAN),
    "estimate_homography: None": lambda: estimate_homography(None, None),
    "draw_matches: None": lambda: draw_matches(None, None, points(), points(), None),
    # targets
    "draw_keypoint_map: 3-D": lambda: draw_keypoint_map([torch.zeros(1, 3)], (16, 16)),
    "draw_keypoint_map: no size": lambda: draw_keypoint_map([torch.zeros(1, 2)], (0, 16)),
    "draw_keypoint_map: sigma": lambda: draw_keypoint_map([torch.zeros(1, 2)], (16, 16), -1.0),
    "draw_keypoint_map: sigma NaN": lambda: draw_keypoint_map([torch.zeros(1, 2)], (16, 16), NAN),
    "labels2Dto3D: no multiple": lambda: labels2Dto3D(torch.zeros(1, 1, 12, 16)),
    "labels2Dto3D: five axes": lambda: labels2Dto3D(torch.zeros(1, 1, 1, 16, 16)),
    "labels2Dto3D: a cell of 0": lambda: labels2Dto3D(torch.zeros(1, 1, 16, 16), cell_size=0),
    "labels3Dto2D: 66 channels": lambda: labels3Dto2D(torch.zeros(1, 66, 2, 2)),
    "labels3Dto2D: flat": lambda: labels3Dto2D(torch.zeros(65)),
    "mask_to_cells: no multiple": lambda: mask_to_cells(torch.ones(1, 1, 12, 16, dtype=torch.bool)),
    "mask_to_cells: flat": lambda: mask_to_cells(torch.ones(16, dtype=torch.bool)),
    # decoding
    "decode: NaN": lambda: decode(torch.full((1, 16, 16), NAN)),
    "decode: above 1": lambda: decode(torch.full((1, 16, 16), 2.0)),
    "decode: flat": lambda: decode(torch.zeros(16)),
    "non_maximum_suppression: 2-D": lambda: non_maximum_suppression(torch.zeros(4, 4), 4),
    "non_maximum_suppression: radius": lambda: non_maximum_suppression(torch.zeros(1, 4, 4), -1),
    "non_maximum_suppression: threshold": lambda: non_maximum_suppression(torch.zeros(1, 4, 4), 1, NAN),
    "DecodeSettings: threshold": lambda: DecodeSettings(threshold=NAN),
    "DecodeSettings: border": lambda: DecodeSettings(border=1.5),
    "DecodeSettings: max_keypoints": lambda: DecodeSettings(max_keypoints=0),
    "DecodeSettings: True": lambda: DecodeSettings(nms_radius=True),
    # homography
    "warp_points: 3-D": lambda: warp_points(np.zeros((5, 3)), np.eye(3)),
    "warp_points: 2x2": lambda: warp_points(np.zeros((5, 2)), np.eye(2)),
    "warp_points: None": lambda: warp_points(None, np.eye(3)),
    "warp_image: no image": lambda: warp_image(None, np.eye(3), (16, 16)),
    "warp_image: no size": lambda: warp_image(torch.zeros(1, 1, 16, 16), torch.eye(3)[None], (0, 16)),
    "valid_mask: no size": lambda: valid_mask((0, 16), np.eye(3)),
    "sample_homography: no size": lambda: sample_homography((0, 0), np.random.default_rng(0)),
    "sample_homography: no generator": lambda: sample_homography((64, 48), 5),
    "sample_homography: a negative count": lambda: sample_homography((64, 48), np.random.default_rng(0), count=-1),
    # shapes
    "ShapeSettings: too small": lambda: ShapeSettings(size_hw=(8, 8)),
    "ShapeSettings: no shapes": lambda: ShapeSettings(shapes=()),
    "ShapeSettings: unknown": lambda: ShapeSettings(shapes=("dragon",)),
    "ShapesDataset: nowhere": lambda: ShapesDataset("nowhere", "training"),
    # the package
    "a name that there is not": lambda: Extractor.load("superpiont"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_cannot_be_is_refused(name):
    with pytest.raises(REFUSALS) as error:
        CALLS[name]()
    assert str(error.value).strip()


@pytest.mark.parametrize("count", [0, 1])
def test_no_keypoint_is_an_ordinary_result(count):
    found = match_features(points(0), points(count))
    assert len(found) == 0
    assert estimate_homography(np.zeros((count, 2)), np.zeros((count, 2))) is None
    drawn = draw_keypoint_map([torch.zeros(count, 2)], (16, 16))
    assert drawn.sum() == count
    assert warp_points(np.zeros((count, 2)), np.eye(3)).shape == (count, 2)


def test_every_public_name_can_be_asked_for():
    names = [name for name in dir(magicpoint) if not name.startswith("_")]
    assert len(names) > 40
    for name in names:
        assert getattr(magicpoint, name) is not None
    with pytest.raises(AttributeError):
        _ = magicpoint.no_such_name
