"""What the explorer ships: a vendored library that is npm's, byte for byte, and pages that need nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.explorer.rendering import HERE, environment

pytestmark = pytest.mark.unit

NPM = Path(__file__).parents[2] / "node_modules" / "uplot"
VENDORED = {
    "uPlot.iife.min.js": NPM / "dist" / "uPlot.iife.min.js",
    "uPlot.min.css": NPM / "dist" / "uPlot.min.css",
    "uPlot.LICENSE": NPM / "LICENSE",
}


def templates() -> list[Path]:
    return sorted((HERE / "templates").iterdir())


def test_vendored_files__when_compared_with_npm__then_they_are_the_same_bytes() -> None:
    folder = HERE / "static" / "vendor"
    assert {path.name for path in folder.iterdir()} == set(VENDORED)
    for name, source in VENDORED.items():
        assert (folder / name).read_bytes() == source.read_bytes(), f"run scripts/vendor: {name} is not npm's"


def test_templates__when_compiled__then_each_is_well_formed() -> None:
    made = environment()
    assert made.autoescape is True
    for path in templates():
        made.get_template(path.name)


def test_templates__when_searched__then_nothing_is_inline_or_foreign_or_unescaped() -> None:
    forbidden = re.compile(r"\sstyle=|\son[a-z]+=|<style|javascript:|https?://|\|\s*safe\b|autoescape|<script(?! src=)")
    found = {path.name: forbidden.findall(path.read_text()) for path in templates()}
    assert {name: words for name, words in found.items() if words} == {}


def test_script__when_searched__then_it_makes_no_markup_from_text() -> None:
    text = (HERE / "static" / "explorer.js").read_text()
    assert re.findall(r"innerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == []
