"""Scenes of planar things written to a folder, with their labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
from tqdm import tqdm

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically, write_text
from ..core.machine import versions
from ..core.outputs import ADVICE, claimed_folder
from ..core.plain import as_plain, json_has, json_text
from ..io.images import write_png
from ..io.png_text import title_of
from ..planar.drawing import HIT, draw_quads, sheet
from ..planar.pictures import Pictures
from ..planar.scenes import Scene, SceneStream, draw_boards
from ..planar.settings import SceneFilesSettings

MANIFEST, OVERLAY = "scenes.json", "overlay.png"
_TITLE = "scenes"
_SHOWN = 12


def generate_scenes(
    out: AnyPath,
    templates: Sequence[AnyPath] = (),
    backgrounds: Sequence[AnyPath] = (),
    settings: SceneFilesSettings | None = None,
    progress: bool = True,
) -> Path:
    """Renders scenes into the folder `out`.

    `images/000000.png` is 8-bit grey. `labels/000000.json` has for each template in it `corners`, four of (x, y) in
    pixels from the template's own top-left one on, clockwise, the centre of the image's top-left pixel being (0, 0);
    `visible`, the share of it that is seen; and `template`, its name. `overlay.png` shows the first scenes with their
    labels. The scenes depend on the settings and the pictures alone, so that the same call completes a folder of a
    killed one.

    Args:
        out: Made where it does not exist.
        templates: Images of what hangs in the scenes, and folders to search for images.
        backgrounds: Images for what is behind and in front, and folders of such; without any, textures are drawn.
        settings: None stands for `SceneFilesSettings()`.
        progress: Show a progress bar on the standard error.

    Returns:
        The path of `scenes.json`, which has the settings, and a digest once all is there.

    Raises:
        OSError: A file cannot be read or written.
        InputError: There is no template, an image is damaged, or the folder holds something else or scenes of other
            settings or pictures; it is named.
    """
    out, settings = Path(out), settings or SceneFilesSettings()
    things = Pictures(draw_boards(settings.boards), templates)
    walls = Pictures((), backgrounds)
    stream = SceneStream(things, walls, settings.seed, settings.scenes, "files")
    manifest = {
        "scenes": as_plain(settings),
        "templates": things.digest,
        "backgrounds": walls.digest,
        "versions": versions(),
    }
    with claimed_folder(out, [MANIFEST, OVERLAY], "scenes", _is_own):
        _check_same(out, manifest)
        write_text(out / MANIFEST, json_text({**manifest, "digest": None}))
        digest, pictures = hashlib.sha256(), []
        for index in tqdm(range(settings.count), unit="scene", disable=not progress):
            scene = stream[index]
            digest.update(scene.image.tobytes() + scene.corners.tobytes() + scene.visible.tobytes())
            _write(out, index, scene, things.names)
            if index < _SHOWN:
                pictures.append(draw_quads(scene.image, scene.corners, HIT))
        write_png(out / OVERLAY, sheet(pictures), _TITLE)
        write_text(out / MANIFEST, json_text({**manifest, "digest": digest.hexdigest()}))
    return out / MANIFEST


def _write(out: Path, index: int, scene: Scene, names: Sequence[str]) -> None:
    for folder in ("images", "labels"):
        (out / folder).mkdir(exist_ok=True)
    content = cv2.imencode(".png", scene.image)[1].tobytes()
    write_atomically(out / "images" / f"{index:06d}.png", lambda temporary: temporary.write_bytes(content))
    labels = [
        {"corners": corners, "visible": round(float(visible), 4), "template": names[number]}
        for corners, visible, number in zip(scene.corners, scene.visible, scene.templates.tolist(), strict=True)
    ]
    write_text(out / "labels" / f"{index:06d}.json", json_text(labels))


def _is_own(path: Path) -> bool:
    return title_of(path) == _TITLE if path.suffix == ".png" else json_has(path.read_bytes(), "scenes", "digest")


def _check_same(out: Path, manifest: dict[str, object]) -> None:
    """Refuses a folder of something else, or of scenes of other settings; more scenes of the same may be added."""
    if not (out / MANIFEST).exists():
        others = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
        if others:
            raise InputError(f"{out} holds {others[0]}, but no {MANIFEST}: {ADVICE}")
        return
    there = json.loads((out / MANIFEST).read_bytes())
    for name in ("scenes", "templates", "backgrounds"):
        if _without_count(there.get(name)) != _without_count(manifest[name]):
            raise InputError(f"{out} holds scenes of other {'settings' if name == 'scenes' else name}: {ADVICE}")


def _without_count(value: object) -> object:
    return {key: each for key, each in value.items() if key != "count"} if isinstance(value, dict) else value
