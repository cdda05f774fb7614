#!/usr/bin/env bash
# python-threatexchange, version 1.2.17: its StopNCII exchange keeps a withdrawn hash, and takes up one that it never had.
#
# Expected: a StopNCII record has the state of its hash (`hashStatus`: Active, Withdrawn, Deleted ...). A later record for the same type
# and value replaces the earlier one. So after a record with `hashStatus` Withdrawn the hash matches no more, and a follower that
# never had the hash does not get it from the withdrawal.
#
# Happens: after the withdrawal the state of the follower still has the hash, and `naive_convert_to_signal_type` returns it for
# matching. A follower whose first record is the withdrawal also has the hash afterwards.
#
# Why: the mapping of a record to a change compares `record.hashValue`, the hash, with the words Withdrawn and Deleted, instead of
# `record.hashStatus`. No hash equals one of these words, so every record is treated as active.
#
# Source: threatexchange, version 1.2.17 (https://pypi.org/project/threatexchange), exchanges/impl/stop_ncii_api.py,
# `_get_delta_mapping`. HMA, version 1.1.7 uses this package.
#
# Why it matters here: a person who withdraws a picture expects that it matches no more. Our own follower reads the state
# (services/core/formats/src/stop_ncii/mapping.rs). Our feed sends a follower no withdrawal of a hash that it cannot have, and no
# withdrawal twice (services/gateway/src/feeds/stop_ncii.rs), so that these clients at least get no hash from a withdrawal. They keep
# the hashes that they have until they start again from the beginning, as the README says. If this script fails, that advice may have
# become unnecessary.
#
# Needs python3 with venv, and the package registry or its cache. No Vigie code. Fails if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install -q threatexchange==1.2.17
cat > follow.py <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

from threatexchange.exchanges.clients.stopncii.api import StopNCIIAPI
from threatexchange.exchanges.collab_config import CollaborationConfigBase
from threatexchange.exchanges.impl.stop_ncii_api import StopNCIISignalExchangeAPI
from threatexchange.signal_type.pdq.signal import PdqSignal

KNOWN, NEVER = "0f" * 32, "3c" * 32


def record(value, status, at):
    return {"lastModtimestamp": at, "signalType": "ImagePDQ", "hashValue": value, "hashStatus": status,
            "caseNumbers": {"00000000-0000-4000-8000-000000000001": status}, "CSPFeedbacks": []}


ROUNDS = [[record(KNOWN, "Active", 100)], [record(KNOWN, "Withdrawn", 200), record(NEVER, "Withdrawn", 201)]]


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        records = ROUNDS.pop(0)
        page = {"count": len(records), "nextPageToken": None, "hasMoreRecords": False, "hashRecords": records,
                "nextSetTimestamp": records[-1]["lastModtimestamp"]}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = StopNCIIAPI("subscription", "function", base_url_override=f"http://127.0.0.1:{server.server_port}")
config = CollaborationConfigBase(name="x", api="stop_ncii", enabled=True)
exchange, state, checkpoint, seen = StopNCIISignalExchangeAPI(config, client), {}, None, []
for _ in range(2):
    for delta in exchange.fetch_iter([PdqSignal], checkpoint):
        exchange.naive_fetch_merge(state, delta.updates)
        checkpoint = delta.checkpoint
    matched = exchange.naive_convert_to_signal_type([PdqSignal], config, state).get(PdqSignal, {})
    seen.append(sorted(matched))
print("threatexchange", version("threatexchange"))
print("matched after the hash was shared: the hash" if seen[0] == [KNOWN] else f"matched first: {len(seen[0])}")
kept, taken_up = KNOWN in seen[1], NEVER in seen[1]
print("after its withdrawal the hash is", "matched as before" if kept else "gone")
print("a hash that was never had and is withdrawn is", "matched now" if taken_up else "not there")
raise SystemExit(0 if seen[0] == [KNOWN] and kept and taken_up else 1)
PYTHON
if python/bin/python follow.py; then
    echo "still so: withdrawals are not applied"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
