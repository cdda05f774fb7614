#!/usr/bin/env bash
# FFmpeg 7.0: of a HEIC picture that is a grid of tiles, the command line gives the first tile and no error.
#
# Expected: the picture of the primary item, which consists of four tiles, or an error that this picture cannot be produced.
#
# Happens: 7.0.2 exits with 0 and writes one tile of 64 x 64 of a picture of 110 x 90. It lists the tiles as separate streams and uses the first
# stream. 9.0.2 writes the picture, 110 x 90. (5.1 does not read HEIC at all: "moov atom not found".)
#
# Why: 7.0 can read the items and describes the grid as a group of streams, but `ffmpeg` maps single streams. Assembling a group was added later.
#
# Source: FFmpeg, versions 7.0.2 and 9.0.2 (https://ffmpeg.org), the static builds in imageio-ffmpeg 0.6.0 and 0.8.1 on the Python package registry. The picture below was
# drawn and encoded by `heif-enc` of libheif 1.15.1; libheif shows it as 110 x 90.
#
# Why it matters here: phones divide nearly every HEIC photograph into such tiles. The hash of one tile is the hash of another picture, and nothing reports this.
#
# Needs python3 with venv, and the package registry or its local cache; Linux on x86-64. No Vigie code. Fails if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
base64 --decode > grid.heic <<'PICTURE'
AAAAGGZ0eXBoZWljAAAAAG1pZjFoZWljAAACAG1ldGEAAAAAAAAAIWhkbHIAAAAAAAAAAHBpY3QAAAAAAAAAAAAAAAAAAAAADnBpdG0AAAAAAAUAAABWaWxv
YwAAAABEAAAFAAEAAAABAAACIAAAAjQAAgAAAAEAAARUAAABpwADAAAAAQAABfsAAAJkAAQAAAABAAAIXwAAAaUABQAAAAEAAAoEAAAACAAAAHdpaW5mAAAA
AAAFAAAAFWluZmUCAAABAAEAAGh2YzEAAAAAFWluZmUCAAABAAIAAGh2YzEAAAAAFWluZmUCAAABAAMAAGh2YzEAAAAAFWluZmUCAAABAAQAAGh2YzEAAAAA
FWluZmUCAAAAAAUAAGdyaWQAAAAA2GlwcnAAAACoaXBjbwAAAHhodmNDAQNwAAAAAAAAAAAAHvAA/P34+AAADwMgAAEAGEABDAH//wNwAAADAJAAAAMAAAMA
HroCQCEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgQEDAgAAAMACAAAAwAIQCIAAQAHRAHBcrAiQAAAABRpc3BlAAAAAAAAAEAAAABAAAAAFGlz
cGUAAAAAAAAAbgAAAFoAAAAoaXBtYQAAAAAAAAAFAAECgYIAAgKBggADAoGCAAQCgYIABQGDAAAAIGlyZWYAAAAAAAAAFGRpbWcABQAEAAEAAgADAAQAAAf0
bWRhdAAAAjAoAa8J4OsK9dFTRMXpGjci4cT9CjO46DHJRO7KZvpbbujh1IgsX0jKoDWu7r9dvjoZJpbPShvNuyKSiFwca//BioWJKG2JFc/SbGtE42iJycjb
wUhSRCsn/av4v5Tm5otJZw0E7yQOxaSnzJH81rU2grBdgK9FhP//2DiADl7R8SV4tNP+cMPRpox51nMvzh7ldd/vOAbjNGPGmRM8nINPUG4mIazw/bVg7HRo
ExOXfiGdbsd2ximZrUVY8zf4keOzXur2MCFo1Fpi68xFVBIfAyq9HPEIFXHACXde7XF4DQoz8nfc60Te2xjJJ3YZjWUL+yE3kEU0sLpEVYCw/GpkDEvSZggo
nbsHP9vAjAIUVbF5laikzcVQr5rvYtImekDv+sk4fXF5EPO2k++u5wHUN9P3i4L88mCGPIAb2EDT6TutNsCCWpL9ETk2mCdyf2EvzHQehSJu5C6K94AvvEST
0wQHKgoPQi9fwB6vgJiFIkbOl4ATgju/DqTiZUL6O4CoEGltRwQTdAWrCx4GRKEu2jNkq1aIJ/aqY7bq8wL/9FxmbhDUKZjWVZJLzCMok8BKGiM+HgoAkmjU
VlwWEkCdExAVVONgA/kQKmwOYTWSyAoPqbxTwkB8OUAKrVBtlK6NuyTK1LLnUqbAw8R7Sw3NbvnWGLQtqFcz+rD2g3i2s/a4wF/tSlquXANd4wJPQz47p61V
UaTWj8PisSSR+XjPQ+CVq/vq9F3m7F/p3B+fwAAAAaMoAa8J4OsLQO/U6O30CDVPJOArgwHc1/Kp8lTtiQtQUa1zoRbfi10cHUqqDgpkMIa/ML6PgR88M+QX
XQiXo9rZcW5YQkhiX0YHNjRJlZFL4WDUzyd7F+xWAl3gA91QK/8nJfKNMpx5skNXei3v7VjxlZ/jvIr76gaf0YzVzadKG8DDQ1RTVIBcQTWmE/4ahWHJedDZ
w+whVNtPUfPHpXFs7hIAJZGJn7VKUtcEBcolb/jQql1ZgYqdj7NgX5wAxgSDMiiTY1jeJXaSHGm/V5qVKaV/nFWrH3ZG/3hDTDzxhpKnGtLvl+9FUZil44//
I/MA8ekJKN/5QToGNtKOx58xb/EbA9/xF7D8iaOcXOt5loTQPmKkFb3E+CTi50dqEP9iJQDckhrmdDexri61Y/ndfcV1xAU6D2u85bpdD5UzUHpvngeHcveP
/iIjM+C+ZrydPqZhjArJXNLjfetXnRNeFDME0lU+zVK5oaBxhMZip04Jf8Itar37ODSf8fj44lv/87YmFWfL8w+lqtEv0VSU1AgVcj1L4fvBo2zjBTL/iaxm
nAAAAmAoAa8J4OsKy8G90Q/CjJlN+KaaLTpxwHOef1XbZuOF4HKbvR3wXaHqsA4Hzqv0bEiRwCp9PgmAmqMh49+CQVuj+fb3Pl/aJ3/ijPuMeD54YcceEDs0
gUQBcMHr0Ere5OwuNwi34/ZbXBBHWZVOLM1+Q1APC9R16/2TEoShjgj16XeJf5gsYCEttHxzw1c9MVpVX6PAFz5G1DBWGUQPTx2XPsreV7OSdV/LcwIXl0RA
xYeR4UnNnV4bpBih+oNNf2aoza3ECcyD/sIKFNpPOzu2jj45UYXTiOdLKUjRPP4gQHe1tAVise+EfR4Z0LsBzBKPIArDSzIbjC67uYbxqcy9kg9C9nu+CNfU
bSefqRvTkQ8Vht5z/sGVAJHn2Vqcvv0GbCx0hV2RcpnM2TyS5fIa1lT3okSmEyp4nWOoIW4ODpOLCAOeV7e12qkYn1xA8KhhuTc37ONekDZTYFGfmMMr1jfD
+cu27/sqtqHSo4iAafxWutON1ZEERy9AWk8E9edQGsmNPSx4q3SLrckOAX+72LT9slr/t+XKjkePt4DowFWza7cONHSne17D/t2Ig2Lq9JtuMuKn64rrxgFi
VxbsENZf1AjmqjELlECwGlUEu/NkuHkERqHO2MVY6oGv2Jqc2dMQnG0hbTV6fGj2UIsuw7VXtRNwsPP7VJzgrC7qgGdboka6daAE718CZ8efgT3abQ1GpPBF
uiNLvQdNjWuUwLS8UrJRW+j5vEpsTgEPN8xYcBqynbGHHVa23EFQ1T7fSBm+fDR50rGxpO1RM4N0kNgxLksr9kL0QpH7s5g4bgAAAaEoAa8J4Ost8DcsTi6K
wZ3us/Jk5PoCV5NeOHtkAutUnrnz6igTXrePBrZnmuhqodXxkXzOgBjgBOvm2nc+LN4BYMO2ETGFBwUkCyhKPvmfvLiM8q+iK8KDkiBRkQf6VMO0t3oN3WuC
1BWn6t3S4kOw2qSETbKntbZlBcX1aNEtfuQqhL+JsndpIi389c2YRxGWIK71GLMExqBllC6G9GYi/tMraxLStNyeAcPLM6Sa6BxsfU4ypMF4cn9OZB8SBGZq
1qQ71ZINNXUKrWLNZ3mwbTne7dtPZmUzUlWxs8FjkjlArbNNeq0XDm+ONB/Omq1N2VsWwY1BJzyUJnKs7vozUidgQIfCRTkQYK9gmZzq3n4r3ivnCR2dTNBI
Io4lsdjwn14upFeiu5dLWeHWZ106l0DiO13H2SDr/P6vSRjoC9m+uFn2P9Qvry4JdBUawIQXKRGrbJEMKiSiiaLjyeS93woX6DBul96o8EpY8e7wvk2BewjO
IRZR6nwP6kFGU5YIi3mwUd/XAPZ6ssF1QSYKkneebvl9AOtbsvnmWyUBd34AAAEBAG4AWg==
PICTURE
python3 -m venv venv
program() { # version of imageio-ffmpeg
    venv/bin/pip install --quiet --disable-pip-version-check --no-deps --target "of-$1" "imageio-ffmpeg==$1"
    echo "of-$1"/imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-*
}
size() { # program
    "$1" -nostdin -hide_banner -v error -i grid.heic -frames:v 1 -f image2pipe -c:v ppm - > out.ppm
    head -n 2 out.ppm | tail -n 1
}
older=$(program 0.6.0)
newer=$(program 0.8.1)
seen=""
for one in "$older" "$newer"; do
    version=$("$one" -version | sed -n 's/^ffmpeg version \([^ ]*\).*/\1/p')
    if given=$(size "$one" 2>/dev/null); then :; else given="an error"; fi
    echo "version:   FFmpeg $version"
    echo "behaviour: of a picture of 110 x 90 in four tiles it writes $given"
    seen="$seen$given;"
done
if [ "$seen" = "64 64;110 90;" ]; then
    echo "as described: the older version gives one tile and no error"
else
    echo "CHANGED: the behaviour is no longer as described" >&2
    exit 1
fi
