#!/usr/bin/env bash
# Pillow: a first GIF frame with a local palette of greys is shown in the colours of the global palette.
#
# Expected: a frame that has a local palette is shown in that palette. The global palette is for frames without a local one.
#
# Happens: if the local palette of the first frame is the plain ramp of greys (entry n is the grey n) and the file also has a
# global palette, the frame is opened with mode "L", as it should be, but `convert("RGB")` gives the colours of the global
# palette. There is no error. If one entry of the local palette is changed, all other entries are right. Without a global
# palette the ramp is right, too. One frame is enough; the file need not be animated.
#
# Why: Pillow treats such a ramp as no palette (`GifImageFile._is_palette_needed` in PIL/GifImagePlugin.py). It chooses the mode
# accordingly, but for the palette of the picture it then falls back to the global palette, and applies that to the grey samples.
#
# Source: Pillow, version 13.0.0 (https://github.com/python-pillow/Pillow). Pull request 6576 of that repository fixes the same
# fallback for later frames.
#
# Why it matters here: the first frame is the frame that is hashed of a still picture. A picture in wrong colours
# has another lightness, so its hash is not the hash of the picture that browsers show.
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

import PIL
from PIL import Image

SIDE = 8
INDICES = range(SIDE * SIDE)
RAMP = [(index, index, index) for index in range(256)]
NEAR_RAMP = [*RAMP[:-1], (255, 255, 254)]  # The entry that differs is not used.
COLOURS = [(255 - index, index, 128) for index in range(256)]


def packed():
    """The indices as LZW codes of 9 bits, which stay that long as the table begins anew before it has 512 entries."""
    bits = "".join(f"{code:09b}"[::-1] for code in (256, *INDICES, 257))
    bits += "0" * (-len(bits) % 8)
    block = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    return b"\x08" + bytes([len(block)]) + block + b"\0"


def gif(shared, own):
    """A still picture; `shared` is the global palette and `own` the local one, either of 256 colours or None."""
    screen = struct.pack("<HHBBB", SIDE, SIDE, 0xF7 if shared else 0x70, 0, 0)
    frame = b"," + struct.pack("<4HB", 0, 0, SIDE, SIDE, 0x87 if own else 0)
    first, second = (b"".join(map(bytes, palette or ())) for palette in (shared, own))
    return b"GIF89a" + screen + first + frame + second + packed() + b";"


def read(shared, own):
    """The mode, and which palette the pixels are taken from."""
    with Image.open(io.BytesIO(gif(shared, own))) as picture:
        mode, rgb = picture.mode, picture.convert("RGB")
    pixels = [rgb.getpixel((index % SIDE, index // SIDE)) for index in INDICES]
    palettes = (name for name, palette in (("local", own), ("global", shared)) if palette)
    wanted = {"local": own, "global": shared}
    return mode, next((name for name in palettes if pixels == [wanted[name][index] for index in INDICES]), "neither")


seen = {
    "local ramp, no global": read(None, RAMP),
    "local ramp but for one entry, global colours": read(COLOURS, NEAR_RAMP),
    "local ramp, global colours": read(COLOURS, RAMP),
    "local colours, global ramp": read(RAMP, COLOURS),
}
print(f"version:   Pillow {PIL.__version__}")
print("behaviour: the mode of a still GIF, and the palette that its RGB pixels are taken from")
for name, (mode, palette) in seen.items():
    print(f"{name}: {mode}, {palette}")
if list(seen.values()) == [("L", "local"), ("P", "local"), ("L", "global"), ("P", "local")]:
    print("as described: the local ramp of greys is not used beside a global palette")
else:
    print("CHANGED: the behaviour is no longer as described", file=sys.stderr)
    sys.exit(1)
PYTHON
venv/bin/python show.py
