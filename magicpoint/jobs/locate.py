"""Scenes, and what is found of templates in each: a JSON file and a picture."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..core.errors import InputError
from ..core.files import AnyPath, remove_leftovers_of, write_text
from ..core.interrupts import stop_requests
from ..core.locks import locked_folder
from ..core.outputs import check_own
from ..core.plain import as_plain, json_has
from ..inference.extractor import Extractor
from ..io.finding import find_images
from ..io.images import read_picture, write_png
from ..io.png_text import title_of
from ..io.stream import is_video
from ..io.video import SourceEnded, open_source, read_ahead
from ..io.video_out import is_own_video, open_sink
from ..model.weights import weights_hash
from ..pictures.canvas import Drawable, add_legend
from ..pictures.keypoints import overlay_path
from ..pictures.quads import draw_quads, number_colour
from ..planar.detector import QuadDetector
from ..planar.locate import Locator
from ..planar.located import Located, LocateSettings
from ..planar.verify.network import VerifierNetwork
from ..planar.verify.verifier import Verifier

TITLE = "located"
"""Of the pictures."""

_HAS = ("templates", "found")
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LocateResult:
    """What looking for templates came to.

    Args:
        out: The folder.
        scenes: Number of scenes; a video is one.
        found: How often each template was found, in a video once for each frame.
        skipped: Scenes that could not be read, with the reason.
    """

    out: Path
    scenes: int
    found: Mapping[str, int]
    skipped: Mapping[str, str]


def format_locating(result: LocateResult) -> str:
    """The result in one line."""
    found = ", ".join(f"{name} {count}" for name, count in result.found.items() if count) or "nothing"
    skipped = f", skipped {len(result.skipped)}" if result.skipped else ""
    scenes = "1 scene" if result.scenes == 1 else f"{result.scenes} scenes"
    return f"{result.out}: {scenes}, found {found}{skipped}"


def locate_templates(
    scenes: Sequence[AnyPath],
    templates: Sequence[AnyPath],
    out: AnyPath,
    extractor: Extractor,
    settings: LocateSettings | None = None,
    progress: bool = True,
    detector: QuadDetector | None = None,
    verifier: VerifierNetwork | None = None,
) -> LocateResult:
    """Find templates in scenes; write for each scene a JSON file and a picture, of a video a video.

    KEY.json has `templates`, `settings`, `provenance` and `found`, of a video a list of `found` for each frame: for
    each find `template`, `corners` (4, 2), `H_template_to_scene` (3, 3), `matches`, `inliers` and `probability`, see
    `planar.located.Located`. KEY.png, or KEY.mp4 of a video, shows them. A scene that cannot be read is skipped, and
    the log says so. What is there of an earlier run is replaced.

    Args:
        scenes: Image files, folders and video files; see `io.finding.find_images` for their keys.
        templates: Image files and folders; a template is called as its key, without its suffix.
        out: Folder to write.
        extractor: With descriptors.
        settings: None stands for `LocateSettings()`.
        progress: Show a progress bar on the standard error.
        detector: Of proposals, see `planar.locate.Locator`.
        verifier: Says how probable each find is; None says nothing of it.

    Raises:
        FileNotFoundError: A path does not exist.
        OSError: A file cannot be written.
        InputError: There is no scene or no template, none of the scenes or one of the templates cannot be read, two
            would have one name, or something else is where a result would be written; it is named.
    """
    out = Path(out)
    found_scenes = find_images(scenes, skip=[out], say_passed_over=True)
    named = _named(templates)
    outputs = _outputs(found_scenes, named, out)
    judge = None if verifier is None else Verifier(named, verifier, extractor.device, extractor.reading)
    locator = Locator(named, extractor, settings, detector, judge)
    for name in (template.name for template in locator.templates if not template.has_keypoints):
        _LOG.warning("the template %s has no keypoints: it is found where the verifier knows it again, if at all", name)
    provenance = _provenance(extractor, detector, verifier)
    counts = dict.fromkeys((template.name for template in locator.templates), 0)
    skipped: dict[str, str] = {}
    with locked_folder(out):
        check_own(outputs, "a result of locating", _is_own)
        remove_leftovers_of(*outputs)
        with stop_requests() as stop:
            for key, path in tqdm(found_scenes.items(), unit="scene", disable=not progress):
                try:
                    if is_video(path):
                        finds = _locate_video(locator, key, path, out, provenance, progress)
                    else:
                        finds = _locate_image(locator, key, path, out, provenance)
                    for located in finds:
                        counts[located.template] += 1
                except InputError as error:
                    _LOG.warning("%s is skipped: %s", key, error)
                    skipped[key] = str(error)
                if stop.requested:
                    raise KeyboardInterrupt(f"interrupted; the scenes up to {key} are in {out}")
    if len(skipped) == len(found_scenes):
        raise InputError(f"none of {len(skipped)} scenes could be read: {next(iter(skipped.values()))}")
    return LocateResult(out, len(found_scenes) - len(skipped), counts, skipped)


def _named(templates: Sequence[AnyPath]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for key, path in find_images(templates).items():
        name = str(Path(key).with_suffix("").as_posix())
        if name in named:
            raise InputError(f"the templates {named[name]} and {path} would both be called {name}")
        named[name] = path
    return named


def _outputs(scenes: Mapping[str, Path], templates: Mapping[str, Path], out: Path) -> list[Path]:
    """The files that are written; none of them is a scene or a template."""
    paths = []
    for key, path in scenes.items():
        paths += [_json_path(out, key), _video_path(out, key) if is_video(path) else overlay_path(out, key)]
    twice = next((path for path, count in Counter(paths).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{twice} would be the picture of two scenes: give them apart, or rename one")
    for kind, files in (("scene", scenes), ("template", templates)):
        sources = {path.resolve() for path in files.values()}
        clash = next((path for path in paths if path.resolve() in sources), None)
        if clash is not None:
            raise InputError(f"{clash} is a {kind} and would be replaced: choose another folder")
    return paths


def _json_path(out: Path, key: str) -> Path:
    return out / f"{key}.json"


def _video_path(out: Path, key: str) -> Path:
    return out / (key if key.lower().endswith(".mp4") else f"{key}.mp4")


def _is_own(path: Path) -> bool:
    if path.suffix == ".json":
        return json_has(path.read_bytes(), *_HAS)
    return title_of(path) == TITLE if path.suffix.lower() == ".png" else is_own_video(path)


def _provenance(
    extractor: Extractor, detector: QuadDetector | None, verifier: VerifierNetwork | None
) -> dict[str, Any]:
    """That of the features, and the hashes of the weights of the others, null without them."""
    networks = {"proposals_hash": None if detector is None else detector.network, "verifier_hash": verifier}
    hashes = {name: None if each is None else weights_hash(each.state_dict()) for name, each in networks.items()}
    return {**extractor.provenance, **hashes}


def _locate_image(locator: Locator, key: str, path: Path, out: Path, provenance: dict[str, Any]) -> list[Located]:
    found = locator.locate(path)
    picture = add_legend(_draw(locator, read_picture(path, locator.extractor.reading), found), _legend(locator, found))
    write_png(overlay_path(out, key), picture, TITLE)
    _write(locator, _json_path(out, key), found, provenance)
    return found


def _locate_video(
    locator: Locator, key: str, path: Path, out: Path, provenance: dict[str, Any], progress: bool
) -> list[Located]:
    opened = open_source(path, locator.extractor.reading)
    frames = []
    target = _video_path(out, key)
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(open_sink(target, opened.rate))
        read = stack.enter_context(read_ahead(opened.frames))
        try:
            for grey in tqdm(read, key, total=opened.count, unit="frame", leave=False, disable=not progress):
                found = locator.locate(grey)
                sink.write(_draw(locator, grey, found))
                frames.append(found)
        except SourceEnded as error:
            if not frames:
                raise
            _write(locator, _json_path(out, key), frames, provenance)
            raise SourceEnded(f"{error}; what was found up to there is in {out}") from error
    _write(locator, _json_path(out, key), frames, provenance)
    return [located for found in frames for located in found]


def _write(locator: Locator, path: Path, found: Sequence[Any], provenance: dict[str, Any]) -> None:
    content = {
        "templates": {template.name: template.image_size for template in locator.templates},
        "settings": locator.settings,
        "provenance": provenance,
        "found": found,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(as_plain(content), allow_nan=False) + "\n")


def _draw(locator: Locator, image: Drawable, found: Sequence[Located]) -> Any:
    numbers = {template.name: number for number, template in enumerate(locator.templates)}
    colours = [number_colour(numbers[located.template]) for located in found]
    texts = [f"{located.template} {located.inliers}{_probability(located)}" for located in found]
    return draw_quads(image, [located.corners for located in found], texts, colours)


def _probability(located: Located) -> str:
    return "" if located.probability is None else f" {located.probability:.2f}"


def _legend(locator: Locator, found: Sequence[Located]) -> list[Any]:
    words = f"{len(found)} found" if found else "nothing found"
    numbers = "inliers" if all(located.probability is None for located in found) else "inliers and probability"
    return [(f"{words}; the dot is the template's top-left corner, the numbers are {numbers}", None)]
