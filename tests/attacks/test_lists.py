"""Text files of pairs and of intrinsics that are none."""

import pytest

from magicpoint.io.intrinsics import read_intrinsics
from magicpoint.io.pairs import read_pairs

PAIRS = {
    "empty": b"",
    "comments": b"# a b\n",
    "one name": b"a\n",
    "three names": b"a b c\n",
    "an unknown name": b"a x\n",
    "itself": b"a a\n",
    "no text": b"a \xff\n",
    "UTF-16": "a b\n".encode("utf-16"),
    "a NUL": b"a\0b\n",
    "a picture": b"\x89PNG\r\n\x1a\n",
    "a line without end": b"a " * 200_000,
    "spaces without end": b"a" + b" " * 1_000_000 + b"x",
}
INTRINSICS = {
    "empty": b"",
    "a name alone": b"a\n",
    "three numbers": b"a 1 2 3\n",
    "words": b"a one two three four\n",
    "NaN": b"a nan 2 3 4\n",
    "infinite": b"a 1 inf 3 4\n",
    "a negative focal length": b"a -1 2 3 4\n",
    "no focal length": b"a 0 2 3 4\n",
    "another name": b"x 1 2 3 4\n",
    "no text": b"a 1 2 3 \xff\n",
    "a number without end": b"a " + b"9" * 100_000 + b" 2 3 4\n",
    "a picture": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_list_of_pairs_that_is_none_is_refused_by_its_name(tmp_path, refused, name):
    path = tmp_path / "pairs.txt"
    path.write_bytes(PAIRS[name])
    refused(read_pairs, path, ["a", "b", "c"], named="pairs.txt")


@pytest.mark.parametrize("name", INTRINSICS)
def test_intrinsics_that_are_none_are_refused_by_their_name(tmp_path, refused, name):
    path = tmp_path / "cameras.txt"
    path.write_bytes(INTRINSICS[name])
    refused(read_intrinsics, path, ["a"], named="cameras.txt")
