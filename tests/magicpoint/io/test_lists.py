"""Lists of images: a path in each line."""

import numpy as np
import pytest

from magicpoint.io.finding import find_images
from magicpoint.io.images import write_png


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "sub/b.png", "sub/c.png"):
        write_png(tmp_path / name, np.zeros((8, 8), np.uint8))
    return tmp_path


def write(folder, *lines):
    (folder / "list.txt").write_text("".join(lines), encoding="utf-8")
    return folder / "list.txt"


def test_a_list_names_images_from_its_folder_or_in_full_each_once(folder):
    listed = write(folder, "a.png\n", "\n", "sub/b.png\r\n", "sub/../a.png\n", f"{folder}/sub/b.png")
    assert find_images([listed]) == {"a.png": folder / "a.png", "sub/b.png": folder / "sub" / "b.png"}
    assert list(find_images([listed, folder / "sub" / "c.png"])) == ["a.png", "sub/b.png", "sub/c.png"]
    # Keys are paths from the deepest folder that holds them all, or from the root that is asked for.
    assert list(find_images([write(folder, "sub/b.png")])) == ["b.png"]
    assert list(find_images([write(folder, "sub/b.png")], root=folder)) == ["sub/b.png"]


def test_a_list_in_a_folder_is_no_image(folder):
    write(folder, "a.png")
    assert "list.txt" not in find_images([folder])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.png\n", "\n", "missing.png\n"], r"list\.txt, line 3: no file .*missing\.png"),
        (["sub\n"], r"list\.txt, line 1: no file .*sub"),
        (["a.png\n", "a\0.png\n"], r"list\.txt, line 2: no file"),
        ([], "no images in .*list"),
    ],
)
def test_a_line_that_is_no_file_is_named_with_its_number(folder, lines, message):
    with pytest.raises(ValueError, match=message):
        find_images([write(folder, *lines)])


def test_a_list_that_is_no_text_is_refused(folder):
    (folder / "list.lst").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match=r"list\.lst is no list of images in UTF-8"):
        find_images([folder / "list.lst"])
