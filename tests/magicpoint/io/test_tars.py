"""Images in tar files in the layout of webdataset, and images at addresses."""

import io
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import fsspec
import numpy as np
import pytest

from magicpoint.core.errors import MissingPackageError
from magicpoint.io.finding import find_images
from magicpoint.io.images import read_image
from magicpoint.io.reading import ImageReading
from magicpoint.io.remote import address_of
from magicpoint.io.stream import load_images
from magicpoint.io.tars import TarImages

PNG = cv2.imencode(".png", np.full((8, 10), 51, np.uint8))[1].tobytes()


def tar(members, end=True, form=tarfile.USTAR_FORMAT):
    """The bytes of a tar file of these names and contents."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    last = sum(512 + -(-len(content) // 512) * 512 for _, content in members)
    return file.getvalue() if end else file.getvalue()[:last]


def write(path, *members, **how):
    path.write_bytes(tar(members, **how))
    return path


def test_the_images_of_a_tar_have_their_names_without_suffixes_as_keys(tmp_path):
    members = [("0001.json", b"{}"), ("./0001.png", PNG), ("sub/0002.left.PNG", PNG + b"2"), ("sub/._0002.png", b"mac")]
    for form in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with TarImages(write(tmp_path / "a.tar", *members, form=form)) as images:
            assert list(images) == ["0001", "sub/0002.left"]
            assert images.read("0001") == PNG
            assert images.read("sub/0002.left") == PNG + b"2"
            assert images.place(images["sub/0002.left"]) == tmp_path / "a.tar" / "sub" / "0002.left.PNG"


def test_a_link_in_a_tar_is_passed_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as made:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    with pytest.raises(ValueError, match=r"no images in .*a\.tar"):
        TarImages(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"a\.tar is damaged or no tar file: empty file"),
        (b"GIF89a" * 200, r"a\.tar is damaged or no tar file"),
        (bytes(10240), r"no images in .*a\.tar$"),
        (tar([("a.png", PNG), ("b.png", PNG * 30)])[:2500], r"a\.tar is truncated or damaged in its member b\.png"),
        (tar([("a.png", PNG), ("b.png", PNG)], end=False), r"a\.tar is truncated or damaged behind its member b\.png"),
        (tar([("a.png", PNG), ("b.png", PNG)])[:1100] + b"\1" * 4000, r"damaged behind its member a\.png"),
        (
            tar([("a.json", b"{}"), ("b.txt", b"")]),
            r"no images in .*a\.tar \(files of other types: \.json 1, \.txt 1\)",
        ),
        (tar([("../a.png", PNG)]), r"a\.tar has a member of an unsafe name, '\.\./a\.png'"),
        (tar([("/a.png", PNG)]), r"a\.tar has a member of an unsafe name, '/a\.png'"),
        (tar([("x/../../a.png", PNG)]), r"a\.tar has a member of an unsafe name"),
        (tar([("x\\a.png", PNG)]), r"a\.tar has a member of an unsafe name"),
        (tar([("a.png", PNG), ("a.jpg", PNG)]), r"a\.tar has two images of the key a, a\.png and a\.jpg"),
        (tar([("a.png", PNG), ("./a.png", PNG)]), r"a\.tar has two members a\.png"),
        (tar([("a/b.png", PNG), ("a.png", PNG)]), r"a\.tar has a\.png and a folder a with images"),
    ],
)
def test_what_is_wrong_with_a_tar_is_said_with_its_member(tmp_path, content, said):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        TarImages(tmp_path / "a.tar")
    with pytest.raises(ValueError, match=said):
        list(load_images({"a.tar": tmp_path / "a.tar"}, lambda *_: False))


def test_a_member_that_is_no_image_is_named_and_the_others_are_read(tmp_path):
    path = write(tmp_path / "a.tar", ("a.png", b"no image"), ("b.png", PNG), ("c.png", PNG), ("c.mask.png", PNG))
    broken, plain, masked = load_images({"k.tar": path}, lambda *_: False)
    assert broken.key == "k.tar/a"
    assert broken.error.startswith(f"{path / 'a.png'} is damaged or no image")
    assert (plain.key, plain.error, plain.image.mask) == ("k.tar/b", None, None)
    assert np.array_equal(plain.image.grey, np.full((8, 10), np.float32(0.2)))
    assert masked.key == "k.tar/c"
    assert masked.image.mask.all()
    (large,) = load_images(
        {"a.tar": write(tmp_path / "a.tar", ("a.png", bytes(2**24 + 64)))},
        lambda *_: False,
        reading=ImageReading(max_megapixels=1e-6),
    )
    assert "a.tar" in large.error
    assert "more than an image of max_megapixels" in large.error


def test_tars_are_found_by_pattern_by_numbers_in_a_folder_and_in_a_list(tmp_path):
    for number in range(9, 12):
        write(tmp_path / f"p-{number:03}.tar", ("a.png", PNG))
    all_of_them = {f"p-{number:03}.tar": tmp_path / f"p-{number:03}.tar" for number in range(9, 12)}
    (tmp_path / "list.txt").write_text("\n".join(all_of_them))
    for asked in ("p-{009..011}.tar", "p-0{09..11}.tar", "p-*.tar", "list.txt", ""):
        assert find_images([tmp_path / asked], tars=True) == all_of_them
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*p-012\.tar"):
        find_images([tmp_path / "p-{009..012}.tar"], tars=True)
    # Beside images, and for what takes none, they are no images.
    with pytest.raises(ValueError, match=r"no images in .*\.tar 3"):
        find_images([tmp_path])
    (tmp_path / "image.png").write_bytes(PNG)
    assert list(find_images([tmp_path], tars=True)) == ["image.png"]


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("https://host/a/b.jpg", "https://host/a/b.jpg"),
        ("https:/host/a/b.jpg", "https://host/a/b.jpg"),  # what a Path makes of it
        ("s3://bucket/a b.tar", "s3://bucket/a b.tar"),
        ("C:/a.jpg", None),
        ("c:\\a.jpg", None),
        ("file:///a.jpg", None),
        ("/a/b:/c.jpg", None),
        ("a.jpg", None),
    ],
)
def test_an_address_is_told_from_a_path(path, address):
    assert address_of(path) == address


@pytest.fixture
def elsewhere(tmp_path):
    """A server of files, and the folder from which it takes them."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    handler.func.log_message = lambda *_: None
    (tmp_path / "www").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", tmp_path / "www"
        server.shutdown()


def test_a_list_names_images_and_tars_by_their_addresses(tmp_path, elsewhere):
    address, folder = f"{elsewhere[0]}/sub", elsewhere[1] / "sub"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    write(folder / "b.tar", ("c.png", PNG))
    lines = [f"{address}/{name}" for name in ("a.png", "b.tar", "missing.png", "a.png")]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = find_images([tmp_path / "list.txt"], tars=True)
    assert list(found) == ["a.png", "b.tar", "missing.png"]
    assert list(find_images([tmp_path / "list.txt"], root=elsewhere[0], tars=True)) == [f"sub/{key}" for key in found]
    loaded = {each.key: each for each in load_images(found, lambda *_: False)}
    assert list(loaded) == ["a.png", "b.tar/c", "missing.png"]
    assert all((loaded[key].image.grey == np.float32(0.2)).all() for key in ("a.png", "b.tar/c"))
    assert f"{address}/missing.png cannot be read" in loaded["missing.png"].error
    with pytest.raises(ValueError, match=f"{address}/missing.tar cannot be read"):
        TarImages(f"{address}/missing.tar")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:1/a.png", r"http://127\.0\.0\.1:1/a\.png cannot be read: "),
        ("nothing-known://host/a.png", r"nothing-known://host/a\.png cannot be read: .*nothing-known"),
    ],
)
def test_an_address_that_does_not_answer_is_named(address, said):
    with pytest.raises(ValueError, match=said):
        read_image(address)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aiohttp", None)
    with pytest.raises(MissingPackageError, match=r"http://host/a\.png .* pip install 'magicpoint\[remote\]'"):
        read_image("http://host/a.png")


def test_any_file_system_of_fsspec_serves(tmp_path):
    fsspec.filesystem("memory").pipe_file("/box/a.tar", tar([("a.png", PNG)]))
    fsspec.filesystem("memory").pipe_file("/box/broken.tar", tar([("a.png", PNG)], end=False))
    found = find_images([tmp_path / "unused", "memory://box/a.tar"][1:], tars=True)
    assert [each.key for each in load_images(found, lambda *_: False)] == ["a.tar/a"]
    with pytest.raises(ValueError, match=r"^memory://box/broken\.tar is truncated or damaged behind its member a\.png"):
        TarImages("memory://box/broken.tar")
