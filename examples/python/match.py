"""Asks a frontend whether files are known: match.py URL FILE..."""

import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from vigie.matching.v1 import matching_pb2 as matching
from vigie.matching.v1 import matching_pb2_grpc as service
from vigie.model.v1 import model_pb2 as model

DEADLINE_SECONDS = 30
ATTEMPTS_MAX = 5
LIMIT = 10


def api_key() -> str:
    """Returns the API key: the content of the file that VIGIE_API_KEY_FILE names, or the value of VIGIE_API_KEY, or an empty string."""
    file = os.environ.get("VIGIE_API_KEY_FILE")
    return Path(file).read_text().strip() if file else os.environ.get("VIGIE_API_KEY", "")


def connect(url: str, has_key: bool) -> grpc.Channel:
    """Returns a channel over TLS if the URL begins with https:, and in plain text otherwise. A key is sent in plain text only to this machine."""
    address = urlsplit(url)
    if address.scheme == "https":
        credentials = grpc.ssl_channel_credentials()
        return grpc.secure_channel(address.netloc, credentials, compression=grpc.Compression.Gzip)
    if has_key and address.hostname not in ("localhost", "127.0.0.1", "::1"):
        sys.exit(f"the API key would be sent to {address.hostname} in plain text: write https://")
    return grpc.insecure_channel(address.netloc, compression=grpc.Compression.Gzip)


def detail_of(error: grpc.RpcError, message):
    """Returns the message of this type in the details of the error's status, or None."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        if detail.Unpack(message):
            return message
    return None


def ask(stub: service.MatchServiceStub, request: matching.MatchRequest, key: str) -> matching.MatchResponse:
    """Returns the answer, complete or partial."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    metadata = [("authorization", f"Bearer {key}")] if key else []
    for attempt in range(ATTEMPTS_MAX):
        try:
            return stub.Match(request, timeout=deadline - time.monotonic(), metadata=metadata)
        except grpc.RpcError as error:
            partial = detail_of(error, matching.MatchResponse())
            if error.code() == grpc.StatusCode.UNAVAILABLE and partial is not None:
                if not partial.results_omitted:
                    return partial
                request.options.min_coverage = 0
                continue
            busy = detail_of(error, error_details_pb2.RetryInfo())
            pause = busy.retry_delay.ToTimedelta().total_seconds() if busy else None
            if pause is None or attempt + 1 == ATTEMPTS_MAX or time.monotonic() + pause > deadline:
                raise
            time.sleep(pause)
    raise TimeoutError(f"the cluster gave no answer in {ATTEMPTS_MAX} attempts")


def left_out(matched: matching.Matched) -> list[str]:
    """Names the parts that were not searched, and the matches that are not in the answer."""
    found = []
    if matched.HasField("decode_failure"):
        failure = matched.decode_failure
        found.append(f"not decoded, only its digests were searched ({failure.kind}: {failure.message})")
    else:
        for search in matched.searches:
            if search.skip_reason != matching.SKIP_REASON_UNSPECIFIED:
                hash_type = model.HashType.Name(search.hash_type).removeprefix("HASH_TYPE_").lower()
                found.append(f"{hash_type} not searched ({matching.SkipReason.Name(search.skip_reason)})")
    if matched.truncated:
        found.append(f"{matched.matches_left_out} matches left out, because the answer would have been too large")
    elif matched.limit_reached:
        found.append(f"more than {LIMIT} items match")
    for count, what in (
        (matched.frames_left_out, "frames left out"),
        (matched.ways_left_out, "ways left out"),
        (matched.frames_below_floor, "frames of too little detail"),
    ):
        if count:
            found.append(f"{count} {what}")
    return found


def main(url: str, files: list[str]) -> int:
    queries = [matching.MatchQuery(image=Path(file).read_bytes()) for file in files]
    request = matching.MatchRequest(queries=queries, options=model.SearchOptions(limit=LIMIT))
    key = api_key()
    with connect(url, has_key=bool(key)) as channel:
        response = ask(service.MatchServiceStub(channel), request, key)

    known = incomplete = False
    for file, result in zip(files, response.results):
        if result.HasField("failure"):
            print(f"{file}: not searched: {result.failure.message}")
            incomplete = True
            continue
        matches = result.matched.matches
        for match in matches:
            print(f"{file}: known: item {match.item_id} of {match.bank}, distance {match.distance}")
        if not matches:
            print(f"{file}: not known")
        for what in left_out(result.matched):
            print(f"{file}: incomplete: {what}")
            incomplete = True
        known |= bool(matches)

    coverage = response.coverage
    print(f"{coverage.shards_answered} of {coverage.shards_total} shards, as of change {response.sequence}")
    for failure in coverage.failures:
        print(f"shard {failure.shard}: {failure.reason}")
    if coverage.shards_answered < coverage.shards_total:
        return 4
    return 3 if incomplete else 10 if known else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: match.py URL FILE...")
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
