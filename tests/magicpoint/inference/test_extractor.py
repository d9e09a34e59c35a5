import cv2
import numpy as np
import pytest
import torch
from torch import nn

from magicpoint.core.errors import InputError
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference import tiles
from magicpoint.inference.extractor import Extractor
from magicpoint.io import unfinished
from magicpoint.io.features import read_features
from magicpoint.jobs.extract import ExtractResult, extract_images
from magicpoint.model import weights as weight_files
from magicpoint.model.network import Output
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import save_weights
from magicpoint.training.targets import labels2Dto3D

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")),
]
SIZES = [(1, 1), (1, 40), (7, 9), (8, 8), (17, 33), (40, 48)]


class BrightPixels(nn.Module):
    """A network that is certain of a keypoint in every pixel brighter than one half."""

    settings = ModelSettings()

    def forward(self, image):
        return Output((labels2Dto3D((image > 0.5).float()) + 1e-6).log(), None)


def picture(height, width, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 1.5))


def assert_same(first, second):
    assert first.image_size == second.image_size
    for name in ("keypoints", "keypoint_scores", "descriptors"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


@pytest.fixture(scope="module")
def extractor(random_network):
    return Extractor(random_network(), DecodeSettings(border=0), "cpu", "random")


def test_a_large_image_in_tiles_gives_what_one_piece_gives(extractor, monkeypatch):
    image = picture(203, 301)
    whole = extractor.extract(image)
    monkeypatch.setattr(tiles, "TILE_CELLS", 20)
    monkeypatch.setattr(tiles, "MOST_PIXELS", 160 * 160)
    tiled = extractor.extract(image)
    assert len(whole) > 100
    torch.testing.assert_close(tiled.keypoints, whole.keypoints, atol=1e-3, rtol=0)
    torch.testing.assert_close(tiled.keypoint_scores, whole.keypoint_scores, atol=1e-5, rtol=0)
    # The map of the descriptors is kept in half precision.
    torch.testing.assert_close(tiled.descriptors, whole.descriptors, atol=2e-3, rtol=0)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_gives_keypoints_inside_the_image(extractor, height, width):
    features = extractor.extract(picture(height, width))
    assert features.image_size == (width, height)
    count = len(features)
    assert features.descriptors.shape == (count, 16)
    assert torch.allclose(features.descriptors.norm(dim=1), torch.ones(count), atol=1e-5)
    assert (features.keypoints >= 0).all()
    assert (features.keypoints <= torch.tensor([width - 1, height - 1])).all()
    assert ((features.keypoint_scores > 0.015) & (features.keypoint_scores <= 1)).all()


def test_one_pixel_has_no_keypoint_by_default(random_network):
    assert len(Extractor(random_network(), device="cpu").extract(np.zeros((1, 1), np.uint8))) == 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("height", "width"), [(7, 9), (17, 33), (24, 16)])
def test_positions_are_in_pixels_of_the_image(device, height, width):
    extractor = Extractor(BrightPixels(), DecodeSettings(border=0, nms_radius=1), device)
    truth = [(0, 0), (width - 1, height - 1), (3, 4), (width - 1, 1), (2, height - 1)]
    image = np.zeros((height, width), np.uint8)
    for x, y in truth:
        image[y, x] = 255
    features = extractor.extract(image)
    assert sorted(map(tuple, features.keypoints.tolist())) == sorted(truth)


def test_the_border_is_counted_from_the_true_size():
    image = np.zeros((19, 21), np.uint8)
    image[14, 16] = image[15, 5] = image[5, 17] = 255
    features = Extractor(BrightPixels(), DecodeSettings(border=4, nms_radius=1), "cpu").extract(image)
    assert features.keypoints.tolist() == [[16, 14]]


def test_an_image_shifted_by_a_cell_gives_keypoints_shifted_by_a_cell(extractor):
    large = picture(168, 176)
    whole, part = (extractor.extract(image).keypoints for image in (large, large[8:, 8:]))
    low, high = 60, 104  # farther from every side than the network sees and suppression reaches

    def interior(points):
        inside = points[((points >= low) & (points <= high)).all(1)]
        return torch.tensor(sorted(inside.tolist()))

    expected, shifted = interior(whole), interior(part + 8)
    assert len(expected) > 5
    assert expected.shape == shifted.shape
    assert torch.allclose(expected, shifted, atol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_an_image_gives_the_same_bits_alone_and_in_a_batch(device, random_network):
    extractor = Extractor(random_network(), DecodeSettings(border=0), device)
    images = [picture(*size, seed) for size in SIZES[::-1] for seed in (0, 1)]
    alone = [extractor.extract(image) for image in images]
    assert sum(map(len, alone)) > 50
    for first, second in zip(alone, extractor.extract_batch(images), strict=True):
        assert_same(first, second)
    assert extractor.extract_batch([]) == []


def test_the_form_of_an_image_does_not_matter(extractor, tmp_path):
    grey = picture(33, 41)
    expected = extractor.extract(grey)
    assert len(expected) > 5
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
    colour = np.dstack([grey] * 3)
    for image in (path, str(path), colour, torch.from_numpy(colour).permute(2, 0, 1), grey.astype(np.uint16) * 257):
        assert_same(extractor.extract(image), expected)
    from_float = extractor.extract(grey / 255)
    assert torch.allclose(from_float.keypoints, expected.keypoints, atol=1e-4)
    assert torch.allclose(from_float.keypoint_scores, expected.keypoint_scores, atol=1e-6)


def test_a_detector_gives_no_descriptors(random_network):
    features = Extractor(random_network(0), device="cpu").extract(picture(40, 48))
    assert features.descriptors is None
    assert len(features) > 0


def test_a_network_in_training_is_neither_used_so_nor_changed(extractor, random_network):
    model = random_network().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = Extractor(model, DecodeSettings(border=0), "cpu")
    assert_same(other.extract(picture(40, 48)), extractor.extract(picture(40, 48)))
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_another_decoding_shares_the_network(extractor):
    best = extractor.with_settings(DecodeSettings(border=0, max_keypoints=3))
    assert best.network is extractor.network
    found, every = best.extract(picture(40, 48)), extractor.extract(picture(40, 48))
    assert torch.equal(found.keypoints, every.keypoints[:3])
    assert extractor.settings.max_keypoints is None
    assert best.provenance["network"] == '{"backend": "torch", "precision": "float32"}'


def test_results_can_be_changed_in_place(extractor):
    features = extractor.extract(picture(40, 48))
    for tensor in (features.keypoints, features.keypoint_scores, features.descriptors):
        tensor += 1
        assert not tensor.requires_grad


def test_weights_come_from_a_file_a_run_or_the_package(extractor, tmp_path, monkeypatch, random_network):
    image = picture(40, 48)
    path = save_weights(tmp_path / "best.safetensors", random_network(), {})
    for source in (path, tmp_path, str(tmp_path)):
        loaded = Extractor.from_checkpoint(source, DecodeSettings(border=0), "cpu")
        assert_same(loaded.extract(image), extractor.extract(image))
        assert loaded.provenance["weights"] == "best.safetensors"
        assert loaded.provenance["weights_hash"] == extractor.provenance["weights_hash"]
    with pytest.raises(FileNotFoundError, match="missing"):
        Extractor.from_checkpoint(tmp_path / "missing")
    (tmp_path / "weights").mkdir()
    path.rename(tmp_path / "weights" / "small.safetensors")
    monkeypatch.setattr(weight_files, "_SHIPPED", tmp_path / "weights")
    shipped = Extractor.from_pretrained("small", DecodeSettings(border=0), "cpu")
    assert_same(shipped.extract(image), extractor.extract(image))
    for name in ("large", "../best", ""):
        with pytest.raises(ValueError, match=r"no pretrained weights .*: choose from small"):
            Extractor.from_pretrained(name)


def test_one_door_takes_a_shipped_name_a_file_or_a_run(extractor, tmp_path, monkeypatch, random_network):
    monkeypatch.chdir(tmp_path)
    path = save_weights(tmp_path / "run" / "best.safetensors", random_network(), {})
    (tmp_path / "shipped").mkdir()
    monkeypatch.setattr(weight_files, "_SHIPPED", tmp_path / "shipped")
    with pytest.raises(InputError, match=r"no weights run2: neither a file, nor a folder, nor one of $"):
        Extractor.load("run2")
    assert {Extractor.load(source, device="cpu").weights for source in ("run", path, str(path))} == {"best.safetensors"}
    # A shipped name wins over a folder of that name, unless a path was asked for.
    save_weights(tmp_path / "shipped" / "run.safetensors", random_network(0), {})
    loaded = Extractor.load("run", DecodeSettings(border=0), "cpu")
    assert (loaded.weights, loaded.settings.border) == ("run", 0)
    assert loaded.provenance["weights_hash"] == Extractor.from_pretrained("run").provenance["weights_hash"]
    assert loaded.provenance["weights_hash"] != extractor.provenance["weights_hash"]
    assert Extractor.from_checkpoint("run").provenance["weights_hash"] == extractor.provenance["weights_hash"]


def test_loading_weights_draws_no_random_numbers():
    before = torch.get_rng_state()
    Extractor.load("superpoint-tiny", device="cpu")
    Extractor.from_pretrained("magicpoint", device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def folder(tmp_path):
    """Six images of several sizes in images/, one of them in images/sub/."""
    for number in range(6):
        path = tmp_path / "images" / ("sub" if number == 5 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture(24 + number, 33, number))[1].tobytes())
    return tmp_path / "images"


def test_a_folder_becomes_a_file_and_pictures(extractor, folder, tmp_path):
    out, overlay = tmp_path / "out" / "features.h5", folder / "overlays"
    for repeated in (False, True):  # the second run must not find the pictures of the first
        result = extract_images([folder], out, extractor, overlay, progress=False)
        found = read_features(out)
        kept = 6 * repeated
        assert result == ExtractResult(out, 6, sum(map(len, found.values())), kept, 6 - kept, 0, 0, {}, {})
    assert list(found) == ["0.png", "1.png", "2.png", "3.png", "4.png", "sub/5.png"]
    assert found.provenance == extractor.provenance
    assert found.skipped == {}
    for key in found:
        assert_same(found[key], extractor.extract(folder / key))
        assert (overlay / key).is_file()
    assert [entry.name for entry in out.parent.iterdir()] == ["features.h5"]


def test_unreadable_images_are_reported_and_left_out(extractor, folder, tmp_path, caplog):
    content = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    (folder / "empty.jpg").touch()
    result = extract_images([folder], tmp_path / "f.h5", extractor, progress=False)
    found = read_features(result.path)
    assert len(found) == result.images == 6
    assert result.skipped == found.skipped
    assert sorted(found.skipped) == ["cut.png", "empty.jpg"]
    assert "cut.png is truncated" in found.skipped["cut.png"]
    assert "skipped empty.jpg" in caplog.text
    assert "empty.jpg is empty" in caplog.text
    assert "2 of 8 images skipped" in caplog.text
    with pytest.raises(ValueError, match=r"none of 1 images could be read: .*cut\.png"):
        extract_images([folder / "cut.png"], tmp_path / "g.h5", extractor, progress=False)
    assert [entry.name for entry in tmp_path.glob("g*")] == []


class Stopping(Extractor):
    """Raises an error instead of its fourth result."""

    error: BaseException | None = None
    calls = 0

    def extract(self, *given, **more):
        self.calls += 1
        if self.calls == 4 and self.error:
            raise self.error
        return super().extract(*given, **more)


class Killed(BaseException):
    """Stands for a signal that leaves no time for anything."""


@pytest.mark.parametrize(("error", "kept"), [(Killed(), 2), (KeyboardInterrupt(), 3)])
def test_a_stopped_run_goes_on_where_it_was(folder, tmp_path, monkeypatch, error, kept, random_network):
    monkeypatch.setattr(unfinished, "_PART_LENGTH", 2)
    out = tmp_path / "f.h5"
    stopping = Stopping(random_network(), device="cpu")
    stopping.error = error
    with pytest.raises(type(error)):
        extract_images([folder], out, stopping, progress=False)
    assert not out.exists()
    with pytest.raises(ValueError, match=r"f\.h5\.partial was begun with other .*decode\.threshold 0\.015, now 0\.5"):
        extract_images([folder], out, Extractor(random_network(), DecodeSettings(threshold=0.5), "cpu"), progress=False)
    resumed = Stopping(random_network(), device="cpu")
    (folder / "0.png").write_bytes((folder / "1.png").read_bytes())  # its features are no longer those of the image
    extract_images([folder], out, resumed, tmp_path / "overlays", progress=False)
    assert resumed.calls == 6 - kept + 1
    found = read_features(out)
    assert len(found) == 6
    for key in found:
        assert_same(found[key], resumed.extract(folder / key))
        assert (tmp_path / "overlays" / key).is_file()
    assert not (tmp_path / "f.h5.partial").exists()


def test_a_finished_file_of_other_settings_or_weights_stays(extractor, folder, tmp_path, random_network):
    out = extract_images([folder], tmp_path / "f.h5", extractor, progress=False).path
    before = out.read_bytes()
    higher = extractor.with_settings(DecodeSettings(border=0, threshold=0.5))
    with pytest.raises(ValueError, match=r"f\.h5 was made with other .* \(decode\.threshold 0\.015, now 0\.5\)"):
        extract_images([folder], out, higher, progress=False)
    other = Extractor(random_network(0), DecodeSettings(border=0), "cpu", "random")
    with pytest.raises(ValueError, match=r"f\.h5 was made with other .* \(weights_hash \w+, now \w+\)"):
        extract_images([folder], out, other, progress=False)
    assert out.read_bytes() == before


def test_pictures_never_replace_images_or_each_other(extractor, folder, tmp_path):
    with pytest.raises(ValueError, match=r"would replace the image"):
        extract_images([folder], tmp_path / "f.h5", extractor, folder, progress=False)
    for name in ("x.jpg", "x.jpg.png"):
        (folder / name).write_bytes((folder / "0.png").read_bytes())
    with pytest.raises(ValueError, match=r"overlays of x\.jpg and x\.jpg\.png would be the same"):
        extract_images([folder], tmp_path / "f.h5", extractor, tmp_path / "o", progress=False)


def test_given_keypoints_are_described_where_they_are(random_network, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (64, 96)).astype(np.uint8)
    extractor = Extractor(random_network(), DecodeSettings(max_keypoints=20), "cpu")
    found = extractor.extract(image)
    assert torch.equal(extractor.describe(image, found.keypoints), found.descriptors)
    assert torch.equal(extractor.describe(image, found.keypoints.tolist()), found.descriptors)
    assert extractor.describe(image, np.zeros((0, 2))).shape == (0, found.descriptors.shape[1])
    # At half the size a keypoint k is at (k + 0.5) / 2 - 0.5.
    half = Extractor(random_network(), device="cpu", longest_side=48)
    small = cv2.resize(image, (48, 32), interpolation=cv2.INTER_AREA)
    expected = extractor.describe(small, [[10.0, 20.0]])
    torch.testing.assert_close(half.describe(image, [[20.5, 40.5]]), expected, atol=2e-2, rtol=0)


@pytest.mark.parametrize(
    ("keypoints", "said"),
    [([[1.0, 2.0, 3.0]], "shape"), ([[96.0, 2.0]], "in the image of 96x64"), ([[float("nan"), 2.0]], "in the image")],
)
def test_keypoints_that_cannot_be_described_are_refused(random_network, keypoints, said):
    with pytest.raises(ValueError, match=said):
        Extractor(random_network(), device="cpu").describe(np.zeros((64, 96), np.uint8), keypoints)
