#!/usr/bin/env bash
# Pillow: an uncompressed TIFF of 16-bit RGB in separate planes is read as if its samples had 8 bits.
#
# Expected: a TIFF gives the same pixels whether its channels are interleaved or stand in planes of their own
# (PlanarConfiguration 2), and whether it is compressed or not. If a reader cannot read one of these, it says so.
#
# Happens: where the planes are not compressed, each byte is taken for a pixel. The two bytes of a sample stand side by side, so
# every other column is made of low bytes. A row of the result holds half a row of the picture, left and right halves by turns,
# and the lower half of the picture is lost. There is no error and no warning. The same planes compressed with deflate are
# right, and so are interleaved channels.
#
# Why: for each plane `TiffImageFile._setup` (PIL/TiffImagePlugin.py) takes one letter of the raw mode of the whole picture:
# `R` of `RGB;16L` or of `RGB;16B`. That says 8 bits. libtiff reads the compressed files and does not use that letter.
#
# Source: Pillow, version 13.0.0 (https://github.com/python-pillow/Pillow).
#
# Why it matters here: the picture that is hashed is the upper half of the real one, with its left and right parts mixed row by
# row and striped with the noise of the low bytes. It does not match the same picture from any other file, and nothing tells
# that the pixels are wrong.
#
# Needs python3 with venv, and the package registry or its local cache. No Vigie code. Fails if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pillow==13.0.0
cat > show.py <<'PYTHON'
import io
import struct
import sys
import zlib

import PIL
from PIL import Image, features

SIDE = 8
PLACES = [(x, y) for y in range(SIDE) for x in range(SIDE)]
# Three channels of 16 bits; the high bytes are what an 8-bit picture keeps, the low ones are all 200.
CHANNELS = [[256 * (3 * x + 20 * y + 5 * channel) + 200 for x, y in PLACES] for channel in range(3)]
WANTED = [tuple(channel[at] >> 8 for channel in CHANNELS) for at in range(len(PLACES))]
INTERLEAVED, PLANES = 1, 2
NONE, DEFLATE = 1, 8


def tiff(order, arrangement, compression):
    """An RGB TIFF with one strip, or one for each plane."""
    parts = CHANNELS if arrangement == PLANES else [[sample for samples in zip(*CHANNELS) for sample in samples]]
    strips = [struct.pack(f"{order}{len(part)}H", *part) for part in parts]
    if compression == DEFLATE:
        strips = [zlib.compress(strip) for strip in strips]
    out, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(out))
        out += strip + b"\0" * (len(strip) % 2)
    entries = (
        (256, "H", [SIDE]),  # ImageWidth
        (257, "H", [SIDE]),  # ImageLength
        (258, "H", [16] * 3),  # BitsPerSample
        (259, "H", [compression]),
        (262, "H", [2]),  # PhotometricInterpretation: RGB
        (273, "I", offsets),  # StripOffsets
        (277, "H", [3]),  # SamplesPerPixel
        (278, "H", [SIDE]),  # RowsPerStrip
        (279, "I", [len(strip) for strip in strips]),  # StripByteCounts
        (282, "R", [1, 1]),  # XResolution
        (283, "R", [1, 1]),  # YResolution
        (284, "H", [arrangement]),  # PlanarConfiguration
        (296, "H", [1]),  # ResolutionUnit: none
    )
    directory = 8 + len(out)
    listed, after = struct.pack(order + "H", len(entries)), b""
    start = directory + 2 + 12 * len(entries) + 4
    for tag, letter, values in entries:
        kind, letter, count = {"H": (3, "H", len(values)), "I": (4, "I", len(values)), "R": (5, "I", 1)}[letter]
        value = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(value) > 4:
            after += value + b"\0" * (len(value) % 2)
            value = struct.pack(order + "I", start + len(after) - len(value) - len(value) % 2)
        listed += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", directory)
    return header + out + listed + bytes(4) + after


def by_bytes(order):
    """The pixels if each plane is read as bytes."""
    planes = [struct.pack(f"{order}{len(channel)}H", *channel) for channel in CHANNELS]
    return [tuple(plane[at] for plane in planes) for at in range(len(PLACES))]


print(f"version:   Pillow {PIL.__version__}, libtiff {features.version('libtiff')}")
print(f"behaviour: the pixels read from an RGB TIFF of 16 bits whose high bytes are {WANTED[:3]} and so on")
as_described = True
for order, order_name in (("<", "little-endian"), (">", "big-endian")):
    for arrangement, arrangement_name in ((INTERLEAVED, "interleaved"), (PLANES, "planes")):
        for compression, compression_name in ((NONE, "uncompressed"), (DEFLATE, "deflate")):
            with Image.open(io.BytesIO(tiff(order, arrangement, compression))) as picture:
                pixels = [picture.getpixel(place) for place in PLACES]
            result = "right" if pixels == WANTED else "bytes for pixels" if pixels == by_bytes(order) else "wrong"
            print(f"{order_name}, {arrangement_name}, {compression_name}: {picture.mode}, {result}, {pixels[:3]}")
            is_struck = arrangement == PLANES and compression == NONE
            as_described &= result == ("bytes for pixels" if is_struck else "right")
if as_described:
    print("as described: uncompressed planes of 16 bits are read as bytes")
else:
    print("CHANGED: the behaviour is no longer as described", file=sys.stderr)
    sys.exit(1)
PYTHON
venv/bin/python show.py
