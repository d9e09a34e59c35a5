import numpy as np
import pytest

from magicpoint.data.hpatches import find_sequences, read_homography

IDENTITY = "1 0 0\n0 1 0\n0 0 1\n"


def sequence(folder, images, homographies):
    folder.mkdir(parents=True)
    for name in images:
        (folder / name).write_bytes(b"not read")
    for number in homographies:
        (folder / f"H_1_{number}").write_text(IDENTITY)
    return folder


def test_sequences_are_found_in_order_with_all_kinds_of_images(tmp_path):
    sequence(tmp_path / "v_b", ["1.ppm", "2.ppm", "10.ppm", "3.JPG"], [2, 3, 10])
    sequence(tmp_path / "i_a", ["1.png", "4.jpg", ".hidden", "notes.txt", "thumb.png", "0.png"], [4])
    sequence(tmp_path / "other", ["1.png"], [])
    (tmp_path / "v_file").write_text("no folder")
    first, second = find_sequences(tmp_path)
    assert (first.name, first.change, first.reference) == ("i_a", "illumination", tmp_path / "i_a" / "1.png")
    assert [(view.number, view.image.name, view.homography.name) for view in first.views] == [(4, "4.jpg", "H_1_4")]
    assert (second.name, second.change) == ("v_b", "viewpoint")
    assert [view.number for view in second.views] == [2, 3, 10]


@pytest.mark.parametrize(
    ("images", "homographies", "error", "message"),
    [
        (["1.png", "2.png", "3.png"], [2], FileNotFoundError, "v_x.H_1_3"),
        (["2.png"], [2], FileNotFoundError, "v_x.1"),
        (["1.png", "2.png"], [2, 3], ValueError, "v_x.H_1_3 has no image"),
        (["1.png"], [], ValueError, "v_x has no pair"),
        (["1.png", "2.png", "2.ppm"], [2], ValueError, "2.png and .*2.ppm"),
    ],
)
def test_what_is_missing_is_named(tmp_path, images, homographies, error, message):
    sequence(tmp_path / "v_x", images, homographies)
    with pytest.raises(error, match=message):
        find_sequences(tmp_path)


def test_a_folder_without_sequences_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no sequences"):
        find_sequences(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_sequences(tmp_path / "nowhere")


def test_homography_is_scaled_to_one_in_its_last_entry(tmp_path):
    path = tmp_path / "H_1_2"
    path.write_text("\n-2 0 -8\n0\t-2 6\r\n0 1e-3 -2\n\n")
    np.testing.assert_allclose(read_homography(path), [[1, 0, 4], [0, 1, -3], [0, -5e-4, 1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 0\n0 1 0\n", r"shape \(2, 3\)"),
        ("1 0 0\n0 1\n0 0 1\n", "no 3x3 matrix"),
        ("1 0 0\n0 one 0\n0 0 1\n", "one"),
        ("", r"shape \(0,\)"),
        ("1 0 nan\n0 1 0\n0 0 1\n", "finite"),
        ("1 2 3\n2 4 6\n0 0 1\n", "inverted"),
        ("1 0 0\n0 0 1\n0 1 0\n", "infinity"),
    ],
)
def test_what_is_no_homography_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "H_1_7"
    path.write_text(text)
    with pytest.raises(ValueError, match="H_1_7.*" + message):
        read_homography(path)
