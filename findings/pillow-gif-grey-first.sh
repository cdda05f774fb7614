#!/usr/bin/env bash
# Pillow: after a grey first frame, the later frames of a GIF lose their colours, even in a file that Pillow wrote.
#
# Expected: a frame of a GIF that has its own palette is shown in the colours of that palette, whatever the frame before it
# was. Thus it is if the first frame has any other palette.
#
# Happens: if the palette of the first frame is the plain ramp of greys (entry n is the grey n), the indices of all later
# frames are taken for greys and their own palettes are dropped. There is no error. A second frame that is half red and half
# blue has indices 0 and 1, so it comes out black. A colourful one comes out as grey in the order of its palette.
#
# Why: such a ramp counts as no palette (`GifImageFile._is_palette_needed` in PIL/GifImagePlugin.py), and the picture gets the
# mode "L". At a later frame only a picture of mode "P" is turned into RGB before the new frame is drawn. Here the new indices
# are written over the greys of the first frame. The mode is then called "P", but neither the samples nor the picture get a
# palette (`load_prepare`).
#
# Source: Pillow, version 13.0.0 (https://github.com/python-pillow/Pillow). Pull request 8924 there concerns the same
# ramps in a frame of the opposite kind, a grey one with transparency.
#
# Why it matters here: an animation that fades in from grey is hashed from black or scrambled frames. Frames with few colours
# all come out nearly black and get one hash, so they match each other and no longer the pictures that they show.
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
import sys

import PIL
from PIL import Image

SIDE = 256
RED, BLUE = (255, 0, 0), (0, 0, 255)


def second(first):
    """Writes an animation of `first` and a frame half blue and half red; gives the mode and colours of both as read."""
    halves = Image.new("RGB", (SIDE, SIDE), RED)
    halves.paste(BLUE, (0, 0, SIDE // 2, SIDE))
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=[halves])
    with Image.open(file) as picture:
        start = picture.mode
        picture.seek(1)
        read = picture.convert("RGB")
        return start, picture.mode, [read.getpixel((x, 9)) for x in (9, SIDE - 9)]


ramp = Image.linear_gradient("L")  # All 256 greys, so its palette in a GIF is the plain ramp.
tinted = Image.merge("RGB", (ramp, ramp, ramp.point(lambda grey: grey // 2)))
cases = {"grey": second(ramp), "tinted": second(tinted)}
print(f"version:   Pillow {PIL.__version__}")
print("behaviour: a second frame, half blue and half red, after a first frame of this kind")
for name, (start, mode, colours) in cases.items():
    print(f"{name}: first mode {start}, second mode {mode}, second colours {colours}")
dark = all(max(colour) <= 1 for colour in cases["grey"][2])
if cases["grey"][:2] == ("L", "P") and dark and cases["tinted"] == ("P", "RGB", [BLUE, RED]):
    print("as described: the colours are lost after a grey frame")
else:
    print("CHANGED: the behaviour is no longer as described", file=sys.stderr)
    sys.exit(1)
PYTHON
venv/bin/python show.py
