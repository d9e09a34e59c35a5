"""What several verbs take has one name and one default."""

import dataclasses
from collections import defaultdict

from magicpoint import AdaptationSettings, FinetuneSettings
from magicpoint.cli.parser import Parser
from magicpoint.cli.verbs import VERBS

# The shipped detector labels, networks with descriptors do the rest; evaluate decides by what is measured.
WEIGHTS = {"adapt": "magicpoint", "evaluate": None}
SHARED = (
    "threshold",
    "nms_radius",
    "border",
    "max_keypoints",
    "subpixel",
    "range",
    "max_megapixels",
    "device",
    "backend",
)
EVERYWHERE = ("range", "max_megapixels", "device")


def defaults():
    found = defaultdict(dict)
    for verb, module in VERBS.items():
        parser = Parser()
        module.add(parser)
        options = {action.dest for action in parser._actions if action.option_strings}
        for name, value in vars(parser.get_defaults()).items():
            if name in options:
                found[name][verb] = value
    return found


def test_an_option_has_the_same_default_in_every_verb():
    found = defaults()
    assert found["weights"] == {verb: WEIGHTS.get(verb, "superpoint") for verb in found["weights"]}
    for name in (*SHARED, "resize", "masks", "overlay"):
        assert len(found[name]) > 1, name
        assert len({str(value) for value in found[name].values()}) == 1, found[name]
    for name in EVERYWHERE:
        assert {"adapt", "evaluate", "extract", "finetune", "match", "track"} <= set(found[name]), name


def test_finetuning_labels_as_adaptation_does_but_for_three_settings():
    plain, own = AdaptationSettings(), FinetuneSettings().adaptation
    names = [field.name for field in dataclasses.fields(plain)]
    assert {name for name in names if getattr(plain, name) != getattr(own, name)} == {
        "count",
        "threshold",
        "longest_side",
    }
