#!/usr/bin/env bash
# Pillow: after a grey first frame, the second frame of a GIF loses its colours, even in a file that Pillow wrote.
#
# Expected: a frame of a GIF that has its own palette is shown in the colours of that palette, whatever the previous frame
# was. Pillow does so if the first frame has any other palette than the one below.
#
# Happens: if the palette of the first frame is the plain ramp of greys (entry n is the grey n), the indices of the second frame
# are read as greys and the second frame's own palette is dropped. There is no error. A second frame that is half red and half
# blue has the indices 0 and 1, so it comes out black. A frame of many colours comes out grey, in the order of its palette. From
# the third frame on the colours are right again, except where a frame does not cover parts of the second frame.
#
# Why: Pillow treats such a ramp as no palette (`GifImageFile._is_palette_needed` in PIL/GifImagePlugin.py), and gives the picture
# the mode "L". At a later frame Pillow converts the picture to RGB before it draws the new frame, but only a picture of mode
# "P". So the second frame's indices are written over the greys of the first frame. The mode is then "P", but neither the samples
# nor the picture have a palette (`load_prepare`). At the third frame the picture has the mode "P" and is converted to RGB, as
# greys.
#
# Source: Pillow, version 13.0.0 (https://github.com/python-pillow/Pillow).
#
# Why it matters here: if the second frame has the content and the first frame is a grey title, the hash is computed from black
# or scrambled pixels. All frames of few colours come out nearly black and get one hash, so they match each other, but no
# longer match the pictures that they show.
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
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def halves(left, right):
    picture = Image.new("RGB", (SIDE, SIDE), right)
    picture.paste(left, (0, 0, SIDE // 2, SIDE))
    return picture


def frames(first):
    """Writes an animation of `first` and two frames of two colours; gives each frame's mode and colours as read."""
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=[halves(BLUE, RED), halves(YELLOW, GREEN)])
    result = []
    with Image.open(file) as picture:
        for number in range(3):
            picture.seek(number)
            read = picture.convert("RGB")
            result.append((picture.mode, read.getpixel((9, 9)), read.getpixel((SIDE - 9, 9))))
    return result


ramp = Image.linear_gradient("L")  # All 256 greys, so its palette in a GIF is the plain ramp.
tinted = Image.merge("RGB", (ramp, ramp, ramp.point(lambda grey: grey // 2)))
cases = {"grey": frames(ramp), "tinted": frames(tinted)}
print(f"version:   Pillow {PIL.__version__}")
print("behaviour: mode, left and right colour of the frames after a first one of this kind; written: blue, red; yellow, green")
for name, (start, second, third) in cases.items():
    print(f"{name}, mode {start[0]}: second {second}, third {third}")
(grey, second, third), (tint, *others) = cases["grey"], cases["tinted"]
is_black = max(second[1] + second[2]) <= 1
right = [("RGB", BLUE, RED), ("RGB", YELLOW, GREEN)]
if grey[0] == "L" and second[0] == "P" and is_black and third == right[1] and tint[0] == "P" and others == right:
    print("as described: the second frame's colours are lost after a grey frame")
else:
    print("CHANGED: the behaviour is no longer as described", file=sys.stderr)
    sys.exit(1)
PYTHON
venv/bin/python show.py
