# One image for all roles: `vigie`, and `vigie-loadtest`. Needs BuildKit of Docker 25 or newer.
#
#   docker build --tag vigie --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# The same with the programs ffmpeg and ffprobe, with which frontends decode videos, HEIC, JPEG 2000 and JPEG XL. The two programs are under
# the GPL; see /usr/share/doc/vigie/FFMPEG in the image:
#
#   docker build --target ffmpeg --tag vigie:0.1.0-ffmpeg --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# deploy/image/rehearse runs the stages without an engine, in every check of a change.
#
# Base images are named by digest, so that later builds use the same ones. To find a newer digest: `docker buildx imagetools inspect NAME:TAG`.
ARG RUST=rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f

# The version of Debian's package, which deploy/image/ffmpeg-root installs. When Debian replaces this version, its archive no longer has it,
# and the build fails. `apt-cache policy ffmpeg` shows the new version.
ARG FFMPEG=7:5.1.9-0+deb12u1

# The workspace without its code: manifests, and an empty program instead of every target. The layer that is built from it below
# changes only if the manifests do. The program has a line break between its braces, because find replaces two braces in a row.
FROM ${RUST} AS skeleton
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path './.cargo/*' ! -name '*.rs' -delete \
    && find . -name '*.rs' ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/src/bin/*' ! -path '*/benches/*' \
        ! -path './tests/*/main.rs' ! -name build.rs -delete \
    && find . -name '*.rs' -exec sh -c 'printf "fn main() {\n}\n" >"$1"' _ {} \; \
    && find . -type d -empty -delete

FROM ${RUST} AS build
WORKDIR /src
# `vigie/cloud`: snapshots of matchers in S3, Google Cloud Storage and Azure. `vigie/onnx`: models in files, run by ONNX Runtime, whose library
# the operator provides. With both features: FEATURES=vigie/cloud,vigie/onnx. Without any: FEATURES=""
ARG FEATURES=vigie/cloud
# Without symbols the two programs have 28 and 13 MB.
ENV CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_STRIP=symbols
# All dependencies are compiled here, and kept as a layer.
COPY --from=skeleton /src .
RUN cargo build --release --locked --features "${FEATURES}" -p vigie -p vigie-loadtest
COPY . .
# The code may have older file times than the empty programs, which were just built, and cargo compares file times.
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
    && cargo build --release --locked --features "${FEATURES}" -p vigie -p vigie-loadtest \
    && mkdir -p /out/bin /out/data \
    && cp target/release/vigie target/release/vigie-loadtest /out/bin/ \
    && mkdir /out/doc && cp LICENSE NOTICE /out/doc/

# libc, libgcc, libstdc++ and the certificates of public authorities; no shell, no package manager.
FROM ${RUNTIME} AS image
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vigie" \
    org.opencontainers.image.description="Recognises known images by their fingerprints, exactly and within milliseconds" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/bin/ /usr/local/bin/
COPY --from=build /out/doc/ /usr/share/doc/vigie/
COPY --from=build --chown=65532:65532 /out/data /var/lib/vigie
USER 65532:65532
WORKDIR /var/lib/vigie
# Frontend, coordinator, bank, matcher, gateway; telemetry.
EXPOSE 7740 7741 7742 7750 7780 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --start-interval=1s CMD ["/usr/local/bin/vigie", "health"]
ENTRYPOINT ["/usr/local/bin/vigie"]

# The programs and their libraries from Debian, and the files that their licences require.
FROM ${RUST} AS ffmpeg-root
WORKDIR /src
ARG FFMPEG
COPY deploy/image/ffmpeg-root ./
RUN sh ./ffmpeg-root /out "${FFMPEG}"

FROM image AS ffmpeg
ARG VERSION=0.1.0
ARG FFMPEG
LABEL org.opencontainers.image.title="vigie with ffmpeg" \
    org.opencontainers.image.description="Recognises known images and videos by their fingerprints; with ffmpeg and ffprobe of Debian, programs of others under the GPL" \
    org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-or-later" \
    org.opencontainers.image.version="${VERSION}-ffmpeg" \
    vigie.ffmpeg.version="${FFMPEG}" \
    vigie.ffmpeg.licences="/usr/share/doc/vigie/FFMPEG"
COPY --from=ffmpeg-root /out/ /

# The default target: the image without ffmpeg.
FROM image
