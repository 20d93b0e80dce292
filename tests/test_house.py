"""The packages of l2r_lite: which may import which, and how long loop/ may get."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = {"l2r_lite": ROOT / "l2r_lite", "l2r_course": ROOT / "notebooks" / "course"}
LOOP = sorted((ROOT / "l2r_lite" / "loop").glob("*.py"))


def modules() -> dict[str, Path]:
    found = {}
    for package, folder in PACKAGES.items():
        for file in folder.rglob("*.py"):
            parts = [package, *file.relative_to(folder).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


MODULES = modules()


def imported(file: Path, *, lazily: bool = True) -> Iterator[str]:
    """Our own modules that a file imports; with `lazily`, inside functions and TYPE_CHECKING too."""

    def visit(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in MODULES:
                    yield name
                elif node.module in MODULES:
                    yield node.module
        if lazily or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for child in ast.iter_child_nodes(node):
                yield from visit(child)

    return visit(ast.parse(file.read_text(encoding="utf-8")))


def test_the_loop_imports_nothing_above_it() -> None:
    for file in LOOP:
        above = [name for name in imported(file) if not name.startswith("l2r_lite.loop")]
        assert not above, f"loop/{file.name} imports {above}"


def test_each_room_imports_only_from_rooms_below_it() -> None:
    """Lazy imports count too. `l2r_lite` itself (its version, its lazy names) may be asked from anywhere."""
    floors = ["loop", "data", "teachers", "students", "runs", "app", "course"]

    def floor(name: str) -> int:
        return floors.index("course" if name.startswith("l2r_course") else name.split(".")[1])

    for name, file in MODULES.items():
        if name in ("l2r_lite", "l2r_lite.__main__"):
            continue
        above = [i for i in imported(file) if i != "l2r_lite" and floor(i) > floor(name)]
        assert not above, f"{name} imports {above}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Type hints count too; imports inside functions do not: they are how a circle is avoided at run time."""
    graph = {name: set(imported(file, lazily=False)) - {name} for name, file in MODULES.items()}
    while free := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in free:
            del graph[name]
    assert not graph, f"in a circle, or above one: {sorted(graph)}"


def test_the_loop_can_be_read_in_one_sitting() -> None:
    lines = {file.name: file.read_text(encoding="utf-8").splitlines() for file in LOOP}
    assert sum(map(len, lines.values())) <= 1700
    for name, text in lines.items():
        assert len(text) <= 200, f"loop/{name} has {len(text)} lines"
        assert not [line for line in text if len(line) > 100], f"loop/{name} is wider than 100 columns"
        assert not [line for line in text if "fmt: skip" in line], name


def loaded(code: str) -> set[str]:
    """Our own modules in memory after some code."""
    told = f"{code}\nimport sys; print(*(m for m in sys.modules if m.startswith('l2r_')))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_loop_loads_only_its_own_room() -> None:
    rooms = {name.split(".")[1] for name in loaded("import l2r_lite.loop.rounds") if "." in name}
    assert rooms == {"loop"}


def test_names_of_the_package_are_imported_when_they_are_asked_for() -> None:
    code = "import sys, l2r_lite; assert 'torch' not in sys.modules; print(l2r_lite.LoopConfig().seed)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "0\n"
    import l2r_lite

    for name in l2r_lite.__all__:
        assert getattr(l2r_lite, name) is not None, name
    assert set(l2r_lite.__all__) <= set(dir(l2r_lite))
