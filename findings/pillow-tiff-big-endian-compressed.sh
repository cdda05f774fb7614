#!/usr/bin/env bash
# Pillow: samples of a compressed big-endian TIFF have their bytes swapped if they are signed or floating-point numbers.
#
# Expected: a grey TIFF has the same samples whether it is compressed or not, and in either order of bytes.
#
# Happens: signed 16-bit, signed 32-bit and 32-bit floating-point samples of a big-endian file ("MM") come out with their
# bytes in reverse as soon as the file is compressed. There is no error and no warning. Unsigned 16-bit samples are right,
# little-endian files are right, and so are uncompressed files.
#
# Why: libtiff, which reads all compressed files, already gives numbers in the machine's order. `TiffImageFile._setup`
# (PIL/TiffImagePlugin.py) allows for this in the raw modes `I;16` and those that end in `;16B` or `;16L`. The modes
# `I;16BS`, `I;32BS` and `F;32BF` keep their mark of big-endian samples, so the bytes are swapped a second time. Seen on a
# little-endian machine.
#
# Source: Pillow, version 13.0.0 (https://github.com/python-pillow/Pillow).
#
# Why it matters here: elevations, scans and scientific pictures come as such files. A signed picture turns into noise. One of
# small whole numbers as floating-point numbers becomes nearly zero throughout, thus flat black. The hash is then that of noise
# or the one that all flat pictures share, and two files with equal samples do not match.
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
# Name: SampleFormat, letter of `struct`.
KINDS = {"unsigned 16": (1, "H"), "signed 16": (2, "h"), "signed 32": (2, "i"), "float 32": (3, "f")}
VALUES = [3 * number + 1 for number in range(SIDE * SIDE)]
NONE, DEFLATE = 1, 8


def tiff(order, kind, compression):
    """A grey TIFF of one strip."""
    sample_format, letter = KINDS[kind]
    pixels = struct.pack(f"{order}{len(VALUES)}{letter}", *VALUES)
    if compression == DEFLATE:
        pixels = zlib.compress(pixels)
    entries = (
        (256, "H", SIDE),  # ImageWidth
        (257, "H", SIDE),  # ImageLength
        (258, "H", 8 * struct.calcsize(order + letter)),  # BitsPerSample
        (259, "H", compression),
        (262, "H", 1),  # PhotometricInterpretation: BlackIsZero
        (273, "I", 8),  # StripOffsets
        (277, "H", 1),  # SamplesPerPixel
        (278, "H", SIDE),  # RowsPerStrip
        (279, "I", len(pixels)),  # StripByteCounts
        (282, "R", None),  # XResolution
        (283, "R", None),  # YResolution
        (296, "H", 1),  # ResolutionUnit: none
        (339, "H", sample_format),
    )
    pixels += b"\0" * (len(pixels) % 2)
    directory = 8 + len(pixels)
    after = directory + 2 + 12 * len(entries) + 4
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", directory) + pixels
    out += struct.pack(order + "H", len(entries))
    for tag, letter, value in entries:
        kind, letter, value = (5, "I", after) if letter == "R" else ({"H": 3, "I": 4}[letter], letter, value)
        out += struct.pack(order + "HHI", tag, kind, 1) + struct.pack(order + letter, value).ljust(4, b"\0")
    return out + bytes(4) + struct.pack(order + "II", 1, 1)


def read(*arguments):
    with Image.open(io.BytesIO(tiff(*arguments))) as picture:
        samples = [picture.getpixel((x, y)) for y in range(SIDE) for x in range(SIDE)]
    if samples == VALUES:
        return "right", samples
    letter = KINDS[arguments[1]][1]
    swapped = struct.unpack(f">{len(VALUES)}{letter}", struct.pack(f"<{len(VALUES)}{letter}", *VALUES))
    return ("swapped" if samples == list(swapped) else "wrong"), samples


print(f"version:   Pillow {PIL.__version__}, libtiff {features.version('libtiff')}, {sys.byteorder}-endian machine")
print(f"behaviour: the samples read from a grey TIFF whose samples are {VALUES[:4]} and so on")
as_described = True
for kind in KINDS:
    for order, order_name in (("<", "little-endian"), (">", "big-endian")):
        for compression, compression_name in ((NONE, "uncompressed"), (DEFLATE, "deflate")):
            result, samples = read(order, kind, compression)
            print(f"{kind}, {order_name}, {compression_name}: {result}, {samples[:4]}")
            is_struck = kind != "unsigned 16" and order == ">" and compression == DEFLATE
            as_described &= result == ("swapped" if is_struck else "right")
if as_described:
    print("as described: compressed big-endian samples are swapped if they are signed or floating-point")
else:
    print("CHANGED: the behaviour is no longer as described", file=sys.stderr)
    sys.exit(1)
PYTHON
venv/bin/python show.py
