"""The house rules that no linter knows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "workers", "bench", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
OURS = [path for path in SOURCES if not path.is_relative_to(ROOT / "tests")]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function)]


def test_imports_run_one_way() -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", OURS, ids=name)
def test_functions_stay_small(path: Path) -> None:
    long = [each.name for each in functions(path) if (each.end_lineno or 0) - each.lineno + 1 > 50]
    assert long == []


@pytest.mark.parametrize("path", [path for path in OURS if path.read_text().strip()], ids=name)
def test_every_module_says_why_it_exists(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_nobody_reads_the_clock_in_the_domain() -> None:
    """`now` is passed in. The one exception measures how long a receiver took."""
    clock = re.compile(r"datetime\.now|utcnow|time\.time\(|date\.today|perf_counter|clock_timestamp|\bnow\(\)")
    reading = [name(path) for path in (ROOT / "app" / "domain").rglob("*.py") if clock.search(path.read_text())]
    assert reading == ["app/domain/webhooks/deliver.py"]
    queries = [name(path) for path in (ROOT / "sql" / "queries").glob("*.sql") if clock.search(path.read_text())]
    assert queries == []


def test_conn_comes_first_and_now_last() -> None:
    for path in (ROOT / "app" / "domain").rglob("*.py"):
        for function in functions(path):
            given = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
            place = f"{name(path)}:{function.name}"
            assert "conn" not in given[1:], place
            assert "now" not in given[:-1], place


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")
    this = Path(__file__)
    found = [name(path) for path in SOURCES if path != this and marks.search(path.read_text())]
    assert found == []
