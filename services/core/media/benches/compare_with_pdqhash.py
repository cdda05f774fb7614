#!/usr/bin/env python3
"""Times this crate beside PyPI's Pillow + pdqhash: bytes of a file to PDQ, one thread, both in one run.

    pip install pdqhash==0.2.8 pillow numpy
    cargo build --release -p vigie-media --example hash_timing
    python3 benches/compare_with_pdqhash.py [--rounds 9] [--binary PATH] [--only "JPEG 1 MP"]

The two take turns, round by round, so that a busy machine is busy for both. Two ratios are printed, because the two
libraries do not do the same work: `compute_dihedral` gives all eight variants, as this crate always does, and `compute`
gives the upright hash alone. The whole fingerprint (with its digests, which Python is not asked for) is printed too, and what
exact decoding to RGB takes: a large JPEG is decoded less exactly where that decides its hash.
"""

import argparse
import io
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy
import pdqhash
from PIL import Image

SIZES = {"0.3 MP": (640, 480), "1 MP": (1152, 864), "4 MP": (2304, 1728), "12 MP": (4000, 3000)}


def photograph(width, height):
    """A picture with detail at every scale, edges and sensor noise: about 2 to 3 bits per pixel as a JPEG."""
    random = numpy.random.default_rng(7)
    out = numpy.zeros((height, width, 3), numpy.float32)
    for octave in range(9):
        cells = 2 ** (octave + 1)
        coarse = random.random((cells + 1, cells * width // height + 2, 3), dtype=numpy.float32)
        planes = [Image.fromarray(coarse[..., c]).resize((width, height), Image.BICUBIC) for c in range(3)]
        out += 0.62**octave * (numpy.dstack(planes) - 0.5)
    y, x = numpy.mgrid[0:height, 0:width]
    for _ in range(40):
        cx, cy = random.integers(0, width), random.integers(0, height)
        radius = random.integers(height // 40, height // 6)
        out[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] += (random.random(3) - 0.5) * 0.6
    out += random.normal(0, 0.06, out.shape)
    out = (out - out.min()) / (out.max() - out.min())
    return Image.fromarray((out * 255).astype(numpy.uint8))


def smooth(width, height):
    """A small photograph scaled up: hardly any detail of single pixels."""
    return photograph(480, 360).resize((width, height), Image.BICUBIC)


def encoded(picture, form, **options):
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def files():
    """The files to hash, by name."""
    for name, size in SIZES.items():
        yield f"JPEG {name}", encoded(photograph(*size), "jpeg", quality=90)
        if name in ("1 MP", "12 MP"):
            yield f"JPEG {name}, smooth", encoded(smooth(*size), "jpeg", quality=90)
    yield "WebP 1 MP", encoded(photograph(*SIZES["1 MP"]), "webp", quality=80)
    yield "PNG 1 MP", encoded(photograph(*SIZES["1 MP"]), "png")


def python_round(content):
    """Milliseconds for bytes to the upright hash, and for bytes to all eight."""

    def run(compute):
        start = time.perf_counter()
        compute(numpy.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
        return (time.perf_counter() - start) * 1e3

    return run(pdqhash.compute), run(pdqhash.compute_dihedral)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=9)
    target = os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).parents[4] / "target")
    arguments.add_argument("--only", default="", help="files whose name begins so")
    arguments.add_argument("--binary", default=pathlib.Path(target) / "release/examples/hash_timing")
    arguments = arguments.parse_args()

    for name, content in files():
        if not name.startswith(arguments.only):
            continue
        ours, theirs = [], []
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            for _ in range(arguments.rounds):
                theirs.append(python_round(content))
                # A service is warm, as this Python is: several rounds in one process, of which the median counts.
                lines = subprocess.run([arguments.binary, file.name, "15"], check=True, capture_output=True, text=True)
                rounds = [map(float, line.split()) for line in lines.stdout.splitlines()]
                ours.append([statistics.median(times) for times in zip(*rounds)])
        upright, dihedral = map(statistics.median, zip(*theirs))
        decoding, hashing, everything = map(statistics.median, zip(*ours))
        print(f"{name}: {len(content)} bytes, medians of {arguments.rounds} rounds in ms")
        print(f"  Pillow + pdqhash: compute {upright:.1f}, compute_dihedral {dihedral:.1f}")
        print(f"  vigie-media: bytes to pdq (eight variants) {hashing:.1f}, fingerprint {everything:.1f}; "
              f"decoding to RGB alone {decoding:.1f}")
        print(f"  PDQ with eight variants: {dihedral / hashing:.1f}x as fast; "
              f"against the upright hash alone: {upright / hashing:.1f}x")
        print(f"  the whole fingerprint, against compute_dihedral: {dihedral / everything:.1f}x")


if __name__ == "__main__":
    main()
