#!/usr/bin/env python3
"""Makes the JSON schemas that kubeconform holds the chart's objects against: for each version of Kubernetes, of its own
OpenAPI document, and of the definitions of the resources of two operators and of the Gateway API. All of them come as Go modules.

    helm/ci/make-schemas.py helm/ci/schemas

Needs Go and PyYAML. Only who adds a version runs it: what it makes is committed.
"""

import json
import pathlib
import subprocess
import sys

import yaml

KUBERNETES = ["v1.29.6", "v1.30.14", "v1.31.14", "v1.32.13", "v1.33.13", "v1.34.4", "v1.35.4", "v1.36.3"]
KINDS = [
    ("io.k8s.api.core.v1", "ConfigMap"),
    ("io.k8s.api.core.v1", "Service"),
    ("io.k8s.api.core.v1", "ServiceAccount"),
    ("io.k8s.api.core.v1", "Pod"),
    ("io.k8s.api.apps.v1", "Deployment"),
    ("io.k8s.api.apps.v1", "StatefulSet"),
    ("io.k8s.api.autoscaling.v2", "HorizontalPodAutoscaler"),
    ("io.k8s.api.batch.v1", "CronJob"),
    ("io.k8s.api.batch.v1", "Job"),
    ("io.k8s.api.networking.v1", "Ingress"),
    ("io.k8s.api.networking.v1", "NetworkPolicy"),
    ("io.k8s.api.policy.v1", "PodDisruptionBudget"),
]
GATEWAY_API = "sigs.k8s.io/gateway-api@v1.6.3"
OPERATORS = [
    (GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml"),
    (GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml"),
    ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds/cert-manager.io_certificates.yaml"),
    (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    ),
    (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
]
PREFIX = "#/definitions/"
# Values that are a number or a text; the document calls them texts.
EITHER = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "io.k8s.apimachinery.pkg.api.resource.Quantity",
}


def folder(module):
    said = subprocess.run(["go", "mod", "download", "-json", module], check=True, capture_output=True, text=True)
    return pathlib.Path(json.loads(said.stdout)["Dir"])


def closed(schema):
    """The schema without its prose, and with unknown keys refused wherever the keys are listed."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for key, value in schema.items():
        if key in ("description", "example") and isinstance(value, str):
            continue
        if key == "properties":
            kept[key] = {name: closed(one) for name, one in value.items()}
        elif not key.startswith("x-kubernetes"):
            kept[key] = closed(value)
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    # The document says of numbers how wide they are, which is no format of JSON's.
    if kept.get("format") in ("int32", "int64", "double", "byte", "int-or-string"):
        del kept["format"]
    if "properties" in kept and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    return kept


def needed(definitions, name, found):
    if name not in found:
        schema = {"type": ["string", "integer", "number"]} if name in EITHER else closed(definitions[name])
        found[name] = schema
        for one in references(schema):
            needed(definitions, one.removeprefix(PREFIX), found)
    return found


def references(schema):
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for one in schema:
            yield from references(one)


def write(path, schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")


def main(out):
    for version in KUBERNETES:
        document = json.loads((folder(f"k8s.io/kubernetes@{version}") / "api/openapi-spec/swagger.json").read_text())
        minor = "v" + ".".join(version.removeprefix("v").split(".")[:2])
        found = {}
        for group, kind in KINDS:
            needed(document["definitions"], f"{group}.{kind}", found)
        # One file, which the files of the kinds point into.
        write(out / minor / "definitions.json", {"definitions": found})
        for group, kind in KINDS:
            write(out / minor / f"{kind.lower()}.json", {"$ref": f"definitions.json{PREFIX}{group}.{kind}"})
    for module, path in OPERATORS:
        resource = next(one for one in yaml.safe_load_all((folder(module) / path).read_text()) if one)
        served = next(one for one in resource["spec"]["versions"] if one["served"])
        schema = closed(served["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        write(out / "operators" / f"{resource['spec']['names']['kind'].lower()}.json", schema)


main(pathlib.Path(sys.argv[1]))
