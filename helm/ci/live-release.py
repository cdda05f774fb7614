#!/usr/bin/env python3
"""Plays the API of a cluster in which a release is installed, as far as `helm template --dry-run=server` reads it: which kinds there
are, and the StatefulSets and Services of one namespace, from the YAML that helm rendered for it.

    helm/ci/live-release.py PORT-FILE < OBJECTS.json      (a list of objects)
"""

import http.server
import json
import re
import sys

OBJECTS = json.load(sys.stdin)
KINDS = {"v1": [("services", "Service")], "apps/v1": [("statefulsets", "StatefulSet")]}


def resources(version):
    named = [{"name": name, "kind": kind, "namespaced": True, "singularName": "", "verbs": ["get", "list"]} for name, kind in KINDS[version]]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": named}


def answer(path):
    if path == "/version":
        return {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        version = {"groupVersion": "apps/v1", "version": "v1"}
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "apps", "versions": [version], "preferredVersion": version}]}
    if path in ("/api/v1", "/apis/apps/v1"):
        return resources(path.removeprefix("/apis/").removeprefix("/api/"))
    found = re.fullmatch(r"/(?:api|apis)/(v1|apps/v1)/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?", path)
    if not found:
        return None
    version, namespace, plural, name = found.groups()
    kind = dict(KINDS[version])[plural]
    every = [one for one in OBJECTS if one["kind"] == kind and one["metadata"]["namespace"] == namespace]
    if not name:
        return {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": every}
    return next((one for one in every if one["metadata"]["name"] == name), None)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = answer(self.path.split("?")[0])
        body = json.dumps(said or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
        self.send_response(200 if said else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write(str(server.server_port))
server.serve_forever()
