"""Who may import whom: the packages in one direction, the rooms of `magicpoint` from the upper floors to the lower."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from magicpoint.cli.verbs import VERBS

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "homography": {"homography", "cv2", "numpy", "torch"},
    "synthetic_shapes": {"synthetic_shapes", "cv2", "numpy", "tqdm"},
}
FLOORS = [
    {"core", "homography", "synthetic_shapes"},
    {"model", "decoding", "io"},
    {"matching"},
    {"data", "measures", "export", "pictures"},
    {"training", "inference"},
    {"adaptation", "evaluation", "interop", "planar"},
    {"jobs"},
    {"cli"},
]
"""From the ground up. A room imports rooms below its floor, and itself."""

MODULES = {
    path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("homography", "synthetic_shapes", "magicpoint")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imports(path):
    """The modules that a file imports, in full, wherever in the file that is."""
    package = MODULES[path] if path.name == "__init__.py" else MODULES[path].rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                name = f"{module}.{alias.name}"
                yield name if name in MODULES.values() else module


def room(module):
    parts = module.split(".")
    return parts[0] if parts[0] != "magicpoint" or len(parts) == 1 else parts[1]


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package):
    files = [path for path, module in MODULES.items() if room(module) == package]
    assert files
    for path in files:
        roots = {name.split(".")[0] for name in imports(path)}
        foreign = {name for name in roots if name not in sys.stdlib_module_names} - ALLOWED[package]
        assert not foreign, f"{path} imports {foreign}"


def test_every_room_has_a_floor():
    rooms = {path.name for path in (ROOT / "magicpoint").iterdir() if (path / "__init__.py").exists()}
    placed = set.union(*FLOORS) - set(ALLOWED)
    assert rooms - {"configs", "weights"} == placed
    assert {path.name for path in (ROOT / "magicpoint").glob("*.py")} == {"__init__.py", "__main__.py"}


def test_a_room_imports_only_rooms_below_it():
    floor = {name: number for number, rooms in enumerate(FLOORS) for name in rooms}
    looked_at = 0
    for path, module in MODULES.items():
        own = room(module)
        if own not in floor or own in ALLOWED:
            continue
        for name in imports(path):
            other = room(name)
            if other in floor and other != own:
                looked_at += 1
                assert floor[other] < floor[own], f"{path.relative_to(ROOT)} imports {name}, which is not below it"
    assert looked_at > 100


def test_no_file_imports_itself_on_a_detour():
    graph = {
        module: {name for name in imports(path) if name in MODULES.values()} - {module}
        for path, module in MODULES.items()
        if module != "magicpoint"  # its public names are imported when they are used
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_public_names_are_there():
    import magicpoint

    assert len(magicpoint.__all__) > 30
    assert set(dir(magicpoint)) == {*magicpoint.__all__, "__version__"}
    assert {"Extractor", "SuperPoint", "match_features"} <= set(magicpoint.__all__)
    modules = {module.rpartition(".")[2] for module in MODULES.values()}
    for name in magicpoint.__all__:
        assert getattr(magicpoint, name).__name__ == name
        assert name not in modules, "importing the module would put it in the name's place"
    with pytest.raises(AttributeError, match="nothing"):
        _ = magicpoint.nothing


WITHOUT_TORCH = ["import magicpoint", "from magicpoint.cli import main; main(['--help'])"]
WITHOUT_TORCH += [f"from magicpoint.cli import main; main(['{verb}', '--help'])" for verb in sorted(VERBS)]


@pytest.mark.parametrize("words", WITHOUT_TORCH)
def test_no_torch_is_loaded_before_it_is_needed(words):
    code = f"import sys\ntry:\n    {words}\nexcept SystemExit:\n    pass\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_an_extractor_is_ready_without_what_it_does_not_need():
    code = (
        "import sys\nfrom magicpoint import Extractor\nExtractor.from_pretrained('superpoint-tiny', device='cpu')\n"
        "slow = {'sympy', 'scipy', 'matplotlib', 'h5py'} & set(sys.modules)\nassert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_the_command_line_prints():
    looked_at = 0
    for path, module in MODULES.items():
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        looked_at += len(calls)
        printed = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not printed or module.startswith("magicpoint.cli"), f"{path.relative_to(ROOT)} prints in {printed}"
    assert looked_at > 1000
