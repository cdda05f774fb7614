"""Calls a server of blobs at a steady rate: client.py ADDRESS CALLERS PAUSE_MS SECONDS. Prints `CALLS LOST`."""

import sys
import threading
import time

import grpc

DEADLINE_SECONDS = 10
# A message whose field 2 holds 100 bytes.
REQUEST = bytes([0x12, 100]) + bytes(100)


def main(address, callers, pause_ms, seconds):
    channel = grpc.insecure_channel(address)
    put = channel.unary_unary("/test.v1.BlobService/Put")
    begun = time.monotonic()
    made, lost = [0] * callers, []

    def call(caller):
        while (due := begun + made[caller] * pause_ms / 1000) < begun + seconds:
            time.sleep(max(0, due - time.monotonic()))
            made[caller] += 1
            try:
                put(REQUEST, timeout=DEADLINE_SECONDS)
            except grpc.RpcError as error:
                lost.append(f"{error.code()}: {error.details()}")

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in lost[:20]:
        print(one, file=sys.stderr)
    print(sum(made), len(lost))


main(sys.argv[1], *map(int, sys.argv[2:5]))
