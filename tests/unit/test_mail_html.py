"""The HTML of a mail, for everybody who reads it: by ear, in the dark, on a small screen; nothing is loaded."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest

from app.domain.notifications.letters import Kind, Letter, Role
from tests.unit.mail_samples import EVERY, full, part

_VOID = {"meta", "br", "link", "img", "input", "hr"}
Colours = tuple[str, str]


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    # colour and ground, as they are and in the dark
    light: Colours
    dark: Colours
    text: str = ""

    @property
    def style(self) -> dict[str, str]:
        return declarations(self.attributes.get("style") or "")


def declarations(text: str) -> dict[str, str]:
    pairs = (each.split(":", 1) for each in text.replace("!important", "").split(";") if ":" in each)
    return {name.strip(): value.strip() for name, value in pairs}


class Page(HTMLParser):
    """Elements with the colours that they have by inheritance, inline style and, in the dark, their class."""

    def __init__(self, text: str) -> None:
        super().__init__()
        (self.css,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        (dark,) = re.findall(r"@media \(prefers-color-scheme: dark\) \{(.*)\}", self.css, re.DOTALL)
        self.rules = {name: declarations(rule) for name, rule in re.findall(r"\.(\w+) \{([^}]*)\}", dark)}
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        outer = self.open[-1] if self.open else Element("", {}, ("#000000", "#ffffff"), ("#ffffff", "#000000"))
        element = Element(tag, dict(attrs), outer.light, outer.dark)
        rule = self.rules.get(element.attributes.get("class") or "", {})
        element.light = self.applied(outer.light, element.style)
        # an inline colour that no rule for the dark takes back stays
        element.dark = self.applied(outer.dark, {**element.style, **rule})
        self.elements.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.open[-1].text += data.strip()

    @staticmethod
    def applied(outer: Colours, style: dict[str, str]) -> Colours:
        return style.get("color", outer[0]), style.get("background-color", outer[1])

    def all(self, tag: str) -> list[Element]:
        return [each for each in self.elements if each.tag == tag]


def page(of: Letter) -> Page:
    return Page(part(of, "html"))


def contrast(colours: Colours) -> float:
    """WCAG 2.2, "contrast ratio"."""
    first, second = sorted(map(luminance, colours), reverse=True)
    return (first + 0.05) / (second + 0.05)


def luminance(colour: str) -> float:
    assert re.fullmatch("#[0-9a-f]{6}", colour), colour
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_measure_of_contrast() -> None:
    assert contrast(("#000000", "#ffffff")) == pytest.approx(21)
    assert contrast(("#767676", "#ffffff")) == pytest.approx(4.54, abs=0.01)
    assert contrast(("#ffffff", "#1a56db")) == contrast(("#1a56db", "#ffffff"))


every = pytest.mark.parametrize(("kind", "role"), EVERY)


@every
def test_all_text_can_be_read_in_light_and_dark(kind: Kind, role: Role) -> None:
    shown = [each for each in page(full(kind, role, "en")).elements if each.text and each.tag not in {"style", "title"}]
    assert {"h1", "p", "dt", "dd", "a"} >= {each.tag for each in shown} - {"div"}
    for each in shown:
        assert contrast(each.light) >= 4.5, (each, "light")
        assert contrast(each.dark) >= 4.5, (each, "dark")


@every
def test_every_inline_colour_is_changed_in_the_dark(kind: Kind, role: Role) -> None:
    """And who has a ground has a colour of their own: a client that turns one of them turns both."""
    found = page(full(kind, role, "en"))
    for each in found.elements:
        coloured = {"color", "background-color"} & each.style.keys()
        if coloured:
            assert coloured <= found.rules[each.attributes["class"] or ""].keys(), each
        assert "background-color" not in coloured or "color" in coloured, each


@every
def test_a_screen_reader_finds_its_way(kind: Kind, role: Role) -> None:
    for locale in ("en", "de"):
        found = page(full(kind, role, locale))
        assert [each.attributes["lang"] for each in found.all("html")] == [locale]
        assert len(found.all("h1")) == len(found.all("title")) == 1
        assert found.all("h1")[0].text
        assert found.all("title")[0].text
        assert [each.attributes["role"] for each in found.all("table")] == ["presentation"] * 2
        assert len(found.all("dt")) == len(found.all("dd"))
        assert all(each.text for each in (*found.all("a"), *found.all("dt")))
        # no two links of the same name that lead to two places
        assert len({each.text for each in found.all("a")}) == len(found.all("a"))


@every
def test_nothing_is_loaded_and_nothing_runs(kind: Kind, role: Role) -> None:
    found = page(full(kind, role, "en"))
    allowed = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "div",
        "table",
        "tr",
        "td",
        "h1",
        "p",
        "dl",
        "dt",
        "dd",
    }
    assert {each.tag for each in found.elements} <= allowed | {"a", "br"}
    for each in found.elements:
        assert not [
            name for name in each.attributes if name.startswith("on") or name in {"src", "srcset", "background"}
        ]
        assert not re.search(r"url\(|expression|@import", each.attributes.get("style") or "")
        assert each.attributes.get("http-equiv") is None
    assert not re.search(r"url\(|@import|@font-face", found.css)


@every
def test_a_client_is_told_of_both_schemes(kind: Kind, role: Role) -> None:
    found = {
        each.attributes.get("name"): each.attributes.get("content") for each in page(full(kind, role, "en")).all("meta")
    }
    assert found["color-scheme"] == found["supported-color-schemes"] == "light dark"
    assert found["viewport"] == "width=device-width, initial-scale=1"


@every
def test_it_fits_a_small_screen(kind: Kind, role: Role) -> None:
    for each in page(full(kind, role, "en")).elements:
        assert each.attributes.get("width") in {None, "100%"}
        assert not {"width", "min-width", "white-space", "float", "position"} & each.style.keys()
    (cell,) = (each for each in page(full(kind, role, "en")).all("td") if "font-size" in each.style)
    assert cell.style["overflow-wrap"] == "anywhere"


@every
def test_a_finger_hits_each_button(kind: Kind, role: Role) -> None:
    """44 pixels: its line, and its padding and border on both sides."""
    for each in page(full(kind, role, "en")).all("a"):
        if each.attributes["class"] in {"go", "quiet", "stop"}:
            assert int(each.style["padding"].split("px")[0]) * 2 + 24 >= 44
            assert each.style["display"] == "block"
