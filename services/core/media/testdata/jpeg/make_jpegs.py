#!/usr/bin/env python3
"""Makes the JPEGs of this folder, and expected.csv with what Pillow makes of each picture.

    apt-get install libjpeg-turbo-progs && pip install pillow==13.0.0 numpy
    python3 make_jpegs.py

The pictures are computed, so nobody's content is in the repository. Most of these forms are not written by Pillow: they are made with
`cjpeg` and `jpegtran`, or by moving bytes. `rgb_md5` is the digest of `seek(frame)` and `convert("RGB")`. The JPEGs of the
folder above are in the table too.
"""

import csv
import hashlib
import io
import pathlib
import struct
import subprocess
import tempfile

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 75, 58
ONE_BY_ONE = "0;1;2;"


def scene(seed=0):
    """Coloured waves and a disc."""
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    out = numpy.dstack([127 + 120 * numpy.sin((x * (c + 2) + y * (3 - c)) / 17 + seed + c) for c in range(3)])
    out[(x - 30) ** 2 + (y - 25) ** 2 < 250] = (250, 40, 20)
    return Image.fromarray(out.astype(numpy.uint8))


def cjpeg(*options, scans=None, quality=80):
    ppm = io.BytesIO()
    scene().save(ppm, "PPM")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(scans or "")
        file.flush()
        extra = ["-scans", file.name] if scans else []
        run = ["cjpeg", "-quality", str(quality), *options, *extra]
        return subprocess.run(run, input=ppm.getvalue(), capture_output=True, check=True).stdout


def jpegtran(content, *options):
    return subprocess.run(["jpegtran", *options], input=content, capture_output=True, check=True).stdout


def segments(content):
    """Marker, start and end of each segment up to the first scan."""
    at = 2
    while True:
        end = at + 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]
        yield content[at + 1], at, end
        if content[at + 1] == 0xDA:
            return
        at = end


def before(content, marker, extra):
    at = next(start for kind, start, _ in segments(content) if kind == marker)
    return content[:at] + extra + content[at:]


def without(content, marker):
    for kind, start, end in reversed(list(segments(content))):
        content = content[:start] + content[end:] if kind == marker else content
    return content


def make():
    plain = cjpeg()
    for factors in ("1x1", "1x2", "2x1", "2x2"):
        yield f"scan-per-component-{factors}.jpg", cjpeg("-sample", factors, scans=ONE_BY_ONE)
    yield "scan-order-reversed.jpg", cjpeg(scans="2;1;0;")
    yield "two-scans.jpg", cjpeg(scans="0 1;2;")
    yield "scan-per-component-restart.jpg", cjpeg("-restart", "3B", scans=ONE_BY_ONE)
    for factors in ("3x1", "3x2", "1x3", "4x1", "1x1,2x2,2x2", "2x1,1x2,1x1", "1x1,2x1,1x1"):
        yield f"sampling-{factors.replace(',', '-')}.jpg", cjpeg("-sample", factors)
    yield "sampling-3x1-progressive.jpg", cjpeg("-sample", "3x1", "-progressive")
    yield "arithmetic.jpg", jpegtran(plain, "-arithmetic")
    yield "arithmetic-progressive.jpg", jpegtran(plain, "-arithmetic", "-progressive")
    yield "stray-bytes.jpg", before(before(plain, 0xC4, b"between segments"), 0xDB, b"\x10\x7f\x33")
    yield "stray-restart-marker.jpg", before(plain, 0xC4, b"\xff\xd3")
    yield "stray-before-the-scan.jpg", before(plain, 0xDA, b"\x41\x42")
    yield "stray-before-the-end.jpg", plain[:-2] + b"\x21\x43\x65" + plain[-2:]
    yield "no-end-and-a-trailer.jpg", plain[:-2] + b"camera" * 90
    yield "no-huffman-tables.jpg", without(plain, 0xC4)
    for name, bytes_of in {"little": "<", "big": ">"}.items():
        second = io.BytesIO()
        scene(2).save(second, "JPEG", quality=70)
        yield f"two-pictures-{name}-endian.jpg", multi_picture(plain, second.getvalue(), bytes_of)


def multi_picture(first, second, order):
    """Two JPEGs in one file, with an index in the first."""
    directory = struct.pack(order + "HHLL", 0xB001, 4, 1, 2) + struct.pack(order + "HHLL", 0xB002, 7, 32, 38)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "LH", 8, 2) + directory + struct.pack(order + "L", 0)

    def segment(offset):
        entries = struct.pack(order + "LLLHH", 0x30000, len(first), 0, 0, 0)
        entries += struct.pack(order + "LLLHH", 0x20000, len(second), offset, 0, 0)
        body = b"MPF\0" + head + entries
        return b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body

    content = before(first, 0xDB, segment(0))
    index = content.index(b"MPF\0") + 4
    return before(first, 0xDB, segment(len(content) - index)) + second


def main():
    with (HERE / "expected.csv").open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["file", "frame", "rgb_md5"])
        files = dict(make())
        for name, content in files.items():
            (HERE / name).write_bytes(content)
        for path in sorted(HERE.parent.glob("*.jpg")):
            files["../" + path.name] = path.read_bytes()
        for name, content in files.items():
            image = Image.open(io.BytesIO(content))
            for frame in range(getattr(image, "n_frames", 1)):
                image.seek(frame)
                rows.writerow([name, frame, hashlib.md5(image.convert("RGB").tobytes()).hexdigest()])


if __name__ == "__main__":
    main()
