#!/usr/bin/env python3
"""Makes the animations of this folder, and expected.csv with what Pillow makes of each frame.

    pip install pillow==13.0.0 numpy
    python3 make_frames.py

The pictures are computed, so nobody's content is in the repository. Files are assembled here, as Pillow does not write most of these
forms. Columns: `time_ms` is empty for a file of one frame, and for a default image that is no part of its animation; `rgb_md5` is the
digest of `seek(frame)` and `convert("RGB")`; `indices_md5` that of the palette indices, where Pillow's picture has some.
"""

import csv
import hashlib
import io
import itertools
import pathlib
import random
import struct
import zlib

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 24, 18
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# Left, top, width, height of the frames of an animation.
PLACES = ((0, 0, WIDTH, HEIGHT), (3, 2, 12, 9), (8, 5, 16, 13), (0, 0, WIDTH, HEIGHT), (10, 1, 5, 14))


def shapes(width, height, levels, seed):
    """Bands and a disc in whole numbers below `levels`."""
    y, x = numpy.mgrid[0:height, 0:width]
    bands = (x * (seed % 3 + 1) + y * (seed % 2 + 1)) // 3
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2
    return numpy.where(disc, bands + seed * 5 + 1, bands) % levels


def lzw(indices, bits):
    """Codes of one length: a clear code comes before the length would grow."""
    clear, value, length, out = 1 << bits, 0, 0, bytearray()
    run = max(1, clear - 2)
    codes = itertools.chain.from_iterable([clear, *indices[n : n + run]] for n in range(0, len(indices), run))
    for code in itertools.chain(codes, [clear + 1]):
        value |= code << length
        length += bits + 1
        while length >= 8:
            out.append(value & 255)
            value, length = value >> 8, length - 8
    out.append(value)
    blocks = (out[n : n + 255] for n in range(0, len(out), 255))
    return bytes([bits]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def palette(count, seed):
    return random.Random(seed).randbytes(3 * count)


def gif(images, screen=(WIDTH, HEIGHT), table=palette(16, 1), background=3):
    """An image is (place, options): disposal, clear (the transparent index), table, interlaced, delay."""
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x83 if table else 0, background, 0) + table
    for seed, (place, options) in enumerate(images):
        clear, own = options.get("clear"), options.get("table", b"")
        flags = options.get("disposal", 0) << 2 | (clear is not None)
        out += b"!\xf9\x04" + struct.pack("<BHB", flags, options.get("delay", 4 + seed), clear or 0) + b"\0"
        interlaced = options.get("interlaced", False)
        flags = 0x40 * interlaced | (0x83 if own else 0)
        out += b"," + struct.pack("<4HB", *place, flags) + own
        rows = shapes(place[2], place[3], 16, seed).tolist()
        if interlaced:
            rows = rows[0::8] + rows[4::8] + rows[2::4] + rows[1::2]
        out += lzw([index for row in rows for index in row], 4)
    return out + b";"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(width, height, depth, channels, interlaced, levels, seed):
    samples = numpy.dstack([shapes(width, height, levels, seed + n) * (1 if levels < 256 else 11) for n in range(channels)])
    samples %= levels
    rows = b""
    for x, y, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
        part = samples[y::dy, x::dx]
        for row in part.reshape(len(part), -1) if part.size else ():
            bits = "".join(format(sample, f"0{depth}b") for sample in row)
            bits += "0" * (-len(bits) % 8)
            rows += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return zlib.compress(rows, 9)


def png(depth, colour, levels, extra=b"", interlaced=False, default=False, frames=PLACES, operations=None, end=True):
    """`default`: the first image is no part of the animation. An operation is (disposal, blend)."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
    if len(frames) > 1:
        out += chunk(b"acTL", struct.pack(">II", len(frames) - default, 0))
    operations = operations or itertools.cycle([(0, 1), (1, 1), (2, 1), (0, 0), (2, 0), (1, 0)])
    sequence = itertools.count()
    for number, (place, operation) in enumerate(zip(frames, operations)):
        left, top, width, height = place
        if len(frames) > 1 and not (default and number == 0):
            control = (next(sequence), width, height, left, top, number + 1, 0 if number % 2 else 50, *operation)
            out += chunk(b"fcTL", struct.pack(">5I2H2B", *control))
        data = packed(width, height, depth, channels, interlaced, levels, number)
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            head = struct.pack(">I", next(sequence)) if number else b""
            out += chunk(b"fdAT" if number else b"IDAT", head + part)
    return out + (chunk(b"IEND", b"") if end else b"")


def make():
    """Name and content of each file."""
    small, large = PLACES[1], (5, 4, WIDTH + 6, HEIGHT + 7)
    for disposal in range(4):
        images = [(place, {"disposal": disposal, "clear": 5 if n % 2 else None}) for n, place in enumerate(PLACES)]
        yield f"disposal-{disposal}.gif", gif(images)
        images = [(place, {"disposal": disposal, "clear": 5}) for place in PLACES[1:]]
        yield f"disposal-{disposal}-transparent.gif", gif(images)
    tables = [(place, {"table": palette(16, n)}) for n, place in enumerate(PLACES)]
    yield "own-palettes.gif", gif(tables, table=b"")
    yield "interlaced.gif", gif([(place, {"interlaced": True}) for place in PLACES])
    yield "screen-lower.gif", gif([(PLACES[0], {})], screen=(WIDTH, 7))
    yield "screen-narrower.gif", gif([(PLACES[0], {})], screen=(9, HEIGHT))
    yield "beyond-the-screen.gif", gif([(large, {"clear": 7}), (small, {})])
    yield "beyond-the-screen-later.gif", gif([(small, {}), (large, {"disposal": 3}), (small, {"disposal": 2})])
    yield "beyond-the-screen-later-transparent.gif", gif([(small, {}), (large, {"clear": 2}), (small, {})])
    yield "no-palette.gif", gif([(PLACES[0], {}), (small, {"clear": 4, "disposal": 2}), (small, {})], table=b"")
    short = palette(8, 2)
    yield "index-beyond-the-palette.gif", gif([(PLACES[0], {})], table=b"").replace(
        b"\0\x03\0", b"\x82\x03\0" + short, 1)
    yield "no-trailer.gif", gif([(PLACES[0], {})])[:-1]
    for name, (depth, colour, levels, extra) in {
        "palette": (4, 3, 12, chunk(b"PLTE", palette(12, 3))),
        "palette-transparency": (8, 3, 40, chunk(b"PLTE", palette(40, 4)) + chunk(b"tRNS", bytes([255, 0, 128, 77]))),
        "grey": (2, 0, 4, b""),
        "grey-alpha": (8, 4, 256, b""),
        "rgb": (8, 2, 256, b""),
        "rgba": (8, 6, 256, b""),
        "rgba-16-bit": (16, 6, 65536, b""),
    }.items():
        yield f"{name}.png", png(depth, colour, levels, extra)
    yield "rgba-interlaced.png", png(8, 6, 256, interlaced=True)
    yield "default-image.png", png(8, 6, 256, default=True)
    yield "no-end.png", png(8, 2, 256, frames=PLACES[:1], end=False)
    yield "palette-index-beyond.png", png(4, 3, 16, chunk(b"PLTE", palette(9, 5)), frames=PLACES[:1])


def frames(content):
    """Frame, time, RGB and indices as Pillow has them."""
    time, count = 0.0, Image.open(io.BytesIO(content)).n_frames
    for frame in range(count):
        image = Image.open(io.BytesIO(content))
        image.seek(frame)
        default = frame == 0 and getattr(image, "default_image", False)
        rgb = numpy.asarray(image.convert("RGB"))
        indices = numpy.asarray(image).tobytes() if image.mode == "P" else None
        yield frame, "" if default or count == 1 else round(time), rgb.tobytes(), indices
        time += 0 if default else image.info["duration"] if count > 1 else 0


def main():
    with (HERE / "expected.csv").open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["file", "frame", "time_ms", "rgb_md5", "indices_md5"])
        for name, content in make():
            (HERE / name).write_bytes(content)
            # Pillow 13 fails on the later frames of an interlaced animation; they are those of the same one without passes.
            reference = png(8, 6, 256) if name == "rgba-interlaced.png" else content
            for frame, time, rgb, indices in frames(reference):
                digests = [hashlib.md5(rgb).hexdigest(), hashlib.md5(indices).hexdigest() if indices else ""]
                rows.writerow([name, frame, time, *digests])


if __name__ == "__main__":
    main()
