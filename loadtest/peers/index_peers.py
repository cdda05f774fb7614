#!/usr/bin/env python3
"""Runs other libraries on the files of `vigie-loadtest data`, and Vigie beside them, and prints one table.

    python3 -m pip install faiss-cpu usearch numpy        # Python 3.11 or later
    cargo build --release -p vigie-loadtest
    target/release/vigie-loadtest data --shape pdq --hashes 1000000 --out target/pdq-1m
    python3 loadtest/peers/index_peers.py --data target/pdq-1m --vigie target/release/vigie-loadtest --markdown

What makes the figures comparable:

- All search the same queries within the same distance, one at a time, on one thread. Batches on one thread are an
  extra column. Indexes are built on all cores.
- Rounds take turns: Vigie, then each peer, then Vigie again. A figure is the median over the rounds; beside the ratio
  of the medians is its range over the rounds, which shows how noisy the machine was.
- Every peer has a process of its own, so that its memory is what that process took more while it built.
- Vigie runs through all queries of the file, a slow peer through the first of them only: repeating few queries would
  put what they touch into Vigie's caches.
- The answers of range searches are compared with the file's. Approximate peers find the k nearest; their recall is the
  share of the rows within the distance (k at most) that they found.
- Times of peers include their Python call, which is measured on an index of one hash and printed below the table.
"""

import argparse
import gc
import json
import multiprocessing
import os
import statistics
import struct
import subprocess
import sys
import time

import numpy

BITS = 256
BYTES = BITS // 8


def read_hashes(path):
    hashes = numpy.fromfile(path, dtype=numpy.uint8)
    if len(hashes) == 0 or len(hashes) % BYTES:
        sys.exit(f"{path} is damaged: {len(hashes)} bytes are not a whole number of {BYTES}-byte hashes")
    return hashes.reshape(-1, BYTES)


def read_answers(path, radius):
    """For each answered query: how many rows lie within the radius, and which (None if they are not all listed)."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != b"VIGANS01":
        sys.exit(f"{path} is not a file of answers of this version")
    _, answered = struct.unpack_from("<QQ", data, 8)
    radius_count = struct.unpack_from("<I", data, 88)[0]
    radii = struct.unpack_from(f"<{radius_count}I", data, 92)
    if radius not in radii:
        sys.exit(f"{path} holds answers within {radii}, not within {radius}")
    level = radii.index(radius)
    at = 92 + 4 * radius_count
    answers = []
    for _ in range(answered):
        count = struct.unpack_from("<Q", data, at + 16 * level)[0]
        at += 16 * radius_count
        listed_radii, listed = struct.unpack_from("<II", data, at)
        rows = numpy.frombuffer(data, dtype="<u4", count=2 * listed, offset=at + 8).reshape(-1, 2)
        at += 8 + 8 * listed
        within = set(rows[rows[:, 1] <= radius, 0].tolist()) if level < listed_radii else None
        answers.append((count, within))
    return answers


def resident_bytes():
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/smaps_rollup has no line Rss")


class FaissRange:
    """A FAISS index with range search. Its bound is exclusive, so the radius is one more; the answers show that."""

    exact = True

    def __init__(self, faiss, index, train=None):
        self.faiss = faiss
        self.index = index
        self.train = train

    def build(self, rows, cores):
        self.faiss.omp_set_num_threads(cores)
        if self.train is not None:
            self.index.train(rows[: self.train])
        self.index.add(rows)
        self.faiss.omp_set_num_threads(1)

    def search(self, queries, radius, _):
        """The rows found for each query."""
        limits, _, rows = self.index.range_search(queries, radius + 1)
        return limits, rows

    def found(self, queries, radius, k):
        limits, rows = self.search(queries, radius, k)
        return [rows[limits[at] : limits[at + 1]].tolist() for at in range(len(queries))]


class FaissNearest(FaissRange):
    """A FAISS index that knows only the k nearest."""

    exact = False

    def search(self, queries, _, k):
        return self.index.search(queries, k)

    def found(self, queries, radius, k):
        distances, rows = self.search(queries, radius, k)
        return [row[(distance <= radius) & (row >= 0)].tolist() for distance, row in zip(distances, rows)]


class FaissApproximateRange(FaissRange):
    exact = False


class Usearch:
    exact = False

    def __init__(self, index):
        self.index = index

    def build(self, rows, cores):
        self.index.add(numpy.arange(len(rows), dtype=numpy.uint64), rows, threads=cores)

    def search(self, queries, _, k):
        return self.index.search(queries if len(queries) > 1 else queries[0], k, threads=1)

    def found(self, queries, radius, k):
        matches = [self.search(queries[at : at + 1], radius, k) for at in range(len(queries))]
        return [match.keys[match.distances <= radius].tolist() for match in matches]


def make(name, rows, options):
    """The peer of that name, and what it is called in the table."""
    if name == "usearch":
        from usearch.index import Index, MetricKind, ScalarKind

        index = Index(
            ndim=BITS,
            metric=MetricKind.Hamming,
            dtype=ScalarKind.B1,
            connectivity=options.connectivity,
            expansion_add=options.expansion_add,
            expansion_search=options.expansion_search,
        )
        return Usearch(index), f"usearch HNSW M={options.connectivity} ef={options.expansion_search}"
    import faiss

    if name == "flat":
        return FaissRange(faiss, faiss.IndexBinaryFlat(BITS)), "FAISS IndexBinaryFlat"
    if name == "multihash":
        index = faiss.IndexBinaryMultiHash(BITS, 16, 16)
        index.nflip = 1
        return FaissRange(faiss, index), "FAISS IndexBinaryMultiHash 16x16, 1 flip"
    if name == "hnsw":
        index = faiss.IndexBinaryHNSW(BITS, options.connectivity)
        index.hnsw.efConstruction = options.expansion_add
        index.hnsw.efSearch = options.expansion_search
        label = f"FAISS IndexBinaryHNSW M={options.connectivity} ef={options.expansion_search}"
        return FaissNearest(faiss, index), label
    if name == "ivf":
        # FAISS wants at least 39 training rows for each list.
        lists = max(1, min(int(4 * len(rows) ** 0.5), len(rows) // 40))
        quantizer = faiss.IndexBinaryFlat(BITS)
        index = faiss.IndexBinaryIVF(quantizer, BITS, lists)
        index.nprobe = min(lists, options.probes)
        # Kept alive: the index does not own it.
        index.held_quantizer = quantizer
        label = f"FAISS IndexBinaryIVF {lists} lists, {index.nprobe} probed"
        return FaissApproximateRange(faiss, index, train=min(len(rows), 40 * lists)), label
    raise ValueError(name)


def recall_of(peer, queries, answers, radius, k):
    """Whether all answers are equal, and the share of the right rows that was found."""
    equal, right, found_right = True, 0, 0
    for at, (count, rows) in enumerate(answers[: len(queries)]):
        found = peer.found(queries[at : at + 1], radius, k)[0]
        equal = equal and len(found) == count and (rows is None or set(found) == rows)
        if rows is not None:
            reachable = min(count, k) if isinstance(peer, (FaissNearest, Usearch)) else count
            right += reachable
            found_right += min(reachable, len(rows & set(found)))
    return equal, found_right / right if right else 1.0


def serve(name, options, pipe):
    """One peer: builds, checks, then measures a round at each request."""
    try:
        rows = read_hashes(options.data)
        queries = read_hashes(options.data + ".queries")[: options.queries]
        answers = read_answers(options.data + ".answers", options.radius)
        # What a call costs that finds nothing to do. It also loads the library before memory is counted.
        lone, _ = make(name, rows[:1], options)
        lone.build(rows[:1], 1)
        calls = [timed(lone, queries[:1], options) for _ in range(200)]

        peer, label = make(name, rows, options)
        gc.collect()
        before = resident_bytes()
        begin = time.perf_counter()
        peer.build(rows, os.cpu_count())
        build_seconds = time.perf_counter() - begin
        bytes_per_hash = (resident_bytes() - before) / len(rows)
        equal, recall = recall_of(peer, queries, answers, options.radius, options.k)
        pipe.send(
            {
                "name": name,
                "label": label,
                "build_seconds": build_seconds,
                "bytes_per_hash": bytes_per_hash,
                "equal": equal,
                "recall": recall,
                "call_us": statistics.median(calls),
                "checked": min(len(queries), len(answers)),
            }
        )
        while pipe.recv():
            times = [timed(peer, queries[at : at + 1], options) for at in range(len(queries))]
            batch = timed(peer, queries, options)
            pipe.send(
                {
                    "median_us": float(numpy.percentile(times, 50)),
                    "p99_us": float(numpy.percentile(times, 99)),
                    "batch_per_second": len(queries) / batch * 1e6,
                }
            )
    except Exception as error:  # the parent reports it; a traceback of a child would be lost among others
        pipe.send({"name": name, "error": f"{type(error).__name__}: {error}"})


def timed(peer, queries, options):
    """Microseconds of one call."""
    begin = time.perf_counter_ns()
    peer.search(queries, options.radius, options.k)
    return (time.perf_counter_ns() - begin) / 1e3


def vigie(engine, options):
    """One round of ours: a process that builds, checks every answer and measures."""
    command = [options.vigie, "index", "--data", options.data, "--engine", engine, "--radius", str(options.radius)]
    command += ["--measure", "latency,throughput", "--rounds", "1", "--threads", "1", "--batch", str(options.batch)]
    command += ["--slice-milliseconds", str(options.slice_milliseconds), "--json"]
    if options.ours_queries:
        command += ["--queries", str(options.ours_queries)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    report = json.loads(done.stdout)
    answers = next(one for one in report["answers"] if one["radius"] == options.radius)
    batched = next(one for one in report["throughput"] if one["batch"] == options.batch)
    return report, {
        "label": f"Vigie {engine}",
        "build_seconds": report["build_seconds"],
        "bytes_per_hash": report["memory"]["resident_bytes_per_hash"],
        "equal": answers["equal"],
        "recall": answers["recall"],
        "checked": answers["queries"],
        "median_us": report["latency"]["median_us"],
        "p99_us": report["latency"]["p99_us"],
        "batch_per_second": batched["queries_per_second"],
    }


ROUND_FIGURES = ["median_us", "p99_us", "batch_per_second"]


def over_rounds(fixed, rounds):
    """One line of the table: what does not change, and the median over the rounds of what does."""
    line = dict(fixed)
    for figure in ROUND_FIGURES:
        line[figure] = statistics.median(one[figure] for one in rounds)
    line["rounds"] = rounds
    return line


def ratio(peer, ours, figure, inverse=False):
    """How many times better ours is, and the range over the rounds."""

    def of(one, other):
        return one[figure] / other[figure] if not inverse else other[figure] / one[figure]

    each = [of(one, other) for one, other in zip(peer["rounds"], ours["rounds"])]
    return f"{of(peer, ours):.3g}x ({min(each):.3g}-{max(each):.3g})"


def cells(line, ours):
    own = line is ours

    def beside(text, figure, inverse=False):
        return text if own else f"{text} / {ratio(line, ours, figure, inverse)}"

    def plain(value, reference):
        return f"{value:.4g}" if own or not reference else f"{value:.4g} / {value / reference:.2f}x"

    return [
        line["label"],
        beside(f"{line['median_us']:.4g}", "median_us"),
        beside(f"{line['p99_us']:.4g}", "p99_us"),
        beside(f"{line['batch_per_second']:.4g}", "batch_per_second", inverse=True),
        plain(line["bytes_per_hash"], ours["bytes_per_hash"]),
        plain(line["build_seconds"], ours["build_seconds"]),
        f"{line['recall']:.4f}, {'equal' if line['equal'] else 'not equal'} ({line['checked']})",
    ]


HEADER = [
    "engine",
    "median us / x ours",
    "p99 us / x ours",
    "batched queries/s / x slower",
    "bytes a hash / x ours",
    "build s / x ours",
    "recall, answers (queries checked)",
]


def table(lines, markdown):
    body = [HEADER] + [cells(line, lines[0]) for line in lines]
    if markdown:
        body.insert(1, ["---"] * len(HEADER))
        return "\n".join("| " + " | ".join(row) + " |" for row in body)
    widths = [max(len(row[column]) for row in body) for column in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in body)


def arguments():
    parser = argparse.ArgumentParser(description="Compares an index of Vigie with other libraries on the same files.")
    parser.add_argument("--data", required=True, help="a file that `vigie-loadtest data` wrote")
    parser.add_argument("--vigie", required=True, help="the program vigie-loadtest")
    parser.add_argument("--engines", default="mih", help="Vigie's engines; the first is what ratios are to")
    parser.add_argument(
        "--peers", help="of flat,multihash,hnsw,ivf,usearch; by default all up to 1 M hashes, flat,multihash,ivf above"
    )
    parser.add_argument("--radius", type=int, default=31)
    parser.add_argument("--queries", type=int, default=1_000, help="queries of a peer's round, from the first")
    parser.add_argument("--ours-queries", type=int, help="queries of Vigie's rounds; by default all of the file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slice-milliseconds", type=int, default=1_000, help="how long a round of Vigie measures")
    parser.add_argument("--batch", type=int, default=64, help="Vigie's batches; a peer gets its queries in one call")
    parser.add_argument("--k", type=int, default=10, help="what peers without range search are asked for")
    parser.add_argument("--connectivity", type=int, default=32, help="of the HNSW graphs (M)")
    parser.add_argument("--expansion-add", type=int, default=100, help="of the HNSW graphs (ef at construction)")
    parser.add_argument("--expansion-search", type=int, default=64, help="of the HNSW graphs (ef at search)")
    parser.add_argument("--probes", type=int, default=32, help="lists that IVF looks into")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", help="where to write all figures")
    return parser.parse_args()


def start(name, options, context):
    """A peer that is built and checked; None if it failed."""
    print(f"building {name}", file=sys.stderr)
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(name, options, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        fixed = ours.recv()
    except EOFError:
        fixed = {"error": "its process died, perhaps for want of memory"}
    if "error" in fixed:
        print(f"{name} failed and is left out: {fixed['error']}", file=sys.stderr)
        return None
    return ours, fixed, []


def main():
    options = arguments()
    hashes = os.path.getsize(options.data) // BYTES
    few = hashes <= 1_000_000
    names = options.peers or ("flat,multihash,hnsw,ivf,usearch" if few else "flat,multihash,ivf")
    context = multiprocessing.get_context("spawn")
    peers = [peer for peer in (start(name, options, context) for name in names.split(",")) if peer]
    engines = [(engine, []) for engine in options.engines.split(",")]
    machine = None
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for engine, rounds in engines:
            report, figures = vigie(engine, options)
            machine = machine or report["machine"]
            rounds.append(figures)
        for pipe, _, rounds in peers:
            pipe.send(True)
            rounds.append(pipe.recv())
    for pipe, _, _ in peers:
        pipe.send(False)
    lines = [over_rounds(rounds[-1], rounds) for _, rounds in engines]
    lines += [over_rounds(fixed, rounds) for _, fixed, rounds in peers]
    print(
        f"{options.data}: {hashes:,} hashes, radius {options.radius}, {options.rounds} rounds, one thread; "
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load_before']} at the beginning\n"
    )
    print(table(lines, options.markdown))
    calls = ", ".join(f"{fixed['name']} {fixed['call_us']:.1f} us" for _, fixed, _ in peers)
    print(f"\nOf which the Python call: {calls}.")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "lines": lines}, file, indent=1)


if __name__ == "__main__":
    main()
