#!/usr/bin/env python3
"""Makes the files of this folder that an outside program decodes, and expected.csv with their hashes.

    apt-get install libheif-examples libjxl-tools
    pip install pillow==13.0.0 pillow-heif==1.8.1 pdqhash==0.2.8 numpy
    python3 make_outside.py

The pictures are computed, so nobody's content is in the repository. JPEG 2000 is written and read by Pillow. HEIC is written by
`heif-enc`; grids, turns and crops are containers made here around what it has coded. It is read by pillow-heif. JPEG XL is
written by `cjxl` and read by `djxl`. `pdq` is that of the picture as the reader shows it, `stored` that before it is turned.
"""

import csv
import io
import pathlib
import struct
import subprocess
import tempfile

import numpy
import pdqhash
import pillow_heif
from PIL import Image

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 96, 72


def scene(width=WIDTH, height=HEIGHT, seed=0):
    """Coloured waves and a disc."""
    y, x = numpy.mgrid[0:height, 0:width]
    out = numpy.dstack([127 + 110 * numpy.sin((x * (c + 2) + y * (4 - c)) / 29 + seed + c) for c in range(3)])
    out[(x - width // 3) ** 2 + (y - height // 2) ** 2 < height * 5] = (250, 40, 20)
    return Image.fromarray(out.astype(numpy.uint8))


def run(program, picture, suffix, *options, source=".png"):
    """What a command writes that reads the picture from a file."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = pathlib.Path(folder) / f"in{source}", pathlib.Path(folder) / f"out{suffix}"
        if isinstance(picture, bytes):
            before.write_bytes(picture)
        else:
            picture.save(before)
        command = [program, before, "-o", after] if program == "heif-enc" else [program, before, after]
        subprocess.run([*command, *options], check=True, capture_output=True)
        return after.read_bytes()


def heic(picture, *options):
    return run("heif-enc", picture, ".heic", *options)


def two_pictures():
    """Two pictures and their thumbnails. The first is the primary one."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{seed}.png" for seed in (0, 3)]
        for seed, name in zip((0, 3), names):
            scene(seed=seed).save(name)
        subprocess.run(["heif-enc", *names, "-q", "60", "-t", "40", "-o", f"{folder}/out.heic"], check=True, capture_output=True)
        return pathlib.Path(f"{folder}/out.heic").read_bytes()


def boxes(content, at=0, end=None):
    end = len(content) if end is None else end
    while at < end:
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        yield kind, content[at + 8 : at + size]
        at += size


def find(content, *path):
    for kind in path:
        content = next(body for found, body in boxes(content) if found == kind)
        content = content[4:] if kind == b"meta" else content
    return content


def coded(content):
    """Properties and data of the only picture of a file of `heif-enc`."""
    properties = {kind: body for kind, body in boxes(find(content, b"meta", b"iprp", b"ipco"))}
    return properties, find(content, b"mdat")


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind, version, flags, *parts):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def container(tiles, columns, rows, width, height, asked=()):
    """A HEIC of one picture, or of a grid of them, with properties that ask for a turn or a crop."""
    data = [tile for _, tile in tiles]
    is_grid = len(tiles) > 1
    kinds = [b"hvc1"] * len(tiles)
    if is_grid:
        kinds.append(b"grid")
        data.append(struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height))
    primary = len(kinds)
    properties = [box(kind, tiles[0][0][kind]) for kind in (b"hvcC", b"ispe")]
    properties += [full(b"ispe", 0, 0, struct.pack(">II", width, height)), *asked]
    of_tile, of_whole = [1, 2], [3, *range(4, 4 + len(asked))]
    associations = b""
    for number in range(1, primary + 1):
        mine = of_tile if number < primary or not is_grid else of_whole
        if number == primary and not is_grid:
            mine = of_tile + of_whole[1:]
        associations += struct.pack(">HB", number, len(mine)) + bytes(0x80 | one for one in mine)
    infos = b"".join(
        full(b"infe", 2, int(number < primary), struct.pack(">HH4s", number, 0, kind), b"\0")
        for number, kind in enumerate(kinds, 1)
    )

    def meta(offset):
        places, at = b"", offset
        for number, one in enumerate(data, 1):
            places += struct.pack(">HHHII", number, 0, 1, at, len(one))
            at += len(one)
        made_of = struct.pack(">HH", primary, len(tiles)) + b"".join(struct.pack(">H", n + 1) for n in range(len(tiles)))
        return full(
            b"meta", 0, 0,
            full(b"hdlr", 0, 0, struct.pack(">I4s", 0, b"pict"), bytes(13)),
            full(b"pitm", 0, 0, struct.pack(">H", primary)),
            full(b"iloc", 0, 0, b"\x44\0", struct.pack(">H", len(data)), places),
            full(b"iinf", 0, 0, struct.pack(">H", len(kinds)), infos),
            box(b"iprp", box(b"ipco", *properties), full(b"ipma", 0, 0, struct.pack(">I", primary), associations)),
            full(b"iref", 0, 0, box(b"dimg", made_of)) if is_grid else b"",
        )

    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    offset = len(head) + len(meta(0)) + 8
    return head + meta(offset) + box(b"mdat", *data)


def turned(*asked):
    tile = coded(heic(scene(), "-q", "60"))
    return container([tile], 1, 1, WIDTH, HEIGHT, asked)


def grid(*asked):
    """Tiles of 64 x 64, of which the right and the lower ones reach beyond the picture."""
    whole = scene(128, 128)
    parts = [whole.crop((x, y, x + 64, y + 64)) for y in (0, 64) for x in (0, 64)]
    return container([coded(heic(part, "-q", "60")) for part in parts], 2, 2, 110, 90, asked)


def jp2(picture, *, bare=False, **options):
    out = io.BytesIO()
    picture.save(out, "JPEG2000", no_jp2=bare, **options)
    return out.getvalue()


def jpeg(orientation):
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x112] = orientation
    scene().save(out, "JPEG", quality=85, exif=exif)
    return out.getvalue()


def animation():
    out = io.BytesIO()
    frames = [scene(48, 36, seed) for seed in range(3)]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def wide(picture):
    """The same with 16 bits a sample, of which the lower ones are not zero."""
    return (numpy.asarray(picture).astype(numpy.uint16) << 8) + 77


def wide_png(picture):
    # Pillow writes no RGB of 16 bits: this is the container by hand.
    import zlib

    samples = wide(picture).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in samples)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", picture.width, picture.height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


QUARTER, MIRROR, FLIP = box(b"irot", b"\1"), box(b"imir", b"\1"), box(b"imir", b"\0")
# 60 x 50, its centre 4 right of and 3 above that of the picture.
CROP = box(b"clap", struct.pack(">IIIIiIiI", 60, 1, 50, 1, 4, 1, -3, 1))

FILES = {
    "rgb.jp2": jp2(scene()),
    "irreversible.jp2": jp2(scene(), irreversible=True, quality_mode="rates", quality_layers=[12]),
    "tiles.jp2": jp2(scene(), tile_size=(40, 40), irreversible=True, quality_mode="rates", quality_layers=[8]),
    "bare.j2k": jp2(scene(), bare=True, irreversible=True, quality_mode="rates", quality_layers=[12]),
    "grey.jp2": jp2(scene().convert("L")),
    "alpha.jp2": jp2(Image.merge("RGBA", [*scene().split(), scene(seed=5).convert("L")]), quality_layers=[10]),
    "odd-size.jp2": jp2(scene(91, 67), irreversible=True, quality_mode="rates", quality_layers=[10]),
    "rgb.heic": heic(scene(), "-q", "60"),
    "odd-size.heic": heic(scene(91, 67), "-q", "60"),
    "colour-444.heic": heic(scene(), "-q", "60", "-p", "chroma=444"),
    "limited-range.heic": heic(scene(), "-q", "60", "--full_range_flag=0"),
    "matrix-709.heic": heic(scene(), "-q", "60", "--matrix_coefficients=1"),
    "grey.heic": heic(scene().convert("L"), "-q", "60"),
    "10-bit.heic": run("heif-enc", wide_png(scene()), ".heic", "-q", "60", "-b", "10"),
    "quarter-turn.heic": turned(QUARTER),
    "mirrored.heic": turned(MIRROR),
    "flipped-quarter-turn.heic": turned(QUARTER, FLIP),
    "cropped-quarter-turn.heic": turned(CROP, QUARTER),
    "two-pictures.heic": two_pictures(),
    "grid.heic": grid(),
    "grid-quarter-turn.heic": grid(QUARTER),
    "lossless.jxl": run("cjxl", scene(), ".jxl", "-d", "0"),
    "lossy.jxl": run("cjxl", scene(), ".jxl", "-d", "2"),
    "container.jxl": run("cjxl", scene(), ".jxl", "-d", "2", "--container=1"),
    "grey.jxl": run("cjxl", scene().convert("L"), ".jxl", "-d", "2"),
    "odd-size.jxl": run("cjxl", scene(91, 67), ".jxl", "-d", "2"),
    "16-bit.jxl": run("cjxl", wide_png(scene()), ".jxl", "-d", "2"),
    "from-jpeg.jxl": run("cjxl", jpeg(1), ".jxl", source=".jpg"),
    "quarter-turn.jxl": run("cjxl", jpeg(6), ".jxl", "-j", "0", "-d", "2", source=".jpg"),
    "half-turn.jxl": run("cjxl", jpeg(3), ".jxl", "-j", "0", "-d", "2", source=".jpg"),
    "animated.jxl": run("cjxl", animation(), ".jxl", "-d", "3"),
}


def pdq(picture):
    bits, _ = pdqhash.compute(numpy.asarray(picture.convert("RGB")))
    return numpy.packbits(bits).tobytes().hex()


def shown(name, content):
    """The picture as its reader shows it, and before it is turned."""
    if name.endswith(".jxl"):
        with tempfile.TemporaryDirectory() as folder:
            before, after = pathlib.Path(folder) / "in.jxl", pathlib.Path(folder) / "out.ppm"
            before.write_bytes(content)
            subprocess.run(["djxl", before, after], check=True, capture_output=True)
            files = sorted(pathlib.Path(folder).glob("out*"))
            picture = Image.open(files[0]).convert("RGB")
        return picture, picture
    if name.endswith(".heic"):
        # Of 10 bits the upper eight, as everywhere.
        picture = pillow_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=True).to_pillow().convert("RGB")
        stored = picture
        if "flipped" in name:
            stored = stored.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        if "quarter" in name:
            stored = stored.transpose(Image.Transpose.ROTATE_270)
        if "mirrored" in name:
            stored = stored.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return picture, stored
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    return picture, picture


if __name__ == "__main__":
    with open(HERE / "expected.csv", "w", newline="") as table:
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["file", "width", "height", "left_out", "pdq", "stored"])
        for name, content in FILES.items():
            (HERE / name).write_bytes(content)
            picture, stored = shown(name, content)
            left_out = int(name in ("animated.jxl", "two-pictures.heic"))
            rows.writerow([name, picture.width, picture.height, left_out, pdq(picture), pdq(stored)])
