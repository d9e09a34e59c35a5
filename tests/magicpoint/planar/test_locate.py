"""Templates found by their keypoints, in scenes whose homographies are known."""

import dataclasses

import cv2
import numpy as np
import pytest

from homography import warp_points
from homography.warp import resizing
from magicpoint import DecodeSettings, Extractor
from magicpoint.core.errors import InputError
from magicpoint.planar.detect import Quads
from magicpoint.planar.facing import facing, overlay
from magicpoint.planar.locate import Locator
from magicpoint.planar.located import LocateSettings, corners_in_scene, outer_corners
from magicpoint.planar.verify.network import VerifierNetwork
from magicpoint.planar.verify.settings import VerifierModelSettings
from magicpoint.planar.verify.verifier import Verifier
from magicpoint.planar.votes import Votes

SIZE = (160, 120)


def card(seed):
    """A picture that has no like: bright and dark discs and boxes at random places."""
    rng = np.random.default_rng(seed)
    image = np.full(SIZE[::-1], 128, np.uint8)
    for _ in range(60):
        x, y = (int(rng.integers(side)) for side in SIZE)
        grey, reach = int(rng.integers(256)), int(rng.integers(4, 18))
        if rng.random() < 0.5:
            cv2.circle(image, (x, y), reach, grey, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, (x, y), (x + reach, y + reach), grey, -1)
    return image


def turned(degrees, scale, centre):
    """Takes the middle of a card to a place, turned and enlarged."""
    H = np.eye(3)
    H[:2] = cv2.getRotationMatrix2D(((SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2), degrees, scale)
    H[:2, 2] += np.array(centre) - ((SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2)
    return H


def scene_of(placed, size=(480, 360)):
    """Cards under homographies on a plain ground that gets darker to the right."""
    fine = (4 * size[0], 4 * size[1])  # each pixel is the mean of 16 samples
    image = np.tile(np.linspace(150, 90, fine[0]).astype(np.uint8), (fine[1], 1))
    for picture, H in placed:
        H = resizing(size, fine) @ H
        cover = cv2.warpPerspective(np.full_like(picture, 255), H, fine, flags=cv2.INTER_NEAREST)
        image = np.where(cover > 0, cv2.warpPerspective(picture, H, fine), image)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def cards():
    return {f"card {seed}": card(seed) for seed in range(3)}


@pytest.fixture(scope="module")
def locator(cards):
    extractor = Extractor.load("superpoint-small", device="cpu")
    return Locator({**cards, "plain": np.full(SIZE[::-1], 90, np.uint8)}, extractor)


@pytest.mark.parametrize(
    ("degrees", "scale"), [(0, 1.0), (30, 1.0), (45, 1.0), (90, 1.0), (180, 0.8), (-90, 1.4), (10, 0.5)]
)
def test_a_card_is_found_at_any_angle_with_its_corners_in_their_order(locator, cards, degrees, scale):
    H = turned(degrees, scale, (240, 180))
    [found] = locator.locate(scene_of([(cards["card 1"], H)]))
    assert found.template == "card 1"
    assert found.inliers >= 12
    np.testing.assert_allclose(found.corners, warp_points(outer_corners(SIZE), H), atol=1.0)
    np.testing.assert_allclose(warp_points(outer_corners(SIZE), found.H_template_to_scene), found.corners, atol=1e-3)


def test_several_cards_and_two_of_one_are_found(locator, cards):
    places = [("card 0", (100, 90)), ("card 2", (360, 90)), ("card 0", (240, 260))]
    found = locator.locate(scene_of([(cards[name], turned(0, 1.0, place)) for name, place in places]))
    centres = sorted((each.template, *np.rint(each.corners.mean(axis=0)).astype(int)) for each in found)
    assert centres == sorted((name, *place) for name, place in places)
    assert [each.inliers for each in found] == sorted((each.inliers for each in found), reverse=True)


def test_a_tilted_card_that_is_partly_hidden_is_found(locator, cards):
    corners = np.array([[150, 100], [330, 120], [320, 250], [160, 220]], np.float32)
    H = cv2.getPerspectiveTransform(outer_corners(SIZE).astype(np.float32), corners)
    scene = scene_of([(cards["card 2"], H)])
    scene[150:230, 140:200] = 40
    [found] = locator.locate(scene)
    assert found.template == "card 2"
    np.testing.assert_allclose(found.corners, corners, atol=1.5)


@pytest.fixture(scope="module")
def complete(cards):
    """With a detector, a verifier, and templates that show nothing."""
    plain = {"plain": np.full(SIZE[::-1], 90, np.uint8), "pixel": np.full((1, 1), 200, np.uint8)}
    return Locator.from_pretrained({**cards, **plain}, "superpoint-small", device="cpu")


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 60), (20, 30), (120, 160)])
def test_nothing_is_an_ordinary_answer(locator, complete, size_hw):
    dot = np.full(size_hw, 128, np.uint8)
    dot[size_hw[0] // 2, size_hw[1] // 2] = 255
    other = cv2.resize(card(9), size_hw[::-1], interpolation=cv2.INTER_AREA)
    for scene in (np.full(size_hw, 128, np.uint8), dot, other):
        assert locator.locate(scene) == []
        assert complete.locate(scene) == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_scene_of_few_keypoints_shows_nothing(complete, count):
    extractor = Extractor.load("superpoint-small", DecodeSettings(max_keypoints=max(count, 1)), device="cpu")
    few = Locator({each.name: each for each in complete.templates}, complete.extractor)
    few.extractor = extractor
    scene = np.full((120, 160), 128, np.uint8) if count == 0 else card(1)
    assert few.locate(scene) == []


def test_a_scene_smaller_than_its_template_shows_a_part_of_it(cards):
    large = np.vstack([np.hstack([card(3 * row + column) for column in range(3)]) for row in range(3)])
    locator = Locator.from_pretrained({"large": large}, "superpoint-small", device="cpu")
    [found] = locator.locate(large[80:280, 120:360])
    np.testing.assert_allclose(found.corners, outer_corners((480, 360)) - (120, 80), atol=1.0)


def test_a_small_card_is_found_in_a_scene_that_is_enlarged(locator, cards):
    H = turned(15, 0.3, (240, 180))
    scene = scene_of([(cards["card 1"], H)])
    [found] = locator.locate(scene)
    np.testing.assert_allclose(found.corners, warp_points(outer_corners(SIZE), H), atol=1.0)
    plain = Locator(dict.fromkeys(["card 1"], cards["card 1"]), locator.extractor, LocateSettings(enlarge=False))
    assert plain.locate(scene) == []


def test_templates_are_needed_and_descriptors():
    with pytest.raises(InputError, match="no template"):
        Locator.from_pretrained({}, "superpoint-tiny")
    with pytest.raises(InputError, match="no descriptors"):
        Locator.from_pretrained({"a": card(0)}, "magicpoint")


@pytest.mark.parametrize(
    "corners",
    [
        [[0, 0], [0, 50], [60, 50], [60, 0]],  # mirrored
        [[0, 0], [60, 50], [60, 0], [0, 50]],  # crossed
        [[0, 0], [60, 0], [20, 15], [0, 50]],  # not convex
        [[0, 0], [60, 0], [60, 2], [0, 2]],  # thin
        [[500, 0], [560, 0], [560, 50], [500, 50]],  # beside the scene
    ],
)
def test_what_no_camera_sees_is_no_find(corners):
    H = cv2.getPerspectiveTransform(outer_corners(SIZE).astype(np.float32), np.array(corners, np.float32))
    assert corners_in_scene(H, SIZE, (480, 360)) is None


def test_what_a_camera_sees_is():
    corners = np.array([[10.0, 10], [90, 20], [85, 80], [5, 70]])
    H = cv2.getPerspectiveTransform(outer_corners(SIZE).astype(np.float32), corners.astype(np.float32))
    np.testing.assert_allclose(corners_in_scene(H, SIZE, (480, 360)), corners, atol=1e-3)


@pytest.mark.parametrize(
    ("corners", "forms"),
    [
        ([[10, 20], [60, 20], [60, 80], [10, 80]], [(160, 160)]),
        ([[10, 20], [210, 20], [210, 80], [10, 80]], [(400, 120), (400, 400)]),
        # Turned; its sides are the roots of 4000 and of 16000.
        ([[30, 10], [90, 30], [50, 150], [-10, 130]], [(126.491, 252.982), (252.982, 252.982)]),
    ],
)
def test_a_proposal_is_seen_as_if_it_faced_the_camera(corners, forms):
    """At twice its size, its longer side at least 160 pixels, with 15 % on each side."""
    corners = np.array(corners, np.float32)
    views = facing(corners)
    assert len(views) == len(forms)
    for (H, size), sides in zip(views, forms, strict=True):
        assert size == tuple(np.rint(1.3 * np.array(sides)))
        wanted = np.array([[0.15, 0.15], [1.15, 0.15], [1.15, 1.15], [0.15, 1.15]]) * sides - 0.5
        np.testing.assert_allclose(warp_points(corners, H), wanted, atol=0.01)


class Proposing:
    """A detector that says these quadrilaterals."""

    def __init__(self, *corners):
        self.corners = np.array(corners, np.float32).reshape(-1, 4, 2)

    def detect(self, image):
        return Quads(self.corners, np.full(len(self.corners), 0.5, np.float32), image.shape[::-1])


def test_what_is_too_oblique_alone_is_found_where_it_is_proposed(locator, cards):
    """A card that is seen at 73 degrees; its corners are proposed half a pixel off, beside two of nothing."""
    H = turned(20, 1.0, (240, 180)) @ np.diag([1, 0.3, 1]) @ turned(0, 1.0, ((SIZE[0] - 1) / 2, 240))
    scene = scene_of([(cards["card 1"], H)])
    once = Locator({each.name: each for each in locator.templates}, locator.extractor, LocateSettings(enlarge=False))
    assert once.locate(scene) == []
    true = warp_points(outer_corners(SIZE), H)
    nothing = warp_points(outer_corners(SIZE), turned(70, 0.4, (80, 80)))
    for turn in (0, 3):
        off = np.roll(true, turn, axis=0) + np.array([[0.5, 0], [0, 0.5], [-0.5, 0.5], [0.5, -0.5]])
        once.detector = Proposing(off, nothing, true + 500)
        [found] = once.locate(scene)
        assert found.template == "card 1"
        np.testing.assert_allclose(found.corners, true, atol=1.0)
        np.testing.assert_allclose(
            warp_points(outer_corners(SIZE), found.H_template_to_scene), found.corners, atol=1e-3
        )


def test_what_is_found_and_proposed_is_found_once(locator, cards):
    H = turned(30, 1.0, (240, 180))
    proposing = Locator({each.name: each for each in locator.templates}, locator.extractor)
    proposing.detector = Proposing(warp_points(outer_corners(SIZE), H))
    [found] = proposing.locate(scene_of([(cards["card 1"], H)]))
    np.testing.assert_allclose(found.corners, warp_points(outer_corners(SIZE), H), atol=1.0)


def blurred_and_small(cards):
    """A card of 37 pixels behind a Gaussian of 1.5: it has next to no keypoints."""
    H = turned(25, 0.23, (240, 180))
    scene = np.asarray(cv2.GaussianBlur(scene_of([(cards["card 1"], H)]), (0, 0), 1.5), np.uint8)
    return scene, np.asarray(warp_points(outer_corners(SIZE), H), np.float32)


ROUGH = np.array([[1.5, -1], [1, 1.5], [-1.5, 1], [-1, -1.5]], np.float32)


def test_a_template_is_laid_over_a_scene_by_its_grey_values(cards):
    scene, true = blurred_and_small(cards)
    grey, picture = (image.astype(np.float32) / 255 for image in (scene, cards["card 1"]))
    laid = overlay(picture, SIZE, 0.5 * grey + 0.1, true + ROUGH)
    np.testing.assert_allclose(warp_points(outer_corners(SIZE), laid.H_template_to_scene), true, atol=0.8)
    assert laid.correlation > 0.9
    assert overlay(picture, SIZE, np.full_like(grey, 0.5), true) is None
    assert overlay(np.full_like(picture, 0.5), SIZE, grey, true) is None


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_what_is_too_blurred_for_keypoints_is_recognised_where_it_is_proposed(locator, cards, order):
    """Its corners are proposed two pixels off and in any order, beside two of nothing."""
    scene, true = blurred_and_small(cards)
    templates = {each.name: each for each in locator.templates}
    pictures = {name: cards.get(name, np.full(SIZE[::-1], 90, np.uint8)) for name in templates}
    both = Locator(templates, locator.extractor, LocateSettings(enlarge=False))
    nothing = warp_points(outer_corners(SIZE), turned(70, 0.4, (80, 80)))
    both.detector = Proposing(np.roll(true + ROUGH, order, axis=0), nothing, true + 500)
    assert both.locate(scene) == []
    both.verifier = Verifier.from_pretrained(pictures)
    [found] = both.locate(scene)
    assert found.template == "card 1"
    assert found.inliers < 12
    assert found.probability > 0.9
    np.testing.assert_allclose(found.corners, true, atol=0.8)
    np.testing.assert_allclose(warp_points(outer_corners(SIZE), found.H_template_to_scene), found.corners, atol=1e-3)


class Saying:
    """A verifier that says one probability of all, and recognises the first template in what is proposed."""

    def __init__(self, names, probability):
        self.names, self.probability = names, probability

    def judge(self, image, found):
        return [dataclasses.replace(each, probability=self.probability) for each in found]

    def recognise(self, image, quads):
        said = np.zeros((len(quads), 4, len(self.names)), np.float32)
        said[:, :, 0] = 0.1
        return said


def test_a_verifier_that_is_sure_of_the_contrary_drops_what_few_keypoints_place(locator, cards):
    H = turned(25, 0.3, (240, 180))
    scene = scene_of([(cards["card 1"], H)])
    [found] = locator.locate(scene)
    settings = LocateSettings(least_inliers=2 * found.inliers // 3)
    for probability, count in ((0.5, 1), (0.001, 0)):
        judged = Locator({each.name: each for each in locator.templates}, locator.extractor, settings)
        judged.verifier = Saying([each.name for each in locator.templates], probability)
        assert len(judged.locate(scene)) == count


def test_what_is_proposed_is_compared_with_what_is_like_it_alone(locator, cards, monkeypatch):
    """So fifty templates take no more looks at a proposal than three."""
    compared, likely = [], Votes.likely
    monkeypatch.setattr(
        Votes, "likely", lambda self, scene, among: compared.append(len(among)) or likely(self, scene, among)
    )
    names = [each.name for each in locator.templates]
    several = Locator({each.name: each for each in locator.templates}, locator.extractor)
    several.detector = Proposing(warp_points(outer_corners(SIZE), turned(70, 0.4, (80, 80))))
    several.verifier = Saying(names, 0.1)
    assert several.locate(scene_of([])) == []
    assert compared == [len(names), 1][: len(compared)]
    assert len(compared) == 2


def test_what_is_seen_in_two_turns_is_looked_at_again_once(locator, cards, monkeypatch):
    scene, looks = scene_of([(cards["card 1"], turned(45, 1.0, (240, 180)))]), []
    seen = Locator._seen
    monkeypatch.setattr(Locator, "_seen", lambda *arguments: looks.append(1) or seen(*arguments))
    features = locator.extractor.extract(scene).to("cpu")
    turns = [turn for template, turn in Votes(locator.templates).likely(features, locator.templates)]
    assert len(turns) > 1
    assert len(locator.locate(scene)) == 1
    assert len(looks) == 1


def test_a_verifier_knows_all_templates(locator, cards):
    network = VerifierNetwork(VerifierModelSettings(0.125, 8)).eval()
    templates = {each.name: each for each in locator.templates}
    with pytest.raises(InputError, match="the verifier lacks the templates card 1, plain"):
        Locator(templates, locator.extractor, verifier=Verifier({n: cards[n] for n in ("card 0", "card 2")}, network))
