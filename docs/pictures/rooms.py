"""Draws `rooms.svg`: the rooms of the package, floor on floor, as `tests/test_structure.py` holds them.

Run it after a change of the floors or of what a room says that it is for: `python docs/pictures/rooms.py`.
"""

from __future__ import annotations

import ast
import textwrap
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).with_name("rooms.svg")

WIDTH, MARGIN, GAP = 960, 12, 12
LINE_HEIGHT, TITLE_HEIGHT, PADDING = 16, 22, 10
LETTER_WIDTH = 6.3
"""Mean width in pixels of a letter of the small text, by which its lines are broken."""


def read_floors() -> list[list[str]]:
    """The rooms of each floor from the ground up, in the order in which the test writes them."""
    tree = ast.parse((ROOT / "tests" / "test_structure.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS":
            assert isinstance(node.value, ast.List)
            return [[ast.literal_eval(name) for name in floor.elts] for floor in node.value.elts]  # type: ignore[attr-defined]
    raise ValueError("tests/test_structure.py has no FLOORS")


def purpose(room: str) -> str:
    """What a room's `__init__.py` says first, without what it imports."""
    top_level = ROOT / room / "__init__.py"
    path = top_level if top_level.exists() else ROOT / "magicpoint" / room / "__init__.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").split(" Imports ")[0].replace("`", "").rstrip(".")


def draw(floors: list[list[str]], purposes: dict[str, str]) -> str:
    """The picture as SVG text: the highest floor at the top, each room a box with its name and purpose."""
    parts: list[str] = []
    top = MARGIN
    for floor in reversed(floors):
        box_width = (WIDTH - 2 * MARGIN - GAP * (len(floor) - 1)) / len(floor)
        letters = int((box_width - 2 * PADDING) / LETTER_WIDTH)
        texts = [textwrap.wrap(purposes[room], letters) for room in floor]
        height = PADDING + TITLE_HEIGHT + LINE_HEIGHT * max(map(len, texts)) + PADDING
        for place, (room, lines) in enumerate(zip(floor, texts, strict=True)):
            left = MARGIN + place * (box_width + GAP)
            parts += [
                f'<rect x="{left:.0f}" y="{top}" width="{box_width:.0f}" height="{height}" rx="6"/>',
                f'<text class="room" x="{left + PADDING:.0f}" y="{top + PADDING + 14}">{escape(room)}</text>',
            ]
            for number, line in enumerate(lines):
                y = top + PADDING + TITLE_HEIGHT + LINE_HEIGHT * number + 12
                parts.append(f'<text x="{left + PADDING:.0f}" y="{y}">{escape(line)}</text>')
        top += height + GAP
    height = top - GAP + MARGIN
    style = (
        "svg{background:#fff} rect{fill:#e8f3f1;stroke:#00897b} "
        "text{font:12px sans-serif;fill:#333} text.room{font:bold 15px monospace;fill:#00695c}"
    )
    names = "; ".join(", ".join(floor) for floor in reversed(floors))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
            f"<title>The rooms, from the highest floor down: {escape(names)}</title>",
            f"<style>{style}</style>",
            f'<rect x="0" y="0" width="{WIDTH}" height="{height}" style="fill:#fff;stroke:none"/>',
            *parts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    storeys = read_floors()
    PICTURE.write_text(draw(storeys, {room: purpose(room) for floor in storeys for room in floor}), encoding="utf-8")
