"""Files of matches and of pairs, and intrinsics: what is written comes back, what is wrong is refused by name."""

import numpy as np
import pytest
import torch

from magicpoint.core.errors import InputError
from magicpoint.core.geometry import TwoViewGeometry
from magicpoint.core.types import Matches
from magicpoint.io.intrinsics import read_intrinsics
from magicpoint.io.matches import MATCHES, PairMatches, key_of, pair_of, read_matches, write_matches
from magicpoint.io.pairs import exhaustive_pairs, read_pairs, sequential_pairs, write_pairs


def some_matches(*rows):
    pairs = torch.tensor([row[:2] for row in rows], dtype=torch.int64).view(-1, 2)
    return Matches(pairs, torch.tensor([row[2] for row in rows], dtype=torch.float32))


def test_matches_and_what_they_agree_on_come_back(tmp_path):
    turn = np.eye(3)[[1, 0, 2]]
    geometry = TwoViewGeometry("essential", np.arange(9.0).reshape(3, 3), np.array([True, False]), turn, np.ones(3))
    written = {
        ("a/1.png", "b.png"): PairMatches(some_matches((0, 40_000, 0.5), (3, 2, 0.25)), (4, 40_001), geometry),
        ("b.png", "matches01"): PairMatches(some_matches(), (0, 0)),
        ("50%2F.png", "50%/x.png"): PairMatches(some_matches((1, 1, 1)), (2, 2)),
    }
    found = read_matches(write_matches(tmp_path / "new" / "m.h5", written, {"weights": "ours"}))
    assert set(found) == set(written)
    assert found.provenance == {"weights": "ours"}
    for pair, expected in written.items():
        assert torch.equal(found[pair].matches.matches01, expected.matches.matches01)
        assert torch.equal(found[pair].matches.scores, expected.matches.scores)
        assert found[pair].keypoint_counts == expected.keypoint_counts
    back = found["a/1.png", "b.png"].geometry
    assert back.model == "essential"
    for name in ("matrix", "inliers", "R", "t"):
        np.testing.assert_array_equal(getattr(back, name), getattr(geometry, name))
    assert found["b.png", "matches01"].geometry is None


@pytest.mark.parametrize("pair", [("a", "b"), ("a/b", "c"), ("%", "%25"), ("%2F", "/".join("ab")), ("ä ö/é", "日本")])
def test_the_key_of_a_pair_tells_the_pair(pair):
    assert pair_of(key_of(pair)) == pair
    assert len(key_of(pair).split("/")) == 2


@pytest.mark.parametrize("pair", [("a", "a"), ("../a", "b"), ("", "b"), ("/a", "b")])
def test_a_pair_that_is_none_is_refused(pair):
    with pytest.raises(InputError):
        key_of(pair)


def test_matches_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit 2 and 2 keypoints"):
        PairMatches(some_matches((0, 2, 1.0)), (2, 2))
    geometry = TwoViewGeometry("homography", np.eye(3), np.ones(3, np.bool_))
    with pytest.raises(ValueError, match="do not fit 1 matches"):
        PairMatches(some_matches((0, 1, 1.0)), (2, 2), geometry)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scores": np.ones(2, np.float32)},
        {"matches01": np.array([[0, 9]], np.int32)},
        {"matches01": np.array([[-1, 0]], np.int32)},
        {"matches01": np.array([0], np.int32)},
        {"model": np.frombuffer(b"affine", np.uint8)},
        {"model": np.frombuffer(b"homography", np.uint8)},
        {"model": np.frombuffer(b"\xff", np.uint8)},
    ],
)
def test_a_damaged_pair_is_named(tmp_path, wrong):
    arrays = {"matches01": np.array([[0, 1]], np.int32), "scores": np.ones(1, np.float32)}
    with MATCHES.open(tmp_path / "m.h5", {}, {}) as writer:
        writer.add("a/b", arrays | wrong, (2, 2), None)
    with pytest.raises(InputError, match=r"m\.h5: a/b is damaged"):
        read_matches(tmp_path / "m.h5")["a", "b"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a b\nb c\n", [("a", "b"), ("b", "c")]),
        ("# of hloc\n\na b\r\nb a\n", [("a", "b")]),
        ("my photo.png\tb\nb my photo.png", [("my photo.png", "b")]),
        ("\ufeffa  b", [("a", "b")]),
    ],
)
def test_pairs_are_read(tmp_path, content, expected):
    path = tmp_path / "pairs.txt"
    path.write_text(content, encoding="utf-8", newline="")
    assert read_pairs(path, ["a", "b", "c", "my photo.png"]) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a b\na x\n", r"pairs\.txt, line 2: no image 'x'"),
        ("a\n", r"line 1: no two names"),
        ("a b c\n", r"line 1: no two names"),
        ("a a\n", r"line 1: 'a' is paired with itself"),
        ("# nothing\n", r"pairs\.txt has no pairs"),
    ],
)
def test_what_is_no_pair_is_named_with_its_line(tmp_path, content, said):
    path = tmp_path / "pairs.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read_pairs(path, ["a", "b", "c"])


def test_a_file_of_pairs_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InputError, match=r"pairs\.txt is no text"):
        read_pairs(tmp_path / "pairs.txt", ["a"])


def test_written_pairs_are_read_and_a_name_with_a_space_is_refused(tmp_path):
    pairs = exhaustive_pairs(["x/a", "b", "c"])
    write_pairs(tmp_path / "p.txt", pairs)
    assert read_pairs(tmp_path / "p.txt", ["x/a", "b", "c"]) == pairs
    with pytest.raises(InputError, match="my photo"):
        write_pairs(tmp_path / "q.txt", [("my photo", "b")])


def test_a_sequence_is_in_the_order_of_its_numbers():
    keys = ["v/10.png", "v/9.png", "v/1.png", "v/010b.png"]
    assert sequential_pairs(keys, 1) == [("v/1.png", "v/9.png"), ("v/9.png", "v/10.png"), ("v/10.png", "v/010b.png")]
    assert len(sequential_pairs(keys, 99)) == len(exhaustive_pairs(keys)) == 6
    with pytest.raises(InputError, match="at least 1"):
        sequential_pairs(keys, 0)


def test_intrinsics_are_of_all_or_of_each(tmp_path):
    assert read_intrinsics("500,510, 320,240", ["a", "b"])["b"].tolist() == [[500, 0, 320], [0, 510, 240], [0, 0, 1]]
    path = tmp_path / "cameras.txt"
    path.write_text("# name fx fy cx cy\nmy a 1 2 3 4\nb 5 6 7 8\n")
    found = read_intrinsics(path, ["b", "my a"])
    assert [found[key][0, 0] for key in ("my a", "b")] == [1, 5]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a 1 2 3\n", r"cameras\.txt, line 1: a name and four numbers"),
        ("a 1 2 3 x\n", "line 1: a name and four numbers"),
        ("a 0 2 3 4\n", "line 1: intrinsics are two positive"),
        ("a 1 nan 3 4\n", "line 1: intrinsics are two positive"),
        ("b 1 2 3 4\n", "no line for a$"),
    ],
)
def test_what_are_no_intrinsics_is_named(tmp_path, content, said):
    (tmp_path / "cameras.txt").write_text(content)
    with pytest.raises(InputError, match=said):
        read_intrinsics(tmp_path / "cameras.txt", ["a"])
