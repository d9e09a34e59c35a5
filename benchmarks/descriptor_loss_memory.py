"""Memory and time of the descriptor losses, against the dense hinge written down plainly.

    python benchmarks/descriptor_loss_memory.py [--batch 32] [--height 240] [--width 320] [--dim 256] [--json FILE]

Every variant runs in a process of its own, forward and backward. Its memory is the highest resident size less the one
before the call, so it includes the gradients but not the descriptors. The plain form multiplies every descriptor with
every other, so that it holds `dim` numbers for each pair of cells; it is given one pair of images only.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from variants import run_apart

from magicpoint.core.plain import json_text

if TYPE_CHECKING:
    from torch import Tensor

VARIANTS = ("dense hinge", "sparse", "dual softmax", "plain dense hinge, one pair")
POINTS = 256


@dataclass(frozen=True)
class Cost:
    """Of one forward and backward pass."""

    mebibytes: float
    seconds: float


def measure(variant: str, batch: int, size_hw: tuple[int, int], dim: int) -> Cost:
    """The cost of a variant in this process."""
    import numpy as np
    import torch
    from torch.nn import functional as F

    from homography import sample_homography
    from magicpoint.training.correspondences import draw_points, find_correspondences
    from magicpoint.training.losses.descriptors import dense_hinge_loss, dual_softmax_loss, sparse_loss

    torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = 1 if "one pair" in variant else batch
    rows, columns = size_hw[0] // 8, size_hw[1] // 8
    maps = [F.normalize(torch.randn(batch, dim, rows, columns), dim=1).requires_grad_() for _ in range(2)]
    homographies = torch.from_numpy(sample_homography(size_hw[::-1], np.random.default_rng(0), count=batch))
    mask = torch.ones(batch, rows, columns, dtype=torch.bool)
    before, start = resident(), time.perf_counter()
    if variant == "dense hinge":
        loss, _ = dense_hinge_loss(maps[0], maps[1], homographies, mask, mask)
    elif variant.startswith("plain"):
        loss = plain_dense_hinge(maps[0], maps[1], homographies)
    else:
        points = draw_points([torch.zeros(0, 2)] * batch, size_hw, POINTS, torch.Generator().manual_seed(0))
        points0, points1 = zip(*find_correspondences(points, homographies, mask, mask), strict=True)
        loss_of = sparse_loss if variant == "sparse" else dual_softmax_loss
        loss, _ = loss_of(maps[0], maps[1], points0, points1)
    torch.autograd.backward(loss)
    return Cost(highest() - before, time.perf_counter() - start)


def plain_dense_hinge(descriptors0: Tensor, descriptors1: Tensor, H_0to1: Tensor) -> Tensor:
    """The formula of SuperPoint, section 3.4, with all pairs at once and PyTorch's own gradient."""
    import torch

    from homography import warp_points
    from magicpoint.core.grid import cell_centres

    centres = cell_centres(*descriptors0.shape[2:]).double()
    warped = warp_points(centres.expand(len(H_0to1), -1, -1), H_0to1)
    same = (warped[:, :, None] - centres).norm(dim=-1) <= 8 + 1e-3
    similarity = (descriptors0.flatten(2)[..., None] * descriptors1.flatten(2)[:, :, None]).sum(1)
    return torch.where(same, 250 * (1 - similarity).clamp(min=0), (similarity - 0.2).clamp(min=0)).mean()


def resident() -> float:
    """Resident mebibytes of this process now (Linux); elsewhere the highest so far."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 / 2**20 if status.exists() else highest()


def highest() -> float:
    """The highest resident mebibytes of this process so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    size_hw = (arguments.height, arguments.width)
    pairs = f"{arguments.batch} pairs of {size_hw[0]}x{size_hw[1]}"
    print(f"batches of {pairs}, {arguments.dim} numbers a descriptor, one thread")
    costs: dict[str, Cost] = {}
    for variant in VARIANTS:
        cost = run_apart(variant, measure, variant, arguments.batch, size_hw, arguments.dim)
        if cost is not None:
            costs[variant] = cost
            print(f"{variant:30s} {cost.mebibytes:8.0f} MiB {cost.seconds:8.2f} s")
    if arguments.json:
        arguments.json.write_text(json_text(costs))


if __name__ == "__main__":
    main()
