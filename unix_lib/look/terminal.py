"""Shows items in a terminal; a picture where there are colours, two pixels a character."""

from collections.abc import Iterator

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table as RichTable
from rich.text import Text

from unix_lib.look.shown import Bar, Item, Picture, Shown, Span, Table

PICTURE_SIDE = 32  # pixels of a picture in a terminal
BAR_WIDTH = 64  # characters
HISTOGRAM_WIDTH = 40  # characters of the longest bar
TRAINED, CONTEXT, IMAGE = "black on green", "dim", "magenta"
TEXT_SHADES, IMAGE_SHADES = ("blue", "cyan"), ("magenta", "bright_magenta")


def print_shown(shown: Shown, console: Console) -> None:
    """Print all of it. Nothing in a text is taken for colours or links."""
    console.print(Text(shown.title, "bold"))
    console.print(Text(shown.lead))
    if shown.has_spans:
        console.print(Text.assemble(("trained", TRAINED), " ", ("not trained", CONTEXT)))
    for table in shown.tables:
        console.print(_table(table))
        console.print(Text(table.note))
    for histogram in shown.histograms:
        console.print(Text(f"\n{histogram.title}", "bold"))
        for low, high, count in histogram.bins:
            bar = "▇" * round(HISTOGRAM_WIDTH * count / histogram.most)
            console.print(Text(f"{low:>8,} to {high:<8,} {count:>9,} {bar}"))
    for item in shown.items:
        for line in _lines(item, colours=console.color_system is not None):
            console.print(line, soft_wrap=True)


def _table(table: Table) -> RichTable:
    drawn = RichTable(title=Text(table.title), title_justify="left")
    for heading in table.headings:
        drawn.add_column(heading, justify="right" if heading in table.numbers else "left")
    for row in table.rows:
        drawn.add_row(*(Text(plain(cell)) for cell in row))
    return drawn


def _lines(item: Item, *, colours: bool) -> Iterator[Text]:
    facts = ", ".join(f"{name} {value}" for name, value in item.facts.items())
    yield Text.assemble("\n", (plain(item.title), "bold"), "  ", (plain(facts), "dim"))
    if item.bar is not None:
        yield _bar(item.bar)
    for picture in item.pictures:
        yield Text(f"[{picture.rgb.shape[1]} x {picture.rgb.shape[0]} {plain(picture.caption)}]", "dim")
        if colours:
            yield _drawn(picture)
    for who, what in item.turns:
        yield Text.assemble((f"{who}: ", "bold"), plain(what))
    if item.spans:
        yield Text.assemble(*(_span(span, colours=colours) for span in item.spans))


def _span(span: Span, *, colours: bool) -> tuple[str, str]:
    text = plain(span.text)
    if not colours and span.trained:
        text = f"{{{text}}}"
    style = TRAINED if span.trained else CONTEXT
    return text, f"{style} italic" if span.image else style


def _bar(bar: Bar) -> Text:
    """A pack as long as it is full; documents in turn lighter and darker, text and images in their colours."""
    text, done, shown = Text("|"), 0, 0
    for number, piece in enumerate(bar.pieces):
        for tokens, shades, sign in ((piece.image_tokens, IMAGE_SHADES, "#"), (piece.text_tokens, TEXT_SHADES, "=")):
            done += tokens
            width = round(BAR_WIDTH * done / bar.length) - shown
            text.append(sign * width, shades[number % 2])
            shown += width
    return text.append(" " * (BAR_WIDTH - shown) + "|")


def _drawn(picture: Picture) -> Text:
    image = Image.fromarray(picture.rgb).resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    text = Text()
    for row in range(0, PICTURE_SIDE, 2):
        for column in range(PICTURE_SIDE):
            upper, lower = (_color(image, column, row + below) for below in (0, 1))
            text.append("▀", Style(color=upper, bgcolor=lower))
        text.append("\n")
    return text


def _color(image: Image.Image, column: int, row: int) -> Color:
    red, green, blue = image.getpixel((column, row))  # type: ignore[misc]  # RGB
    return Color.from_rgb(red, green, blue)


def plain(text: str) -> str:
    """A text without what a terminal would obey: control characters as escapes, line ends and tabs kept."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else repr(sign)[1:-1] for sign in text)
