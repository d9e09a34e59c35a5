"""Every group of settings refuses by name what no run could use, however the group is made."""

import contextlib
import dataclasses
import importlib
import math
import pkgutil
import re
import types
from pathlib import Path
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest

import homography
import magicpoint
import synthetic_shapes
from magicpoint.adaptation.settings import AdaptationSettings
from magicpoint.core.errors import MissingPackageError
from magicpoint.data.scenes3d.interior import InteriorSettings
from magicpoint.planar.model import QuadModelSettings
from magicpoint.planar.scenes import SceneSettings
from magicpoint.planar.verify.settings import QuerySettings, VerifierModelSettings, VerifyTaskSettings
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.settings import SuperPointSettings
from synthetic_shapes import ShapeSettings

COUNT, WHOLE, SEED = "[1, 2147483647]", "[0, 2147483647]", f"[0, {2**64 - 1}]"
SHARE, POSITIVE, NOT_NEGATIVE = "[0, 1]", "(0, inf)", "[0, inf)"
SAMPLES, BATCH = "[0, 100000000]", "[1, 65536]"
VIEW_LOSS = {
    **{"descriptor_weight": POSITIVE, "descriptor_temperature": POSITIVE},
    "descriptor_points": "[2, 2147483647]",
}

ALLOWED = {
    "AdaptationSettings": {
        **{"count": COUNT, "chunk_pixels": COUNT, "nms_radius": WHOLE, "max_keypoints": COUNT, "erosion": WHOLE},
        **{"threshold": "[0, 1)", "tolerance": NOT_NEGATIVE, "longest_side": "[8, 2147483647]", "seed": SEED},
    },
    "AugmentationSettings": {"homographic_probability": SHARE},
    "DatasetSettings": {"count": SAMPLES, "validation_count": SAMPLES, "test_count": SAMPLES, "seed": SEED},
    "DecodeSettings": {"nms_radius": WHOLE, "border": WHOLE, "threshold": "[0, 1)", "max_keypoints": COUNT},
    "DistilSettings": VIEW_LOSS,
    "FinetuneSettings": {
        "width": "(0, 4]",
        **{"rounds": COUNT, "steps": COUNT, "batch_size": BATCH, "learning_rate": POSITIVE, "seed": SEED},
        "workers": "[0, 1024]",
        "max_megapixels": POSITIVE,
    },
    "GeometrySettings": {"model_threshold": POSITIVE},
    "HomographySettings": {
        **{"translation": SHARE, "scale": "[0, 1)", "rotation": f"[0, {math.pi}]", "patch_ratio": "(0, 1]"},
        "perspective": "[0, 0.425)",
    },
    "InteriorSettings": {
        **{"boxes": "[0, 1000]", "panels": "[0, 1000]", "least_overlap": "(0, 1)", "roll": "[0, 3.14]"},
    },
    "JointSettings": (JOINT := {**VIEW_LOSS, "certain_score": SHARE, "shapes_share": "[0, 1)"}),
    "LabelledTaskSettings": {"label_sigma": "[0, 100]"},
    "LearnedSettings": {"min_score": "(0, 1]", "stop_share": "(0, 1]"},
    "LocateSettings": {
        **{"least_inliers": "[4, 2147483647]", "pixels": POSITIVE, "max_instances": COUNT, "most_compared": COUNT},
        **{"largest_iou": "(0, 1]", "least_probability": "(0, 1]"},
    },
    "MagicPointSettings": {"label_sigma": "[0, 100]", "holdout": "(0, 1)", "smallest_scale": "(0, 1]"},
    "MatchSettings": {"ratio": "(0, 1]", "min_similarity": "[-1, 1]"},
    "MatcherSettings": {
        **{"channels": "[1, 4096]", "layers": "[1, 4096]", "heads": "[1, 4096]", "descriptor_dim": "[1, 65536]"},
    },
    "MatcherTaskSettings": {"pairs": COUNT, "keypoints": COUNT, "rooms_share": SHARE},
    "ModelSettings": {"width": "(0, 4]", "descriptor_dim": WHOLE},
    "PhotometricSettings": {
        **{"probability": SHARE, "brightness": "[0, 255]", "contrast": "[1, 1000]", "lowest_contrast": "(0, 1]"},
        **{"shade": SHARE, "motion_blur": "[0, 255]", "gaussian_blur": "[0, 255]", "speckle_noise": "[0, 10]"},
        **{"additive_noise": "[0, 255]", "salt_and_pepper": SHARE, "jpeg_quality": "[1, 95]"},
    },
    "PointTaskSettings": {},
    "QuadModelSettings": {
        **{"width": "(0, 4]", "neck": COUNT},
        **{"proposals": COUNT, "proposal_iou": "(0, 1]", "pooled_side": COUNT},
    },
    "QuadSettings": {"threshold": "[0, 1)", "largest_iou": "(0, 1]", "max_quads": COUNT, "proposals": COUNT},
    "QuadTaskSettings": {"boards": WHOLE, "holdout": "(0, 1)", "least_visible": SHARE, "frozen": "[0, 8]"},
    "QuerySettings": {
        **{
            "distortion": "[0, 0.25)",
            "jitter": "[0, 0.25)",
            "aspect": "(0, 1]",
            "blur": SHARE,
            "most_hidden": "[0, 1)",
        },
    },
    "SceneFilesSettings": {"count": "[1, 100000000]", "seed": SEED, "boards": WHOLE},
    "SceneSettings": {"most_objects": WHOLE, "tilt": "[0, 1.5]", "most_occluders": WHOLE},
    "ShapeSettings": {},
    "SuperPointSettings": {**JOINT, "label_sigma": "[0, 100]"},
    "TaskSettings": {},
    "TrackSettings": {"reach": POSITIVE, "min_similarity": "[-1, 1]", "radius": POSITIVE, "lost_after": COUNT},
    "TrainSettings": {
        **{"seed": SEED, "steps": COUNT, "batch_size": BATCH, "learning_rate": POSITIVE, "weight_decay": NOT_NEGATIVE},
        "accumulate": BATCH,
        **{"warmup_steps": "[0, 2400]", "decay_fraction": SHARE, "gradient_clip": "(0, inf]", "averaging": "[0, 1)"},
        **{"workers": "[0, 1024]", "log_every": COUNT, "validate_every": COUNT, "checkpoint_every": COUNT},
    },
    "VerifierModelSettings": {"width": "(0, 4]", "channels": "[1, 4096]", "side": "[8, 1024]"},
    "VerifyTaskSettings": {"boards": WHOLE, "holdout": "(0, 1)", "solids": SHARE},
    "ViewLossSettings": VIEW_LOSS,
    "ViewSettings": {"smallest_crop": "(0, 1]", "first_warp_probability": SHARE},
}
"""What each number may be, with the defaults of all others; a setting without a row fails here."""

GIVEN = {
    "QuadTaskSettings": {"templates": (Path("templates"),)},
    "VerifyTaskSettings": {"templates": (Path("templates"),)},
    "DistilSettings": {"images": (Path("images"),), "teacher": "superpoint"},
    "MatcherTaskSettings": {"images": (Path("images"),), "features": "superpoint"},
    "SuperPointSettings": {"images": (Path("images"),), "labels": Path("labels.h5")},
}
MEASURED = {"PairsSettings", "MethodSettings"}  # what a result says of itself: nobody sets it


def groups():
    found = {}
    for package in (magicpoint, homography, synthetic_shapes):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(MissingPackageError):  # a bridge to a program that is not installed
                    found |= vars(importlib.import_module(module.name))
    return {
        name: value
        for name, value in sorted(found.items())
        if name.endswith("Settings") and dataclasses.is_dataclass(value) and name not in MEASURED
    }


GROUPS = groups()


def inner_kind(hint):
    """The kind of a setting without None, and whether it may be None."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    [kind] = [each for each in get_args(hint) if each is not type(None)]
    return kind, True


OF_ANOTHER_KIND = {
    int: (1.5, "3", True, math.nan, math.inf, (1,), 10**5000),
    float: ("0.5", True, math.nan, (0.5,), 10**400, 10**5000),
    bool: (0, 1, "true", math.nan),
    str: (1, True, b"text", ("text",)),
    Path: (1, True, ("path",)),
}


def wrong_kinds(hint):
    kind, optional = inner_kind(hint)
    nothing = () if optional else (None,)
    if get_origin(kind) is Literal:
        return (*nothing, "unknown", 1.5, True, [])
    if get_origin(kind) is tuple or not (kind in OF_ANOTHER_KIND or dataclasses.is_dataclass(kind)):
        return (*nothing, 3, "ab", math.nan, (math.nan, math.nan), (True, True), ({}, {}), b"ab", {})
    return (*nothing, {}, *OF_ANOTHER_KIND.get(kind, (1, "settings", [])))


def outside(hint, interval):
    """Numbers just outside an interval, and infinities where they do not belong."""
    opening, low, high, closing = re.fullmatch(r"([\[(])(\S+), (\S+)([\])])", interval).groups()
    if inner_kind(hint)[0] is int:
        return int(low) - 1, int(high) + 1
    low, high = float(low), float(high)
    least = math.nextafter(low, -math.inf) if opening == "[" else low
    most = math.nextafter(high, math.inf) if closing == "]" else high
    return {least, most, -math.inf, math.inf} - ({math.inf} if closing == "]" and high == math.inf else set())


SETTINGS = [
    pytest.param(name, field.name, get_type_hints(group)[field.name], id=f"{name}-{field.name}")
    for name, group in GROUPS.items()
    for field in dataclasses.fields(group)
]


@pytest.mark.parametrize(("name", "setting", "hint"), SETTINGS)
def test_a_setting_that_no_run_could_use_is_refused_by_name(name, setting, hint):
    limits = outside(hint, ALLOWED[name][setting]) if inner_kind(hint)[0] in (int, float) else ()
    for number, value in enumerate((*wrong_kinds(hint), *limits)):
        try:
            GROUPS[name](**{**GIVEN.get(name, {}), setting: value})
        except (TypeError, ValueError) as error:
            said = str(error)
            assert re.match(rf"{setting} must (be|rise) .*got ", said)
            assert "\n" not in said
            assert len(said) < 400
        else:
            pytest.fail(f"value {number} is taken")


def test_each_number_has_a_row_and_no_row_is_of_another_setting():
    numbers = {
        name: {field.name for field in dataclasses.fields(group) if inner_kind(hints[field.name])[0] in (int, float)}
        for name, group in GROUPS.items()
        if (hints := get_type_hints(group)) is not None
    }
    assert {name: set(rows) for name, rows in ALLOWED.items()} == numbers


@pytest.mark.parametrize("name", GROUPS)
def test_the_ends_of_what_is_allowed_are_taken(name):
    hints = get_type_hints(GROUPS[name])
    for setting, interval in ALLOWED[name].items():
        opening, low, high, closing = re.fullmatch(r"([\[(])(\S+), (\S+)([\])])", interval).groups()
        kind = inner_kind(hints[setting])[0]
        for end in [low] * (opening == "[") + [high] * (closing == "]"):
            if (name, setting, end) not in {
                ("TrainSettings", "steps", "1"),
                ("HomographySettings", "patch_ratio", "1"),
                ("MatcherSettings", "channels", "1"),
                ("MatcherSettings", "channels", "4096"),
                ("MatcherSettings", "heads", "4096"),
            }:
                GROUPS[name](**{**GIVEN.get(name, {}), setting: kind(end)})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: AdaptationSettings(tolerance=0.1, aggregation="max"),
            r"tolerance is of the mean, got 0\.1 of the max",
        ),
        (lambda: TrainSettings(steps=20, warmup_steps=21), "warmup_steps must be at most the 20 steps, got 21"),
        (lambda: SuperPointSettings(images=(), labels=Path("l.h5")), "images must be at least one, got none"),
        (lambda: ShapeSettings(size_hw=(47, 64)), "size_hw must be .* 48 to 8192 pixels each, got"),
        (lambda: ShapeSettings(size_hw=(64, 8193)), "size_hw must be .* 48 to 8192 pixels each, got"),
        (lambda: ShapeSettings(shapes=("circle",)), r"shapes must be some of lines, .*got \['circle'\]"),
        (lambda: InteriorSettings(image_size=(7, 8)), "image_size must be from 8 to 32768 pixels each way"),
        (lambda: InteriorSettings(baseline=(1.0, 0.5)), r"baseline must rise from above 0, got \(1\.0, 0\.5\)"),
        (lambda: InteriorSettings(field_of_view=(0.5, 3.2)), "field_of_view must rise within"),
        (lambda: SceneSettings(shorter_side=(20.0, 500.0)), "shorter_side must rise from 1 to 240"),
        (lambda: QuadModelSettings(anchor_sides=(0.0,)), "anchor_sides must be positive numbers"),
        (lambda: QuerySettings(pixels=(20.0, 10.0)), "pixels must rise from 4 to 1024"),
        (lambda: VerifierModelSettings(side=60), "side must be a multiple of 8, got 60"),
        (lambda: VerifyTaskSettings(boards=0), "there is nothing to be told apart"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_warm_up_that_is_not_said_fits_the_run():
    assert [TrainSettings(steps=steps).warmup for steps in (1, 80, 2400, 10**6)] == [0, 10, 300, 300]
    assert TrainSettings(steps=80, warmup_steps=80).warmup == 80
