#!/usr/bin/env bash
# Pillow: the same samples of a TIFF give other pixels with compression than without, in two layouts.
#
# Expected: compression changes no pixel. A layout that cannot be read is an error.
#
# Happens, in both cases without error or warning:
# 1. Grey, big-endian ("MM"), compressed, of signed 16 bits, signed 32 bits or floating point: the bytes of each sample are
#    reversed. Uncompressed files are right, and so are files of unsigned 16 bits and little-endian files.
# 2. RGB of 16 bits in separate planes (PlanarConfiguration 2), uncompressed: each byte is read as a pixel. Columns are alternately
#    high and low bytes, a row holds half a row of the picture, and the lower half of the picture is lost. Compressed planes
#    are right, and so are interleaved channels.
#
# Why: `TiffImageFile._setup` (PIL/TiffImagePlugin.py) derives one raw mode from the tags for two readers: libtiff for compressed
# files, and Pillow's own reader for the others. It adapts this mode to each reader incompletely.
# 1. libtiff returns numbers in the machine's byte order. `_setup` removes the mark of big-endian samples from `I;16` and from modes
#    that end in `;16B` or `;16L`, but not from `I;16BS`, `I;32BS` and `F;32BF`: these are swapped twice (on a little-endian machine).
# 2. For a plane Pillow's own reader gets one letter of the raw mode, `R` of `RGB;16L`, which means 8 bits. libtiff does not use it.
#
# Source: Pillow, version 13.0.0 (https://github.com/python-pillow/Pillow).
#
# Why it matters here: elevation data, scans and scientific pictures are such files. Swapped samples are noise, or flat black if
# small numbers become nearly zero; planes that are read byte by byte are half a picture with stripes. A hash of such pixels matches
# no other copy, or, if they are flat black, every other flat picture.
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
ORDERS = {"little-endian": "<", "big-endian": ">"}
COMPRESSIONS = {"uncompressed": 1, "deflate": 8}
as_described = True


def tiff(order, compression, letter, sample_format, strips, samples):
    """A TIFF of strips of numbers: one of all `samples` of each pixel, or one for each sample."""
    packed = [struct.pack(f"{order}{len(strip)}{letter}", *strip) for strip in strips]
    packed = [zlib.compress(strip) if compression == 8 else strip for strip in packed]
    out, offsets = b"", []
    for strip in packed:
        offsets.append(8 + len(out))
        out += strip + b"\0" * (len(strip) % 2)
    entries = (
        (256, "H", [SIDE]),  # ImageWidth
        (257, "H", [SIDE]),  # ImageLength
        (258, "H", [8 * struct.calcsize(order + letter)] * samples),  # BitsPerSample
        (259, "H", [compression]),
        (262, "H", [1 if samples == 1 else 2]),  # PhotometricInterpretation: BlackIsZero or RGB
        (273, "I", offsets),  # StripOffsets
        (277, "H", [samples]),  # SamplesPerPixel
        (278, "H", [SIDE]),  # RowsPerStrip
        (279, "I", [len(strip) for strip in packed]),  # StripByteCounts
        (284, "H", [1 if len(strips) == 1 else 2]),  # PlanarConfiguration
        (339, "H", [sample_format] * samples),
    )
    directory = 8 + len(out)
    listed, after = struct.pack(order + "H", len(entries)), b""
    start = directory + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        value = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(value) > 4:
            at = start + len(after)
            after += value + b"\0" * (len(value) % 2)
            value = struct.pack(order + "I", at)
        listed += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + value.ljust(4, b"\0")
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", directory)
    return header + out + listed + bytes(4) + after


def show(name, order, compression, wanted, wrong, is_struck, *layout):
    """Reads one file, and compares its pixels with those wanted and with those described."""
    global as_described
    with Image.open(io.BytesIO(tiff(ORDERS[order], COMPRESSIONS[compression], *layout))) as picture:
        pixels = [picture.getpixel(place) for place in PLACES]
    result = "right" if pixels == wanted else "as described" if pixels == wrong else "wrong"
    print(f"   {name}, {order}, {compression}: {picture.mode}, {result}, {pixels[:3]}")
    as_described &= result == ("as described" if is_struck else "right")


print(f"version:   Pillow {PIL.__version__}, libtiff {features.version('libtiff')}, {sys.byteorder}-endian machine")
VALUES = [3 * number + 1 for number in range(SIDE * SIDE)]
print(f"1. grey samples {VALUES[:3]} and so on")
for name, sample_format, letter in (
    ("unsigned 16", 1, "H"), ("signed 16", 2, "h"), ("signed 32", 2, "i"), ("float 32", 3, "f")
):
    swapped = list(struct.unpack(f">{len(VALUES)}{letter}", struct.pack(f"<{len(VALUES)}{letter}", *VALUES)))
    for order in ORDERS:
        for compression in COMPRESSIONS:
            is_struck = name != "unsigned 16" and order == "big-endian" and compression == "deflate"
            show(name, order, compression, VALUES, swapped, is_struck, letter, sample_format, [VALUES], 1)

# An 8-bit picture keeps the high bytes; all low bytes are 200.
CHANNELS = [[256 * (3 * x + 20 * y + 5 * channel) + 200 for x, y in PLACES] for channel in range(3)]
WANTED = [tuple(channel[at] >> 8 for channel in CHANNELS) for at in range(len(PLACES))]
INTERLEAVED = [[sample for samples in zip(*CHANNELS) for sample in samples]]
print(f"2. RGB of 16 bits whose high bytes are {WANTED[:3]} and so on")
for name, strips in (("interleaved", INTERLEAVED), ("planes", CHANNELS)):
    for order in ORDERS:
        planes = [struct.pack(f"{ORDERS[order]}{len(channel)}H", *channel) for channel in CHANNELS]
        by_bytes = [tuple(plane[at] for plane in planes) for at in range(len(PLACES))]
        for compression in COMPRESSIONS:
            is_struck = name == "planes" and compression == "uncompressed"
            show(name, order, compression, WANTED, by_bytes, is_struck, "H", 1, strips, 3)

if as_described:
    print("as described: compression changes the pixels of these layouts")
else:
    print("CHANGED: the behaviour is no longer as described", file=sys.stderr)
    sys.exit(1)
PYTHON
venv/bin/python show.py
