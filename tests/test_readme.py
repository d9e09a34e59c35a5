"""The Python code of the README runs as it stands, and finds what is true."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
SHIFT = (24, 16)


@pytest.fixture
def two_images(tmp_path, monkeypatch):
    """A folder with two cut-outs of a photograph, under the names that the code reads."""
    photograph = cv2.imread(str(ROOT / "notebooks" / "images" / "cameraman.png"))
    for name, (left, top) in (("first", (0, 0)), ("second", SHIFT)):
        cut = photograph[100 + top : 340 + top, 100 + left : 420 + left]
        assert cv2.imwrite(str(tmp_path / f"{name}.jpg"), cut, (cv2.IMWRITE_JPEG_QUALITY, 95))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("two_images")
def test_the_python_code_prints_the_homography_between_two_images(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    namespace = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    H_0to1 = np.array([float(word) for word in re.findall(r"-?\d+\.\d*(?:e[-+]\d+)?", printed)][-9:]).reshape(3, 3)
    # The second image begins farther right and below, so that what it shows stands farther left and above.
    for x, y in ((60, 60), (260, 180)):
        place = H_0to1 @ (x, y, 1)
        np.testing.assert_allclose(place[:2] / place[2], (x - SHIFT[0], y - SHIFT[1]), atol=0.5)
