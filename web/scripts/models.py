"""Writes what the page loads beside its code, into web/public: the networks, the product of descriptors, the example.

`npm run models`, with magicpoint[onnx] installed for the `python` of the path.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from magicpoint.cli import main
from magicpoint.core.files import write_atomically

ROOT = Path(__file__).parents[2]
PUBLIC = ROOT / "web" / "public"
NETWORKS = ("superpoint-small", "superpoint-tiny", "superpoint", "magicpoint")
LOWEST_THRESHOLD, MOST_KEYPOINTS = "0.005", "2048"
"""The page takes fewer of what a graph gives: the best that are above a higher threshold are the same keypoints, since
a weaker peak never suppresses a stronger one."""


def write_networks() -> None:
    """A file for each: from an image to keypoints, of which the page shows some."""
    for name in NETWORKS:
        words = ["export", "--weights", name, "--kind", "keypoints", "--out", str(PUBLIC / "models" / f"{name}.onnx")]
        main([*words, "--threshold", LOWEST_THRESHOLD, "--max_keypoints", MOST_KEYPOINTS])


def write_similarity() -> None:
    """The product (N, M) of two sets of descriptors (N, D) and (M, D)."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("descriptors0", ["N", "D"]), ("descriptors1", ["M", "D"]), ("similarity", ["N", "M"]))
    ]
    product = helper.make_node("Gemm", ["descriptors0", "descriptors1"], ["similarity"], transB=1)
    graph = helper.make_graph([product], "similarity", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    write_atomically(PUBLIC / "models" / "similarity.onnx", lambda path: path.write_bytes(content))


def write_example() -> None:
    """A photograph and the second, darker view of it that the documentation shows."""
    folder = PUBLIC / "example"
    folder.mkdir(parents=True, exist_ok=True)
    photograph = ROOT / "notebooks" / "images" / "cameraman.png"
    shutil.copy(photograph, folder / "cameraman.png")
    script = ROOT / "docs" / "pictures" / "second_view.py"
    subprocess.run(
        [sys.executable, script, photograph, folder / "second-view.png"], check=True, stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    (PUBLIC / "models").mkdir(parents=True, exist_ok=True)
    write_networks()
    write_similarity()
    write_example()
