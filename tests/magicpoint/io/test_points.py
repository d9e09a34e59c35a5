"""Points of other tools: the same ones in each form, and what is none of them is named."""

import json

import numpy as np
import pytest

from magicpoint.core.errors import InputError
from magicpoint.io.points import read_points
from synthetic_shapes import DatasetError

KEYS = ["a.png", "sub/b.jpg", "sub/c.jpg"]
WANTED = {"a.png": [[1.5, 2.0], [3.0, 4.25]], "sub/b.jpg": []}

TABLES = {
    "commas": "image,x,y\na.png,1.5,2\na.png,3,4.25\nsub/b.jpg,,\n",
    "semicolons, other columns, another order": "y;score;image;x\n2;0.9;a.png;1.5\n4.25;0.1;a.png;3\n;;sub/b.jpg;\n",
    "tabulators, upper case, a mark, Windows": "\ufeffImage\tX\tY\r\na.png\t1.5\t2\r\na.png\t3\t4.25\r\nb.jpg\t\t\r\n",
    "paths of Windows, quotes, an empty line": 'image,x,y\n"a.png","1.5","2"\na.png,3,4.25\n\nsub\\b.jpg,,\n',
    "names alone": "image,x,y\na.png,1.5,2.0\na.png,3,4.25\nb.jpg,,\n",
    "folders of another machine": "image,x,y\n/data/a.png,1.5,2.0\n/data/a.png,3,4.25\n/data/b.jpg,,\n",
}


def coco():
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 8, "height": 6}, {"id": 3, "file_name": "b.jpg"}],
        "annotations": [
            {"image_id": 7, "keypoints": [1.5, 2, 2, 9, 9, 1, 9, 9, 0]},  # one is seen, one hidden, one not labelled
            {"image_id": 7, "keypoints": [3, 4.25, 2]},
            {"image_id": 3, "bbox": [1, 2, 3, 4]},
        ],
    }


def as_lists(found):
    return {key: points.keypoints.tolist() for key, points in found.items()}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables(tmp_path, text):
    (tmp_path / "p.csv").write_bytes(text.encode())
    assert as_lists(read_points(tmp_path / "p.csv", KEYS)) == WANTED


def test_coco(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps(coco()))
    found = read_points(tmp_path / "p.json", KEYS)
    assert as_lists(found) == WANTED
    assert [points.image_size for points in found.values()] == [(8, 6), None]


@pytest.mark.parametrize("names", [("a.png.npy", "sub/b.jpg.npy"), ("a.npy", "sub/b.npy")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays(tmp_path, names, dtype):
    (tmp_path / "sub").mkdir()
    for name, points in zip(names, WANTED.values(), strict=True):
        np.save(tmp_path / name, np.array(points, dtype))
    assert as_lists(read_points(tmp_path, KEYS)) == WANTED


def changed(**entries):
    return json.dumps({**coco(), **entries})


REFUSED = {
    "no header": ("a.png,1,2\n", "a header with the columns image, x and y is needed, got a.png,1,2"),
    "no y": ("image,x\na.png,1\n", "a header with the columns image, x and y is needed"),
    "x twice": ("image,x,x,y\na.png,1,1,2\n", "a header with the columns"),
    "nothing": ("", "a header with the columns"),
    "a word": ("image,x,y\na.png,1,two\n", "line 2: x and y must be numbers, got '1', 'two'"),
    "half a point": ("image,x,y\na.png,1,\n", "line 2: x and y must be numbers, got '1', ''"),
    "a short line": ("image,x,y\na.png,1,2\na.png\n", "line 3: 1 columns of 3"),
    "nan": ("image,x,y\na.png,nan,2\n", "a point of a.png is not a finite number"),
    "infinity": ("image,x,y\na.png,1e999,2\n", "a point of a.png is not a finite number"),
    "an unknown image": ("image,x,y\nd.png,1,2\n", "'d.png' is none of the images"),
    "bytes": (b"\xff\xfe\x00", "neither a table nor JSON"),
    "other JSON": ("{}", "no JSON of COCO's keypoints: KeyError"),
    "a list": ("[1]", "no JSON of COCO's keypoints"),
    "half of it": (changed()[:50], "no JSON of COCO's keypoints"),
    "pairs": (changed(annotations=[{"image_id": 7, "keypoints": [1, 2, 2, 4]}]), "no JSON of COCO's keypoints"),
    "text for numbers": (changed(annotations=[{"image_id": 7, "keypoints": ["a", 2, 2]}]), "no JSON of COCO's"),
    "an unknown number": (changed(annotations=[{"image_id": 8, "keypoints": []}]), "no JSON of COCO's"),
    "a name twice": (changed(images=[{"id": 7, "file_name": "a.png"}, {"id": 3, "file_name": "a.png"}]), "a.png twice"),
    "an id twice": (changed(images=[{"id": 7, "file_name": "a.png"}, {"id": 7, "file_name": "b.jpg"}]), "an id twice"),
    "two folders": (
        "image,x,y\none/a.png,1,2\na.png,3,4\n",
        "'one/a.png' and 'a.png' are both the image a.png",
    ),
    "two folders of COCO": (
        changed(images=[{"id": 7, "file_name": "one/a.png"}, {"id": 3, "file_name": "a.png"}]),
        "'one/a.png' and 'a.png' are both the image a.png",
    ),
    "deep": ("[" * 10**5, "no JSON of COCO's keypoints: RecursionError"),
}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_file_of_points_is_refused(tmp_path, content, said):
    (tmp_path / "p.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"p\.txt.*{said}") as raised:
        read_points(tmp_path / "p.txt", KEYS)
    assert "\n" not in str(raised.value)


def test_a_name_of_several_images_is_refused(tmp_path):
    (tmp_path / "p.csv").write_text("image,x,y\nb.jpg,1,2\n")
    with pytest.raises(InputError, match=r"'b\.jpg' is several of the images, one/b\.jpg, two/b\.jpg"):
        read_points(tmp_path / "p.csv", ["one/b.jpg", "two/b.jpg"])


@pytest.mark.parametrize(
    ("points", "error", "said"),
    [
        (np.zeros((2, 3)), InputError, r"a\.npy: expected numbers \(N, 2\), \(x, y\), got float64 \(2, 3\)"),
        (np.zeros((2, 2), bool), InputError, "expected numbers"),
        (np.array([[1, np.nan]]), InputError, r"a point of a\.png is not a finite number"),
        (np.array([["a", "b"]]), DatasetError, "holds <U1, no numbers"),
    ],
)
def test_an_array_that_is_none_of_points_is_refused(tmp_path, points, error, said):
    np.save(tmp_path / "a.npy", points)
    with pytest.raises(error, match=said):
        read_points(tmp_path, KEYS)


def test_a_folder_of_other_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has points of none of the 3 images, such as a\.png"):
        read_points(tmp_path, KEYS)


def test_an_array_of_two_images_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1.0, 2.0]]))
    with pytest.raises(InputError, match=r"a\.npy could be of a\.png or of a\.jpg: .*, a\.jpg\.npy"):
        read_points(tmp_path, ["a.png", "a.jpg"])
    np.save(tmp_path / "a.jpg.npy", np.array([[3.0, 4.0]]))
    assert as_lists(read_points(tmp_path, ["a.png", "a.jpg"])) == {"a.png": [[1, 2]], "a.jpg": [[3, 4]]}
