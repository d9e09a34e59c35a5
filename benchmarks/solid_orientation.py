"""How a known solid lies: the verifier's score against a codebook of views, beside other comparisons.

    python benchmarks/solid_orientation.py PICTURES [--weights verifier] [--holdout 0.1] [--solids 12] [--views 4608]
        [--out FOLDER]

Cubes, boxes and slanted boxes with a picture on each face are drawn at known orientations. A query shows one before
some other picture, at 32 to 128 pixels, in another light, cut out by corners that are up to 3 % off. The answer is the
view of the codebook that scores best: of 72 turns about the line of sight, or of 4608 orientations in space. With
--holdout the faces are those pictures alone that a training with this holdout does not train on. Views that look alike
by symmetry count as right. The folder gets solid_orientation.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from magicpoint import Extractor
from magicpoint.evaluation.tables import aligned
from magicpoint.model.weights import load_weights, resolve_planar
from magicpoint.planar.pictures import Pictures
from magicpoint.planar.solids.evaluation import Ranking, SolidsProtocol, Squares, evaluate_solids
from magicpoint.planar.verify.network import VerifierNetwork

_PART = 100


def by_verifier(network: VerifierNetwork) -> Ranking:
    """The logits of a network in evaluation mode."""

    @torch.inference_mode()
    def rank(queries: Squares, views: Squares) -> np.ndarray:
        asked, known = (
            torch.cat([network.describe(part) for part in as_input(each).split(_PART)]) for each in (queries, views)
        )
        return network.compare_all(asked, known).double().numpy()

    return rank


def by_correlation(queries: Squares, views: Squares) -> np.ndarray:
    """Normalised cross-correlation."""

    def even(squares: Squares) -> np.ndarray:
        flat = squares.reshape(len(squares), -1).astype(np.float64)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)

    return even(queries) @ even(views).T


def by_pooled(extractor: Extractor) -> Ranking:
    """The cosine of the mean descriptors."""

    @torch.inference_mode()
    def rank(queries: Squares, views: Squares) -> np.ndarray:
        means = [
            torch.cat([extractor.model(part).descriptors.mean(dim=(2, 3)) for part in as_input(each).split(_PART)])
            for each in (queries, views)
        ]
        asked, known = (F.normalize(mean, dim=1).double().numpy() for mean in means)
        return asked @ known.T

    return rank


def as_input(squares: Squares) -> torch.Tensor:
    return torch.from_numpy(squares)[:, None].float() / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--weights", nargs="+", default=["verifier"])
    parser.add_argument("--holdout", type=float, default=None)
    parser.add_argument("--solids", type=int, default=SolidsProtocol.solids)
    parser.add_argument("--views", type=int, default=SolidsProtocol.views)
    parser.add_argument("--out", type=Path, default=Path("runs/solid_orientation"))
    arguments = parser.parse_args()
    pictures = Pictures((), [arguments.pictures])
    if arguments.holdout is not None:
        pictures = pictures.split(arguments.holdout)[1]
    files = [resolve_planar(weights) for weights in arguments.weights]
    networks = {file.name: load_weights(file.path, VerifierNetwork)[0].eval() for file in files}
    extractor = Extractor.load("superpoint-small", device="cpu")
    extractor.model.eval()
    methods = {name: by_verifier(network) for name, network in networks.items()}
    methods |= {"correlation": by_correlation, "pooled": by_pooled(extractor)}
    protocol = SolidsProtocol(solids=arguments.solids, views=arguments.views)
    side = next(iter(networks.values())).settings.side
    found = evaluate_solids(pictures, pictures, methods, side, protocol)
    rows = [
        [f"{regime}: {name}", f"{scores.median:.1f}", f"{scores.within_10:.3f}", f"{scores.within_20:.3f}"]
        for regime, by_method in found.items()
        for name, scores in by_method.items()
    ]
    print(aligned(["orientation", "median °", "within 10°", "within 20°"], rows))
    plain = {regime: {name: dataclasses.asdict(one) for name, one in each.items()} for regime, each in found.items()}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "solid_orientation.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
