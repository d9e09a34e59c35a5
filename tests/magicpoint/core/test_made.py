"""What another program makes for us is made once, replaced where it is known as our own, and else left alone."""

import os

import pytest

from magicpoint.core import made
from magicpoint.core.errors import InputError
from magicpoint.core.made import digest_of, keep_made

SOURCE = {"from": "a"}


def make_file(text):
    return lambda path: path.write_text(text)


def make_folder(text):
    def make(path):
        (path / "inner").mkdir(parents=True)
        (path / "inner" / "file").write_text(text)

    return make


@pytest.fixture(params=[make_file, make_folder], ids=["file", "folder"])
def make(request):
    return request.param


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "thing"


def names(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def test_it_is_made_once_and_again_of_something_else(path, make):
    assert keep_made(path, SOURCE, make("a"))
    first = digest_of(path)
    assert not keep_made(path, SOURCE, make("never"))
    assert digest_of(path) == first
    assert keep_made(path, {"from": "b"}, make("b"))
    assert digest_of(path) != first
    assert names(path) == ["thing", "thing.made.json"]


def test_what_was_changed_or_is_foreign_is_not_replaced(path, make, caplog):
    path.parent.mkdir()
    make("theirs")(path)
    before = digest_of(path)
    with pytest.raises(InputError, match="thing is not as this program made it"):
        keep_made(path, SOURCE, make("ours"))
    assert digest_of(path) == before
    other = path.with_name("other")
    keep_made(other, SOURCE, make("ours"))
    (other if other.is_file() else other / "inner" / "file").write_text("changed")
    before = digest_of(other)
    assert not keep_made(other, SOURCE, make("never"))
    assert "other was changed since it was made" in caplog.text
    with pytest.raises(InputError, match="other is not as this program made it"):
        keep_made(other, {"from": "b"}, make("ours"))
    assert digest_of(other) == before


def test_a_process_that_dies_anywhere_leaves_what_the_next_goes_on_with(path, make, monkeypatch):
    class Death(BaseException):
        pass

    def die(*arguments, **options):
        raise Death

    keep_made(path, SOURCE, make("a"))
    for name, module in (("write_text", made), ("replace", os)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, die)
            with pytest.raises(Death):
                keep_made(path, {"from": name}, make(name))
        assert keep_made(path, {"from": name}, make(name))
        assert not keep_made(path, {"from": name}, make("never"))
    with pytest.raises(Death):
        keep_made(path, {"from": "make"}, die)
    assert keep_made(path, {"from": "same"}, make("replace"))  # of something else with the same content
    assert not keep_made(path, {"from": "same"}, make("never"))
    assert names(path) == ["thing", "thing.made.json"]


def test_a_record_that_is_damaged_proves_nothing(path, make):
    keep_made(path, SOURCE, make("a"))
    for text in ("", "[]", "{", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")):
        path.with_name("thing.made.json").write_text(text, encoding="latin-1")
        with pytest.raises(InputError, match="not as this program made it"):
            keep_made(path, SOURCE, make("a"))
