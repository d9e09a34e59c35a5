"""Features say what made them, so that what does not compare is not compared."""

import dataclasses
import logging

import numpy as np
import pytest
import torch

from magicpoint.core.errors import InputError
from magicpoint.core.types import Features
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.extractor import Extractor
from magicpoint.interop.hloc import write_hloc_matches
from magicpoint.io.features import read_features, write_features
from magicpoint.matching.nearest import match_features


def made_by(weights, decode='{"threshold": 0.5}'):
    provenance = {"weights": f"{weights}.safetensors", "weights_hash": weights * 20, "decode": decode}
    return Features(torch.zeros(1, 2), torch.ones(1), torch.eye(1, 8), (8, 8), provenance=provenance)


def test_those_of_two_networks_are_not_matched(tmp_path):
    first, second = made_by("a"), made_by("b")
    assert len(match_features(first, made_by("a"))) == 1
    message = r"two networks do not compare: a\.safetensors \(aaaaaaaaaaaa\) and b\.safetensors \(bbbbbbbbbbbb\)"
    for one, other in ((first, second), (first.to("cpu"), second)):
        with pytest.raises(InputError, match=message):
            match_features(one, other)
    matches = match_features(first, first)
    with pytest.raises(InputError, match=message):
        write_hloc_matches(tmp_path / "m.h5", {("x", "y"): matches}, {"x": first, "y": second})
    with pytest.raises(InputError, match=message):
        write_features(tmp_path / "f.h5", {"x": first, "y": second})


def test_where_nothing_is_known_nothing_is_refused():
    assert len(match_features(made_by("a"), dataclasses.replace(made_by("b"), provenance=None))) == 1


def test_of_two_decodings_it_is_said_once(caplog):
    first, second = made_by("a"), made_by("a", '{"threshold": 0.25, "border": 1}')
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            match_features(first, second)
    assert [record.message for record in caplog.records] == [
        "features that were chosen by different settings are compared: border unset and 1, threshold 0.5 and 0.25"
    ]


def test_extractors_and_files_say_it(tmp_path, random_network):
    image = np.random.default_rng(0).random((64, 64), np.float32)
    extractor = Extractor(random_network(), DecodeSettings(threshold=0.0), "cpu", "w")
    found = extractor.extract(image)
    assert found.provenance.items() <= extractor.provenance.items()
    other = extractor.with_settings(DecodeSettings(threshold=0.5)).extract(image)
    assert other.provenance["decode"] != found.provenance["decode"]
    stored = read_features(write_features(tmp_path / "f.h5", {"a": found}, extractor.provenance))["a"]
    assert len(match_features(found, stored)) == len(found)
    with pytest.raises(InputError, match="two networks"):
        match_features(stored, Extractor(random_network(32), device="cpu").extract(image))
