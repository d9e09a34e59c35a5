"""Every loss that settings can name is there."""

from typing import get_args

from magicpoint.training.losses.descriptors import PLACE_LOSSES
from magicpoint.training.losses.detector import CELL_LOSSES
from magicpoint.training.losses.names import DescriptorLoss, DetectorLoss


def test_the_names_of_settings_are_those_of_the_tables():
    assert set(get_args(DetectorLoss)) == set(CELL_LOSSES)
    assert set(get_args(DescriptorLoss)) == {*PLACE_LOSSES, "dense_hinge"}
