"""What a file is by its bytes: which formats are read, which are known but not read, and whether a file is cut off."""

from typing import Literal

# How an image becomes square.
Resize = Literal["crop", "pad", "stretch"]

# Only formats whose decoders are plain and common: a stranger's file must not choose the decoder. AVIF is none of them,
# since whether Pillow has its decoder depends on how Pillow was built.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
EXTENSIONS = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".heic", ".heif", ".avif", ".jxl", ".jp2"}  # not read, but images, which are told when they are left out
)

PNG = b"\x89PNG\r\n\x1a\n"
# How whole files of some formats begin and end, the rest of a camera's notes behind them aside.
ENDS = {PNG: b"IEND", b"\xff\xd8\xff": b"\xff\xd9", b"GIF8": b";"}
LONGEST_REST = 64  # bytes

NOT_READ = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "PSD",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"DDS ": "DDS",
    b"qoif": "QOI",
    b"\0\0\x01\0": "ICO",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG or other XML",
    **{b"P%d" % digit: "PNM" for digit in range(1, 7)},
}
# By the brand of a file in the ISO base media format, behind b"ftyp" at byte 4.
BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "CR3"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)

TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def format_not_read(begins: bytes) -> str | None:
    """The name of the format of a file that is an image, but of a format that is not read; by its first bytes."""
    if begins[4:8] == b"ftyp":
        return BRANDS.get(begins[8:12], "ISO media")
    return next((name for begin, name in NOT_READ.items() if begins.startswith(begin)), None)


def is_cut_off(begins: bytes, rest: bytes) -> bool:
    """Whether the end of a file is missing, where its format has one; by its first and last `LONGEST_REST` bytes."""
    return any(begins.startswith(begin) and end not in rest for begin, end in ENDS.items())


def without_texts(data: bytes) -> bytes | None:
    """A PNG without its texts and colour profile, which no pixel depends on; None where there is nothing to leave out.

    They may be larger than Pillow reads.
    """
    if not data.startswith(PNG):
        return None
    kept, place = [PNG], len(PNG)
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4])  # length, kind, data, checksum
        if data[place + 4 : place + 8] not in TEXT_CHUNKS:
            kept.append(data[place:end])
        place = end
    bare = b"".join(kept)
    return bare if len(bare) < len(data) else None
