"""The packages depend on each other in one direction."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "homography": {"homography", "cv2", "numpy", "torch"},
    "synthetic_shapes": {"synthetic_shapes", "cv2", "numpy", "tqdm"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package):
    import sys

    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        foreign = {name for name in imports(path) if name not in sys.stdlib_module_names} - ALLOWED[package]
        assert not foreign, f"{path} imports {foreign}"


def test_the_public_names_are_there():
    import magicpoint

    for name in magicpoint.__all__:
        assert getattr(magicpoint, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = magicpoint.nothing
