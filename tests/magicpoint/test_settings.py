"""Every group of settings refuses by name what no run could use, however the group is made."""

import math

import pytest

from magicpoint.adaptation.settings import AdaptationSettings
from magicpoint.data.photometric import PhotometricSettings
from magicpoint.data.settings import AugmentationSettings, ViewSettings
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.jobs.finetune.settings import FinetuneSettings
from magicpoint.matching.settings import MatchSettings, TrackSettings
from magicpoint.model.settings import ModelSettings
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.settings import JointSettings, MagicPointSettings

WRONG = [
    (TrainSettings, "seed", (-1, 2**64, 1.5)),
    (TrainSettings, "steps", (0, -5, 2.5, None)),
    (TrainSettings, "batch_size", (0, True)),
    (TrainSettings, "learning_rate", (0.0, -1e-3, math.nan, math.inf, "fast")),
    (TrainSettings, "weight_decay", (-1e-3, math.nan, math.inf)),
    (TrainSettings, "warmup_steps", (-1, 0.5)),
    (TrainSettings, "decay_fraction", (-0.1, 1.1, math.nan)),
    (TrainSettings, "gradient_clip", (0.0, -1.0, math.nan)),
    (TrainSettings, "averaging", (-0.1, 1.0, math.nan)),
    (MagicPointSettings, "detector_loss", ("hinge", None)),
    (MagicPointSettings, "label_sigma", (-0.1, math.nan, math.inf)),
    (TrainSettings, "precision", ("float16", "int8", None)),
    (TrainSettings, "workers", (-1, 1.0)),
    (TrainSettings, "log_every", (0,)),
    (TrainSettings, "validate_every", (0,)),
    (TrainSettings, "checkpoint_every", (0,)),
    (TrainSettings, "task", ("magicpoint", None, ModelSettings())),
    (JointSettings, "descriptor_loss", ("hinge",)),
    (JointSettings, "descriptor_weight", (0.0, math.nan, math.inf)),
    (JointSettings, "descriptor_temperature", (0.0, -0.1, math.nan, math.inf)),
    (JointSettings, "descriptor_points", (1, 2.0)),
    (JointSettings, "exactness_weight", (-0.1, math.nan, math.inf)),
    (JointSettings, "certain_score", (-0.1, 1.1, math.nan)),
    (JointSettings, "shapes_share", (-0.1, 1.0, math.nan)),
    (ViewSettings, "size_hw", ((60, 64), (0, 64), (64,), (64.0, 64.0))),
    (ViewSettings, "smallest_crop", (0.0, 1.1, math.nan)),
    (ViewSettings, "first_warp_probability", (-0.1, 1.1, math.nan)),
    (AugmentationSettings, "homographic_probability", (-0.1, 1.1, math.nan)),
    (PhotometricSettings, "probability", (-0.1, 1.5, math.nan)),
    (PhotometricSettings, "brightness", (-1.0, math.inf, math.nan)),
    (PhotometricSettings, "contrast", (0.9, math.inf, math.nan)),
    (PhotometricSettings, "shade", (-0.1, 1.1, math.nan)),
    (PhotometricSettings, "motion_blur", (-2.0, math.inf, math.nan)),
    (PhotometricSettings, "gaussian_blur", (-1.0, math.nan)),
    (PhotometricSettings, "speckle_noise", (-0.1, math.nan)),
    (PhotometricSettings, "additive_noise", (-1.0, math.inf, math.nan)),
    (PhotometricSettings, "jpeg_quality", (0, 96, 30.5)),
    (ModelSettings, "width", (0.0, -1.0, 4.1, math.nan, "wide")),
    (ModelSettings, "batch_norm", ("some", True)),
    (ModelSettings, "descriptor_dim", (-1, 2.5)),
    (DecodeSettings, "nms_radius", (-1, 1.5)),
    (DecodeSettings, "threshold", (-0.1, 1.0, math.nan)),
    (DecodeSettings, "border", (-1, 0.5)),
    (DecodeSettings, "max_keypoints", (0, 3.5)),
    (MatchSettings, "ratio", (0.0, 1.1, math.nan)),
    (MatchSettings, "min_similarity", (-1.1, 1.1, math.nan)),
    (TrackSettings, "reach", (0.0, math.inf, math.nan)),
    (TrackSettings, "min_similarity", (-1.1, 1.1, math.nan)),
    (TrackSettings, "radius", (0.0, math.inf, math.nan)),
    (TrackSettings, "lost_after", (0, 1.5)),
    (AdaptationSettings, "count", (0, 2.5)),
    (AdaptationSettings, "aggregation", ("median",)),
    (AdaptationSettings, "threshold", (-0.1, 1.0, math.nan)),
    (AdaptationSettings, "nms_radius", (-1,)),
    (AdaptationSettings, "max_keypoints", (0,)),
    (AdaptationSettings, "erosion", (-1, 0.5)),
    (AdaptationSettings, "tolerance", (-0.1, math.nan)),
    (AdaptationSettings, "longest_side", (7, 8.5)),
    (AdaptationSettings, "seed", (-1, 0.5)),
    (AdaptationSettings, "chunk_pixels", (0,)),
    (AdaptationSettings, "precision", ("int8",)),
    (FinetuneSettings, "rounds", (0,)),
    (FinetuneSettings, "steps", (0,)),
    (FinetuneSettings, "batch_size", (0,)),
    (FinetuneSettings, "learning_rate", (0.0, math.nan)),
    (FinetuneSettings, "seed", (-1, 2**64)),
    (FinetuneSettings, "precision", ("int8",)),
    (FinetuneSettings, "workers", (-1,)),
]


@pytest.mark.parametrize(
    ("group", "name", "value"), [(group, name, value) for group, name, values in WRONG for value in values]
)
def test_a_setting_that_no_run_could_use_is_refused_by_name(group, name, value):
    with pytest.raises((ValueError, TypeError), match=rf"\b{name} must be .* got "):
        group(**{name: value})


def test_a_tolerance_is_of_the_mean():
    with pytest.raises(ValueError, match=r"tolerance is of the mean, got 0\.1 of the max"):
        AdaptationSettings(tolerance=0.1, aggregation="max")


@pytest.mark.parametrize("group", dict.fromkeys(group for group, *_ in WRONG))
def test_the_defaults_are_usable(group):
    assert group() == group()
