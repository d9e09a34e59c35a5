"""`magicpoint generate-scenes`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from ..options import build
from ..parser import Parser

SUMMARY = "Write rendered scenes with known planar things in them, their corners exact."


def add(parser: Parser) -> None:
    from ...planar.settings import SceneFilesSettings
    from ..sizes import register_sizes

    register_sizes()
    parser.add_argument("out", type=Path, help="Folder to write; one of the same settings is completed.")
    parser.add_argument(
        "--templates", nargs="*", type=Path, default=[], help="What hangs in them: images, and folders to search."
    )
    parser.add_argument(
        "--backgrounds",
        nargs="*",
        type=Path,
        default=[],
        help="What is behind and in front: images, and folders to search; none: textures are drawn.",
    )
    parser.add_class_arguments(SceneFilesSettings, as_group=False)


def run(arguments: Namespace) -> None:
    from ...jobs.scene_files import generate_scenes
    from ...planar.settings import SceneFilesSettings

    settings = build(SceneFilesSettings, arguments)
    progress = not arguments.quiet
    print(generate_scenes(arguments.out, arguments.templates, arguments.backgrounds, settings, progress))
