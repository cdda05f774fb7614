#!/usr/bin/env python3
"""Serves a list of hashes in the formats of four hash-sharing programmes, as small as python-threatexchange's clients allow.

    reference_server.py ENTRIES.json

The file is read anew for each request, and holds a list of objects in the order of their changes:

    {"key": "7", "type": "pdq" or "video_md5", "value": "<hex>", "time": <unix seconds>, "removed": false}

The base URLs are printed as one JSON object in one line. With `--unavailable N` the first N requests are answered with 503, and with
`--lose VALUE` the entry of that value is left out: with these a test of the tests is made. Ends with its standard input.
"""

import argparse
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit
from datetime import datetime, timezone

# Entries of a page.
PAGE = {"ncmec": 1000, "te": 100, "stopncii": 200, "tat": 250}
NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"


def iso(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text):
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())


class Feeds:
    def __init__(self, path, lost, unavailable, base):
        self.path, self.lost, self.unavailable, self.base = path, lost, unavailable, base
        self.lock = threading.Lock()

    def entries(self):
        with open(self.path) as stored:
            return [one for one in json.load(stored) if one["value"] != self.lost]

    def is_unavailable(self):
        with self.lock:
            self.unavailable -= 1
            return self.unavailable >= 0

    def ncmec(self, query):
        begin, end = unix(query["from"]), unix(query["to"])
        found = [one for one in self.entries() if begin < one["time"] <= end]
        start = int(query.get("start", "1")) - 1
        page, size = found[start : start + PAGE["ncmec"]], PAGE["ncmec"]
        groups = []
        for group, kind in (("images", "pdq"), ("videos", "video_md5")):
            inner, times = [], []
            for one in page:
                if one["type"] != kind:
                    continue
                times.append(one["time"])
                name = group[:-1]
                head = f'<member id="42">Member</member><timestamp>{iso(one["time"])}</timestamp><id>{one["key"]}</id>'
                if one["removed"]:
                    inner.append(f"<deleted{name.title()}>{head}</deleted{name.title()}>")
                else:
                    tag = "pdq" if kind == "pdq" else "md5"
                    prints = f'<fingerprints><{tag}>{one["value"]}</{tag}></fingerprints>'
                    inner.append(f"<{name}>{head}<classification>A1</classification>{prints}</{name}>")
            newest = f' maxTimestamp="{iso(max(times))}"' if times else ""
            groups.append(f'<{group} count="{len(inner)}"{newest}>{"".join(inner)}</{group}>')
        paging = ""
        if start + size < len(found):
            link = f'/v2/entries?from={query["from"]}&to={query["to"]}&start={start + size + 1}&size={size}&max={len(found)}'
            paging = f'<paging><next>{link.replace("&", "&amp;")}</next></paging>'
        return f'<queryResult xmlns="{NAMESPACE}">{"".join(groups)}{paging}</queryResult>'

    def te(self, query):
        since, after = int(query.get("start_time") or 0), int(query.get("after", "0"))
        found = [one for one in self.entries() if one["time"] >= since]
        page = found[after : after + PAGE["te"]]
        updates = []
        for one in page:
            kind = "HASH_PDQ" if one["type"] == "pdq" else "HASH_VIDEO_MD5"
            update = {"id": one["key"], "indicator": one["value"], "type": kind, "last_updated": one["time"]}
            update["should_delete"] = one["removed"]
            if not one["removed"]:
                descriptor = {"id": "1" + one["key"], "owner": {"id": "555"}, "status": "MALICIOUS", "tags": {"data": []}}
                update["descriptors"] = {"data": [descriptor]}
            updates.append(update)
        answer = {"data": updates}
        if after + PAGE["te"] < len(found):
            token = quote(query["access_token"], safe="")
            link = f"{self.base}/te/1/threat_updates/?access_token={token}&start_time={since}&after={after + PAGE['te']}"
            answer["paging"] = {"next": link}
        return answer

    def stopncii(self, query):
        since, after = int(query["startTimestamp"]), int(query.get("nextPageToken") or "0")
        found = [one for one in self.entries() if one["time"] >= since]
        page = found[after : after + PAGE["stopncii"]]
        more = after + PAGE["stopncii"] < len(found)
        records = []
        for one in page:
            status = "Withdrawn" if one["removed"] else "Active"
            records.append(
                {
                    "lastModtimestamp": one["time"],
                    "signalType": "ImagePDQ" if one["type"] == "pdq" else "VideoMD5",
                    "hashValue": one["value"],
                    "hashStatus": status,
                    "caseNumbers": {"00000000-0000-0000-0000-000000000001": status},
                    "CSPFeedbacks": [],
                }
            )
        return {
            "count": len(records),
            "nextPageToken": str(after + PAGE["stopncii"]) if more else None,
            "nextSetTimestamp": max((one["time"] for one in page), default=since),
            "hasMoreRecords": more,
            "hashRecords": records,
        }

    def tat(self, text):
        # The client appends its parameters behind a second question mark.
        query = {key: values[-1] for key, values in parse_qs(text.rpartition("?")[2]).items()}
        after = query.get("after", "")
        cursor = query.get("cursor") or after
        found = self.entries()
        begin = next((at + 1 for at, one in enumerate(found) if f'{one["time"]},{one["key"]}' == cursor), 0)
        begin = int(query["page"]) if "page" in query else begin
        page = found[begin : begin + PAGE["tat"]]
        results = []
        for one in page:
            is_pdq = one["type"] == "pdq"
            results.append(
                {
                    "hash_digest": one["value"],
                    "algorithm": "PDQ" if is_pdq else "MD5",
                    "ideology": "islamist",
                    "file_type": "jpg" if is_pdq else "mp4",
                    "deleted": one["removed"],
                    "updated_on": float(one["time"]),
                    "created_on": iso(one["time"]),
                    "id": int(one["key"]),
                }
            )
        end = begin + PAGE["tat"]
        link = f"{self.base}/tat/api/hash-list/v2/all?page={end}" if end < len(found) else None
        checkpoint = f'{page[-1]["time"]},{page[-1]["key"]}' if page else ""
        return {"count": len(found), "next": link, "previous": None, "checkpoint": checkpoint, "results": results}


def handler(feeds):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, body, kind="application/json"):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            parts = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            if feeds.is_unavailable():
                self.answer(503, {"message": "not now"})
            elif parts.path == "/ncmec/v2/entries":
                self.answer(200, feeds.ncmec(query), "application/xml")
            elif parts.path == "/te/1/threat_updates/":
                self.answer(200, feeds.te(query))
            elif parts.path == "/stopncii/FetchHashes":
                self.answer(200, feeds.stopncii(query))
            elif parts.path == "/tat/api/hash-list/v2/all":
                self.answer(200, feeds.tat(self.path))
            else:
                self.answer(404, {"message": parts.path})

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.answer(200, {"token": "t", "user": {}})

    return Handler


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("entries")
    parser.add_argument("--unavailable", type=int, default=0)
    parser.add_argument("--lose", default="")
    arguments = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), None)
    base = f"http://127.0.0.1:{server.server_address[1]}"
    server.RequestHandlerClass = handler(Feeds(arguments.entries, arguments.lose, arguments.unavailable, base))
    print(json.dumps({name: f"{base}/{name}" for name in PAGE}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
