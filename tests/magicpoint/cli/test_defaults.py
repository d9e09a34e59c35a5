"""What several verbs take has one name and one default."""

import dataclasses
from collections import defaultdict

from magicpoint import AdaptationSettings, FinetuneSettings
from magicpoint.cli.parser import Parser
from magicpoint.cli.verbs import VERBS

# The shipped detector labels, networks with descriptors do the rest; evaluate decides by what is measured.
WEIGHTS = {
    **dict.fromkeys(("extract", "match", "track", "export", "finetune"), "superpoint"),
    "adapt": "magicpoint",
    "evaluate": None,
}
OWN = {
    "weights",  # above
    "out",  # a name that each verb has of its own
    "precision",  # auto in training and labelling, of which no two machines have to give the same
    "min_similarity",  # a track is lost by one wrong link, a homography by many
    *("count", "shapes", "size_hw", "steps", "batch_size", "learning_rate", "workers", "kind", "format"),
}


def defaults():
    found = defaultdict(dict)
    for verb, module in VERBS.items():
        parser = Parser()
        module.add(parser)
        for name, value in vars(parser.get_defaults()).items():
            found[name][verb] = value
    return found


def test_an_option_has_the_same_default_in_every_verb():
    found = defaults()
    assert found["weights"] == WEIGHTS
    differing = {name: verbs for name, verbs in found.items() if len({str(value) for value in verbs.values()}) > 1}
    assert set(differing) <= OWN, differing
    for name in ("threshold", "nms_radius", "max_keypoints", "range", "max_megapixels", "device"):
        assert {"adapt", "extract", "match", "track"} & set(found[name]), name


def test_finetuning_labels_as_adaptation_does_but_for_three_settings():
    plain, own = AdaptationSettings(), FinetuneSettings().adaptation
    names = [field.name for field in dataclasses.fields(plain)]
    assert {name for name in names if getattr(plain, name) != getattr(own, name)} == {
        "count",
        "threshold",
        "longest_side",
    }
