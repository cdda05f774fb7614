#!/usr/bin/env bash
# Pillow: of an interlaced animated PNG only the first frame can be read.
#
# Expected: an animation whose frames are interlaced (Adam7) gives the same pictures as the same animation without
# interlacing. The header of a PNG declares the interlacing once, for the frames in fdAT as well as for the frame in IDAT.
#
# Happens: the first frame is right. Loading a later frame raises "TypeError: function takes at most 3 arguments (4 given)".
# The number in the message grows with each attempt to load a frame. `is_animated` and `n_frames` are right. `seek` to the
# second frame does not raise, but loading the frame does. A `seek` that skips an interlaced frame also raises, because it
# loads the skipped frame.
#
# Why: at every load `PngImageFile.load_prepare` (PIL/PngImagePlugin.py) appends the flag for interlacing to the arguments of
# the decoder. These arguments belong to the file, not to the frame, so the second load passes the flag twice.
#
# Source: Pillow, version 13.0.0 (https://github.com/python-pillow/Pillow).
#
# Why it matters here: a program that compares frames of animations by hash and catches the errors of single frames keeps only
# the first frame. An animation with a harmless first frame is then not matched by its other frames. Also, callers do not
# expect a TypeError for a damaged picture (they expect OSError, SyntaxError, ValueError), so it can end a whole batch.
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
from PIL import Image

SIDE, FRAMES = 16, 3
# Adam7: first column, first row, step across, step down.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def pixel(frame, x, y):
    return bytes((x * 15, y * 15, frame * 80))


def pixels(frame, interlaced):
    rows = b""
    for left, top, across, down in PASSES if interlaced else ((0, 0, 1, 1),):
        for y in range(top, SIDE, down):
            rows += b"\0" + b"".join(pixel(frame, x, y) for x in range(left, SIDE, across))
    return zlib.compress(rows)


def png(frames, interlaced):
    """An animation of RGB frames that each cover the picture; a still picture if there is one frame."""
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, interlaced))
    if len(frames) > 1:
        out += chunk(b"acTL", struct.pack(">II", len(frames), 0))
    number = 0
    for at, frame in enumerate(frames):
        if len(frames) > 1:
            out += chunk(b"fcTL", struct.pack(">5I2H2B", number, SIDE, SIDE, 0, 0, 1, 10, 0, 0))
            number += 1
        if at == 0:
            out += chunk(b"IDAT", pixels(frame, interlaced))
        else:
            out += chunk(b"fdAT", struct.pack(">I", number) + pixels(frame, interlaced))
            number += 1
    return out + chunk(b"IEND", b"")


def read(data, index, frame):
    """Opens anew, loads the first frame and then the one at `index`."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        try:
            picture.seek(index)
            read = picture.convert("RGB").tobytes()
        except TypeError as error:
            return f"TypeError: {error}"
    return "right" if read == b"".join(pixel(frame, x, y) for y in range(SIDE) for x in range(SIDE)) else "wrong"


every = range(FRAMES)
seen = {
    "still, interlaced": [read(png([frame], 1), 0, frame) for frame in every],
    "animated, not interlaced": [read(png(every, 0), frame, frame) for frame in every],
    "animated, interlaced": [read(png(every, 1), frame, frame) for frame in every],
}
print(f"version:   Pillow {PIL.__version__}")
print(f"behaviour: what becomes of {FRAMES} frames, as stills and in an animation")
for name, results in seen.items():
    print(f"{name}: {'; '.join(results)}")
right = ["right"] * FRAMES
first, *later = seen["animated, interlaced"]
as_described = (
    seen["still, interlaced"] == seen["animated, not interlaced"] == right
    and first == "right"
    and all(result.startswith("TypeError") for result in later)
)
if as_described:
    print("as described: later interlaced frames cannot be loaded")
else:
    print("CHANGED: the behaviour is no longer as described", file=sys.stderr)
    sys.exit(1)
PYTHON
venv/bin/python show.py
