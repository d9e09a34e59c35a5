"""What tests run under torchrun: `ranks.py losses FOLDER`, or `ranks.py train FOLDER WORDS`."""

import dataclasses
import json
import os
import sys
from pathlib import Path

import torch

from magicpoint.cli import main
from magicpoint.data.settings import ViewSettings
from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import MatcherForm, ModelSettings
from magicpoint.planar.scenes import SceneSettings
from magicpoint.planar.settings import QuadModelSettings, QuadTaskSettings
from magicpoint.training.distributed import process_group
from magicpoint.training.loop import StepLosses, train_step
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.base import open_task
from magicpoint.training.tasks.settings import MagicPointSettings, MatcherTaskSettings, SuperPointSettings
from synthetic_shapes import ShapeSettings

STEPS = 20
SETTINGS = TrainSettings(
    task=MagicPointSettings(model=ModelSettings(width=0.125, batch_norm="all"), shapes=ShapeSettings(size_hw=(48, 64))),
    steps=STEPS,
    batch_size=8,
    precision="float32",
    sync_batch_norm=True,
)


class Double(PointNetwork):
    """A network in float64, in which the order of a sum tells nothing."""

    def forward(self, image):
        return super().forward(image.double())


def joint(folder, **options):
    """A few steps of joint training on the images in a folder."""
    task = SuperPointSettings(
        images=(Path(folder, "images"),),
        labels=Path(folder, "labels.h5"),
        model=ModelSettings(width=0.125, descriptor_dim=16),
        views=ViewSettings(size_hw=(48, 64)),
        **options,
    )
    return dataclasses.replace(SETTINGS, task=task, steps=3, batch_size=4)


def matcher(folder):
    """A few steps of a matcher on the images in a folder."""
    task = MatcherTaskSettings(
        images=(Path(folder, "images"),),
        features="superpoint-tiny",
        pairs=8,
        keypoints=32,
        views=ViewSettings(size_hw=(48, 64)),
        model=MatcherForm(32, 2, 2),
    )
    return dataclasses.replace(SETTINGS, task=task, steps=3, batch_size=4)


def quads():
    """Steps of a detector of quadrilaterals, an image for each of two processes: both show objects, none, the first.

    The rate is low: AdamW's first steps are as long for a gradient of rounding errors as for any other.
    """
    task = QuadTaskSettings(
        boards=6,
        scenes=SceneSettings((64, 96), most_objects=1, shorter_side=(20.0, 44.0), most_occluders=0, tilt=1.0),
        model=QuadModelSettings(width=0.25, neck=32, anchor_sides=(24.0, 40.0), proposals=12, proposal_iou=0.5),
        frozen=1,
    )
    return dataclasses.replace(SETTINGS, task=task, steps=3, batch_size=2, seed=6, learning_rate=1e-5)


def all_losses(folder):
    """Of the tasks that several processes can learn."""
    return [
        losses(SETTINGS),
        losses(joint(folder)),
        losses(joint(folder, descriptor_loss="dense_hinge")),
        losses(matcher(folder)),
        losses(quads()),
    ]


def losses(settings):
    """The losses and gradient norms of the first steps, of as many processes as there are; of each the same."""
    with process_group(torch.device("cpu")) as processes:
        task = open_task(settings.task, settings)
        torch.manual_seed(processes.rank)  # the first one's weights count
        is_single = isinstance(settings.task, MatcherTaskSettings | QuadTaskSettings)
        network = task.build_network() if is_single else Double(settings.task.model).double()
        network = processes.wrap(StepLosses(task, network), settings.sync_batch_norm, task.leaves_unused).train()
        optimizer = torch.optim.AdamW(network.parameters())
        batches, found = task.batches(processes.rank, processes.count), []
        for step in range(settings.steps):
            taken = train_step(task, network, optimizer, [batches[step]], settings, step)
            asked = processes.rank == processes.count - 1 and step == 1
            means, stops = processes.agree(taken, asked)
            assert stops == (step == 1)
            means.pop("negative_similarity", None)  # each process has others
            found.append(list(means.values()))
        fault = None
        try:
            processes.from_first(lambda: json.loads("{"))
        except ValueError as error:
            fault = str(error)
        return {"losses": found, "fault": fault}


if __name__ == "__main__":
    verb, folder, *words = sys.argv[1:]
    rank, restart = os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]
    torch.set_num_threads(1)
    if verb == "losses":
        Path(folder, f"{rank}.json").write_text(json.dumps(all_losses(folder)))
    else:
        Path(folder, f"pid-{rank}-{restart}").write_text(str(os.getpid()))
        sys.exit(main([verb, *words]))
