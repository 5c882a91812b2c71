"""The page and the terminal show hostile texts as texts, and the page needs nothing from elsewhere."""

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from unix_lib.look.page import page_of
from unix_lib.look.shown import Bar, Item, Picture, Piece, Shown, Span
from unix_lib.look.terminal import plain, print_shown

HOSTILE = "</p></section><script>alert(1)</script><img src=x onerror='alert(2)'>\"'&amp;[red]{{ 7 * 7 }}"
VOID = {"meta", "img", "br", "link"}


class Reader(HTMLParser):
    """Elements that are opened and closed in turn, their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def shown() -> Shown:
    picture = Picture(np.zeros((4, 6, 3), dtype=np.uint8), HOSTILE)
    bar = Bar([Piece("text", 10, 0), Piece(HOSTILE, 5, 15)], length=40)
    item = Item(
        HOSTILE, {HOSTILE: HOSTILE}, [picture], [(HOSTILE, HOSTILE)], [Span(HOSTILE, 3, trained=True, image=False)], bar
    )
    return Shown(HOSTILE, HOSTILE, [item, Item("bare")])


def test_the_page_is_well_formed_and_hostile_texts_are_texts(shown: Shown) -> None:
    page = Reader(page_of(shown))
    assert page.open == []
    assert not {"script", "iframe", "object", "link"} & {tag for tag, _ in page.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) == 10
    alts = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    assert alts == [HOSTILE]


def test_the_page_needs_nothing_beside_it(shown: Shown) -> None:
    text = page_of(shown)
    page = Reader(text)
    addresses = [attributes[name] for _, attributes in page.elements for name in ("src", "href") if name in attributes]
    assert addresses and all(address and address.startswith("data:image/png;base64,") for address in addresses)
    assert not re.search(r"url\(|@import|https?://", text)


def test_a_bar_is_as_wide_as_the_pack_is_full(shown: Shown) -> None:
    widths = re.findall(r'<div style="width: ([\d.]+)%"', page_of(shown))
    assert [float(width) for width in widths] == [25.0, 50.0]


def test_a_terminal_is_told_nothing_by_a_text(shown: Shown) -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=200, markup=False, emoji=False)
    print_shown(Shown("t", "l", [Item("a", turns=[("text", "\x1b[2J\x07gone\u202e [red]x[/red]\nnext")])]), console)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "\x1b" not in printed and "\x07" not in printed and "\u202e" not in printed
    assert "\\x1b[2J\\x07gone\\u202e [red]x[/red]\nnext" in printed
    assert plain("größer 鹦鹉 🙂") == "größer 鹦鹉 🙂"


def test_what_is_trained_is_marked_without_colours_too(shown: Shown) -> None:
    for terminal in (False, True):
        console = Console(
            file=io.StringIO(), force_terminal=terminal, width=200, color_system="truecolor" if terminal else None
        )
        print_shown(shown, console)
        assert isinstance(console.file, io.StringIO)
        assert ("▀" in console.file.getvalue()) == terminal
        assert (f"{{{HOSTILE}}}" in console.file.getvalue()) != terminal
