#!/usr/bin/env python3
"""Makes the files of this folder and expected.csv, with the reference's own hashes.

    pip install pdqhash==0.2.8 pillow numpy
    python3 make_vectors.py

The pictures are computed, so nobody's content is in the repository. `pdqhash` binds the reference implementation of PDQ;
Pillow decodes with `Image.open(file).convert("RGB")`, which is what the hashes of most banks were made with.

Columns: `distance_max` is how many bits a hash may differ, 0 where the format is lossless; `rgb_md5` is the digest of
the decoded RGB samples, for lossless files; `d0` to `d7` are the eight dihedral hashes, original first.
"""

import csv
import hashlib
import io
import pathlib
import re
import struct
import subprocess
import tempfile
import zlib

import numpy
import pdqhash
from PIL import Image

HERE = pathlib.Path(__file__).parent
FILES = {}  # name -> (bytes, distance_max)
REFUSED = {}  # name -> bytes, of files that are not hashed; in a folder of their own


def scene(width, height, seed, levels=32):
    """Smooth waves, hard edges and a little texture, in few levels so that PNG packs them well."""
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.float64)
    random = numpy.random.default_rng(seed)
    out = numpy.zeros((height, width, 3))
    for channel in range(3):
        for _ in range(6):
            fx, fy = random.uniform(0.5, 9, 2)
            phase = random.uniform(0, 6.28)
            out[..., channel] += numpy.sin(6.28 * (fx * x / width + fy * y / height) + phase)
    for _ in range(9):
        cx, cy = random.uniform(0, width), random.uniform(0, height)
        radius = random.uniform(0.05, 0.3) * min(width, height)
        out[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] += random.uniform(-3, 3, 3)
    out -= out.min()
    out *= (levels - 1) / out.max()
    return Image.fromarray((numpy.rint(out) * (255 / (levels - 1))).astype(numpy.uint8))


def add(name, content, distance_max=0):
    FILES[name] = (content, distance_max)


def save(name, image, distance_max=0, **options):
    buffer = io.BytesIO()
    kind = {"jpg": "jpeg", "tif": "tiff"}.get(name.rsplit(".")[-1], name.rsplit(".")[-1])
    image.save(buffer, kind, **options)
    add(name, buffer.getvalue(), distance_max)
    return buffer.getvalue()


def png(width, height, depth, colour_type, rows, palette=None, transparency=None):
    """A PNG with the depth and colour type that Pillow does not write itself."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    if palette:
        out += chunk(b"PLTE", palette)
    if transparency:
        out += chunk(b"tRNS", transparency)
    return out + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9)) + chunk(b"IEND", b"")


def tiff_rgb16(width, height, samples):
    """An uncompressed TIFF of 16-bit RGB, which Pillow reads but does not write."""
    count = 10
    ifd = 8
    extra = ifd + 2 + 12 * count + 4
    strip = extra + 6
    entry = lambda tag, kind, number, value: struct.pack("<HHII", tag, kind, number, value)
    entries = [
        entry(256, 4, 1, width), entry(257, 4, 1, height), entry(258, 3, 3, extra), entry(259, 3, 1, 1),
        entry(262, 3, 1, 2), entry(273, 4, 1, strip), entry(277, 3, 1, 3), entry(278, 4, 1, height),
        entry(279, 4, 1, len(samples)), entry(284, 3, 1, 1),
    ]
    return (b"II*\0" + struct.pack("<I", ifd) + struct.pack("<H", count) + b"".join(entries)
            + struct.pack("<I", 0) + struct.pack("<HHH", 16, 16, 16) + samples)


def tiff_lossless_jpeg(samples, photometric, strips):
    """A TIFF of 8 bits whose strips are lossless JPEGs, each with its predictor (1 to 7) and rows between restart markers, 0 for none."""
    height, width, count = samples.shape
    rows = -(-height // len(strips))
    streams = [lossless_jpeg(samples[at * rows : (at + 1) * rows].astype(int), *strip) for at, strip in enumerate(strips)]
    listed = 9
    extra = 8 + 2 + 12 * listed + 4
    tables = struct.pack(f"<{count}H", *[8] * count)
    first = extra + len(tables) + 8 * len(strips)
    offsets = [first + sum(len(one) for one in streams[:at]) for at in range(len(streams))]
    tables += struct.pack(f"<{2 * len(strips)}I", *offsets, *[len(one) for one in streams])
    strip_tables = extra + 2 * count
    entry = lambda tag, kind, number, value: struct.pack("<HHII", tag, kind, number, value)
    entries = [
        entry(256, 4, 1, width), entry(257, 4, 1, height), entry(258, 3, count, extra), entry(259, 3, 1, 7),
        entry(262, 3, 1, photometric), entry(273, 4, len(strips), strip_tables), entry(277, 3, 1, count),
        entry(278, 4, 1, rows), entry(279, 4, len(strips), strip_tables + 4 * len(strips)),
    ]
    return (b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", listed) + b"".join(entries) + bytes(4)
            + tables + b"".join(streams))


def lossless_jpeg(samples, predictor, restart_rows):
    """A lossless JPEG (ITU-T T.81, annex H). The code of each size of a difference has five bits."""
    height, width, count = samples.shape
    left, above, corner = (numpy.zeros_like(samples) for _ in range(3))
    left[:, 1:], above[1:], corner[1:, 1:] = samples[:, :-1], samples[:-1], samples[:-1, :-1]
    predicted = {
        1: left, 2: above, 3: corner, 4: left + above - corner, 5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1), 7: (left + above) >> 1,
    }[predictor]
    predicted[:, 0] = above[:, 0]
    starts = range(0, height, restart_rows or height)
    for row in starts:
        predicted[row], predicted[row, 0] = left[row], 128
    data, differences = b"", samples - predicted
    for number, row in enumerate(starts):
        bits = ""
        for difference in map(int, differences[row : row + (restart_rows or height)].flat):
            size = abs(difference).bit_length()
            bits += f"{size:05b}"
            if size:
                bits += f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}"
        bits += "1" * (-len(bits) % 8)
        if number:
            data += bytes([0xFF, 0xD0 + (number - 1) % 8])
        data += int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    segment = lambda marker, body: bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body
    frame = struct.pack(">BHHB", 8, height, width, count) + b"".join(bytes([at + 1, 0x11, 0]) for at in range(count))
    scan = bytes([count]) + b"".join(bytes([at + 1, 0]) for at in range(count)) + bytes([predictor, 0, 0])
    return (b"\xff\xd8" + segment(0xC4, bytes([0, 0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))) + segment(0xC3, frame)
            + segment(0xDD, struct.pack(">H", restart_rows * width)) + segment(0xDA, scan) + data + b"\xff\xd9")


def tiffcp(tiff, *options):
    """The TIFF as libtiff's `tiffcp` copies it with these options: forms that Pillow does not write."""
    with tempfile.TemporaryDirectory() as folder:
        source, copy = pathlib.Path(folder, "source.tif"), pathlib.Path(folder, "copy.tif")
        source.write_bytes(tiff)
        subprocess.run(["tiffcp", *options, source, copy], check=True)
        return copy.read_bytes()


def riff(*chunks):
    """A WebP of these chunks."""
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_header(flags, width, height):
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"VP8X", struct.pack("<I", flags) + size


def webp_animation(width, height, *frames):
    """An animation of (picture, left, top, milliseconds, flags): 1 clears the frame's area after it, 2 draws without blending."""
    chunks = [webp_header(0x12, width, height), (b"ANIM", bytes(6))]
    for image, left, top, duration, flags in frames:
        buffer = io.BytesIO()
        image.save(buffer, "webp", lossless=True, exact=True)
        still = buffer.getvalue()
        at = still.index(b"VP8L")
        numbers = (left // 2, top // 2, image.width - 1, image.height - 1, duration)
        place = b"".join(struct.pack("<I", number)[:3] for number in numbers)
        chunks.append((b"ANMF", place + bytes([flags]) + still[at:]))
    return riff(*chunks)


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind, version, *parts):
    return box(kind, bytes([version, 0, 0, 0]), *parts)


def boxes(data):
    while data:
        size = struct.unpack(">I", data[:4])[0]
        yield data[4:8], data[8:size]
        data = data[size:]


def avif(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "avif", codec="aom", max_threads=1, **options)
    return buffer.getvalue()


def avif_grid(image, columns, rows, matrix, **options):
    """An AVIF of tiles, which overlap the right and lower edge, with its AV1 data in an `idat` box."""
    width, height = (-(-side // (2 * count)) * 2 + 8 for side, count in ((image.width, columns), (image.height, rows)))
    assert width * (columns - 1) < image.width and height * (rows - 1) < image.height
    whole = image.crop((0, 0, width * columns, height * rows))
    data = [struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, image.width, image.height)]
    for row in range(rows):
        for column in range(columns):
            left, top = column * width, row * height
            tile = avif(whole.crop((left, top, left + width, top + height)), **options)
            data.append(dict(boxes(tile))[b"mdat"])
            configuration = tile[tile.index(b"av1C") + 4 :][:4]
    infos, places, at = [], [], 0
    for number, part in enumerate(data, 1):
        kind = b"grid" if number == 1 else b"av01"
        infos.append(full_box(b"infe", 2, struct.pack(">HH", number, 0), kind, b"\0"))
        places.append(struct.pack(">HHHHII", number, 1, 0, 1, at, len(part)))
        at += len(part)
    tiles = range(2, len(data) + 1)
    properties = box(b"ipco", full_box(b"ispe", 0, struct.pack(">II", image.width, image.height)),
        full_box(b"ispe", 0, struct.pack(">II", width, height)), box(b"av1C", configuration),
        box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, matrix, 0)), full_box(b"pixi", 0, bytes([3, 8, 8, 8])))
    associations = struct.pack(">IHBBBB", len(data), 1, 3, 1, 0x84, 5) + b"".join(
        struct.pack(">HBBBBB", number, 4, 2, 0x83, 0x84, 5) for number in tiles)
    return box(b"ftyp", b"avif\0\0\0\0avifmif1miaf") + full_box(b"meta", 0,
        full_box(b"hdlr", 0, bytes(4), b"pict", bytes(13)), full_box(b"pitm", 0, struct.pack(">H", 1)),
        full_box(b"iloc", 1, b"\x44\0", struct.pack(">H", len(data)), *places),
        full_box(b"iinf", 0, struct.pack(">H", len(data)), *infos),
        full_box(b"iref", 0, box(b"dimg", struct.pack(">HH", 1, len(data) - 1), *(struct.pack(">H", n) for n in tiles))),
        box(b"iprp", properties, full_box(b"ipma", 0, associations)), box(b"idat", *data))


def without_dates(movie):
    """The AVIF sequence with the times at which it was written set to 0."""
    movie = bytearray(movie)
    for found in re.finditer(b"mvhd|tkhd|mdhd", movie):
        at = found.start() + 8
        movie[at : at + 16] = bytes(16)
    return bytes(movie)


def segment(jpeg, marker):
    """Where the JPEG's segment with this marker begins, and its length with the marker."""
    at = jpeg.index(bytes([0xFF, marker]))
    return at, 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]


def make():
    # Sizes: window 1 and more, odd and even, narrower than 64, larger than a strip of the filter.
    for seed, (width, height) in enumerate([
        (64, 64), (63, 65), (5, 5), (4, 90), (5, 300), (300, 5), (128, 128), (129, 127), (200, 150), (256, 256), (257, 255),
        (511, 384), (640, 480), (97, 1201), (1030, 260), (900, 700),
    ]):
        save(f"size-{width}x{height}.png", scene(width, height, seed, levels=8 if width * height > 200000 else 24))
    save("size-flat-90x70.png", Image.new("RGB", (90, 70), (40, 120, 200)))

    width, height = 160, 120
    base = scene(width, height, 100)
    pixels = numpy.asarray(base)
    grey = base.convert("L")
    palette = base.quantize(16)
    alpha = base.convert("RGBA")
    alpha.putalpha(Image.fromarray(numpy.asarray(grey).T.copy().repeat(2, 1)[:height, :width]))
    wide = pixels.astype(numpy.uint16) * 250 + 77

    save("palette.png", palette)
    save("palette-4-bit.png", palette, bits=4)
    save("palette-transparent.png", palette, transparency=3)
    save("bilevel.png", base.convert("1"))
    save("grey.png", grey)
    two_bits = numpy.unpackbits((numpy.asarray(grey) >> 6)[..., None], axis=2)[..., 6:].reshape(height, -1)
    add("grey-2-bit.png", png(width, height, 2, 0, (numpy.packbits(row).tobytes() for row in two_bits)))
    save("grey-alpha.png", alpha.convert("LA"))
    save("alpha.png", alpha)
    add("rgb-16-bit.png", png(width, height, 16, 2, (row.astype(">u2").tobytes() for row in wide)))
    add("rgb-alpha-16-bit.png", png(width, height, 16, 6, (
        numpy.dstack([wide, wide[..., 1]])[row].astype(">u2").tobytes() for row in range(height))))
    add("grey-16-bit.png", png(width, height, 16, 0, (row[:, 1].astype(">u2").tobytes() for row in wide)))
    add("transparent-colour.png", png(width, height, 8, 2, (row.tobytes() for row in pixels),
        transparency=struct.pack(">HHH", *map(int, pixels[60, 80]))))

    for name, sampling in {"444": "4:4:4", "422": "4:2:2", "420": "4:2:0"}.items():
        save(f"colour-{name}.jpg", base, 2, quality=85, subsampling=sampling)
    save("odd-size-420.jpg", scene(217, 139, 101), 2, quality=80, subsampling="4:2:0")
    save("low-quality.jpg", scene(250, 190, 102), 2, quality=25)
    save("saturated.jpg", Image.fromarray((pixels > 128).astype(numpy.uint8) * 255), 2, quality=70)
    save("progressive.jpg", base, 2, quality=85, progressive=True)
    save("restart-markers.jpg", base, 2, quality=85, restart_marker_blocks=3)
    save("grey.jpg", grey, 2, quality=85)
    save("grey-progressive.jpg", grey, 2, quality=85, progressive=True)
    save("rgb-components.jpg", base, 2, quality=90, keep_rgb=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("orientation.jpg", base, 2, quality=85, exif=exif)
    cmyk = save("cmyk-adobe.jpg", base.convert("CMYK"), 2, quality=90)
    at, length = segment(cmyk, 0xEE)
    add("cmyk-plain.jpg", cmyk[:at] + cmyk[at + length :], 2)
    black = numpy.full((height, width, 1), 40, numpy.uint8)
    ycck = Image.fromarray(255 - numpy.dstack([numpy.asarray(base.convert("YCbCr")), 255 - black]), "CMYK")
    ycck = bytearray(save("ycck.jpg", ycck, 2, quality=90))
    at, _ = segment(ycck, 0xEE)
    ycck[at + 15] = 2
    add("ycck.jpg", bytes(ycck), 2)

    save("lossy.webp", base, 2, quality=80)
    save("lossy-alpha.webp", alpha, 2, quality=80)
    save("lossless.webp", base, lossless=True)
    save("lossless-alpha.webp", alpha, lossless=True, exact=True)
    others = [scene(width, height, seed) for seed in (103, 104)]
    save("animated.webp", base, save_all=True, append_images=others, lossless=True, duration=100)

    lossy = FILES["lossy.webp"][0]
    for name, flags in {"exif": 8, "colour-profile": 32, "alpha": 16}.items():
        add(f"announced-{name}.webp", riff(webp_header(flags, width, height), (b"VP8 ", lossy[20:])), 2)
    moving = [scene(90, 70, 105, levels=6), alpha.crop((0, 0, 60, 40)), alpha.crop((40, 30, 90, 90)), scene(90, 70, 106, levels=6)]
    moving[2] = moving[2].quantize(8).convert("RGBA")
    moving[2].putalpha(120)
    add("animated-areas.webp", webp_animation(120, 90, (moving[0], 10, 20, 100, 0), (moving[1], 0, 0, 250, 1),
        (moving[2], 40, 10, 70, 0), (moving[3], 30, 20, 1000, 2)))

    add("colour-420.avif", avif(base, quality=70))
    add("colour-422.avif", avif(scene(161, 119, 107), quality=60, subsampling="4:2:2"))
    add("colour-444.avif", avif(base, quality=60, subsampling="4:4:4"))
    add("grey.avif", avif(grey, quality=70))
    add("alpha.avif", avif(alpha, quality=60))
    add("limited-range.avif", avif(base, quality=60, range="limited"))
    add("turned.avif", avif(base, quality=60, exif=exif))
    add("tiles.avif", avif_grid(scene(230, 170, 108), 3, 2, matrix=1, quality=50), 2)
    REFUSED["premultiplied.avif"] = avif(alpha, quality=60, alpha_premultiplied=True)
    moving = avif(alpha, quality=60, alpha_premultiplied=True, save_all=True, append_images=[alpha.rotate(180)])
    REFUSED["premultiplied-animated.avif"] = without_dates(moving)
    moving = avif(base, quality=50, save_all=True, append_images=others, duration=[100, 250, 70])
    add("animated.avif", without_dates(moving))

    gif = save("still.gif", palette)
    save("not-interlaced.gif", palette, interlace=0)
    save("transparent.gif", palette, transparency=2)
    save("animated.gif", palette, save_all=True, append_images=[o.quantize(16) for o in others], duration=100)
    for name, source in {"partial-first-frame.gif": gif, "partial-transparent.gif": FILES["transparent.gif"][0]}.items():
        partial = bytearray(source)
        partial[6:10] = struct.pack("<HH", width + 60, height + 40)
        table = 3 * 2 ** ((partial[10] & 7) + 1) if partial[10] & 0x80 else 0
        at = partial.index(b",", 13 + table)
        partial[at + 1 : at + 5] = struct.pack("<HH", 25, 15)
        add(name, bytes(partial))

    save("rgb.bmp", base)
    save("palette.bmp", palette)
    save("bilevel.bmp", base.convert("1"))
    save("grey.bmp", grey)
    save("alpha.bmp", alpha)

    save("rgb.tif", base)
    save("lzw.tif", base, compression="tiff_lzw")
    save("deflate.tif", base, compression="tiff_adobe_deflate")
    save("packbits.tif", palette.convert("L"), compression="packbits")
    save("alpha.tif", alpha, compression="tiff_lzw")
    save("grey.tif", grey, compression="tiff_lzw")
    save("bilevel.tif", base.convert("1"))
    save("cmyk.tif", base.convert("CMYK"), compression="tiff_lzw")
    add("rgb-16-bit.tif", tiff_rgb16(width, height // 2, wide[: height // 2].astype("<u2").tobytes()))
    save("grey-16-bit.tif", Image.fromarray(wide[..., 1].copy()), compression="tiff_lzw")
    save("big-endian-16-bit.tif", Image.fromarray(wide[..., 1].astype(">u2")))
    save("palette.tif", palette, compression="tiff_lzw")
    save("lzma.tif", grey, compression="lzma")
    save("zstd.tif", grey, compression="zstd")
    save("two-pages.tif", palette, compression="tiff_lzw", save_all=True, append_images=[grey])
    save("orientation.tif", palette, compression="tiff_lzw", tiffinfo={274: 6})
    two = save("two-colours.tif", grey.point(lambda sample: 255 * (sample > 120)).convert("1"))
    for name, options in {
        "group-3.tif": ["-c", "g3:1d:fill"],
        "group-3-2d.tif": ["-c", "g3:2d", "-r", "50"],
        "group-4.tif": ["-c", "g4", "-r", "37"],
        "group-4-reversed-bits.tif": ["-c", "g4", "-f", "lsb2msb"],
        "big.tif": ["-c", "lzw", "-8"],
    }.items():
        add(name, tiffcp(two, *options))
    add("cmyk-jpeg.tif", tiffcp(FILES["cmyk.tif"][0], "-c", "jpeg:85", "-r", "64"), 2)
    small = base.crop((0, 0, 90, 70))
    predictors = [(predictor, 4 * (predictor % 2)) for predictor in range(1, 8)]
    add("lossless-jpeg.tif", tiff_lossless_jpeg(numpy.asarray(small), 2, predictors))
    add("lossless-jpeg-cmyk.tif", tiff_lossless_jpeg(numpy.asarray(small.convert("CMYK")), 5, predictors[3:5]))
    add("jpeg-ycbcr-tiles.tif", tiffcp(FILES["rgb.tif"][0], "-c", "jpeg:85", "-t", "-w", "64", "-l", "64"), 2)


def decoded(content):
    """RGB, as Pillow makes it; but Pillow clips 16-bit grey at 255, which leaves white, so its upper 8 bits are taken here."""
    image = Image.open(io.BytesIO(content))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((numpy.asarray(image).astype(numpy.uint16) >> 8).astype(numpy.uint8))
    return image.convert("RGB")


def hexadecimal(bits):
    """The usual form: `pdqhash` gives the most significant bit first."""
    return numpy.packbits(numpy.asarray(bits, numpy.uint8)).tobytes().hex()


def main():
    make()
    (HERE / "refused").mkdir(exist_ok=True)
    for name, content in REFUSED.items():
        (HERE / "refused" / name).write_bytes(content)
    with (HERE / "expected.csv").open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["file", "width", "height", "quality", "distance_max", "rgb_md5", "md5", "sha256"]
                      + [f"d{i}" for i in range(8)])
        for name, (content, distance_max) in FILES.items():
            (HERE / name).write_bytes(content)
            image = decoded(content)
            samples = numpy.asarray(image)
            hashes, quality = pdqhash.compute_dihedral(samples)
            one, quality_of_one = pdqhash.compute(samples)
            assert hexadecimal(one) == hexadecimal(hashes[0]) and quality == quality_of_one, name
            rows.writerow([name, image.width, image.height, quality, distance_max,
                           "" if distance_max else hashlib.md5(samples.tobytes()).hexdigest(),
                           hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()]
                          + [hexadecimal(h) for h in hashes])
    print(f"{len(FILES)} files, {sum(len(c) for c, _ in FILES.values())} bytes")


if __name__ == "__main__":
    main()
