#!/usr/bin/env bash
# ONNX Runtime: the makers' builds for Linux report to them, unless a variable forbids it.
#
# Expected: a library that runs models in a process does only what it is called for. A program that imports the library, and loads no
# model, has the same threads and files as before the import.
#
# Happens: when its environment is created (in Python at the import), the library starts a thread, writes the folder
# .cache/Microsoft/DeveloperTools/.onnxruntime in the user's home, with an identifier of the device and an SQLite database, and sends
# reports about the process, models and runs over HTTPS. OrtApi::DisableTelemetryEvents, and `with_telemetry(false)` of the crate
# `ort`, need the environment, so they take effect after the first report. If ORT_DISABLE_TELEMETRY=1 is set before the library is
# opened, there is no thread, no folder and no report.
#
# Source: onnxruntime, version 1.32.0 of PyPI; according to its sources the behaviour is the same since version 1.29.0
# (https://github.com/microsoft/onnxruntime, pull requests 27379 and
# 29843). Builds from source have no telemetry unless they are configured with --use_telemetry.
#
# Why it matters here: nobody else may learn what a classifier process runs. Also, a thread that the library starts keeps the rights
# that the lock-down removes only from the thread that calls it. Classifier processes are started with the variable
# (services/classifier/src/onnx/process.rs), and refuse a library that has started a thread nevertheless
# (services/classifier/src/worker/load.rs). If this script fails, the variable may have another name, or be unnecessary.
#
# Needs python3 with venv, the package registry or its local cache, and `unshare`: the runs have no network. No Vigie code. Fails if
# the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install -q onnxruntime==1.32.0

# Prints the files in the home of a program that imports the library. The variable `CI` also forbids reports.
files_after_import() {
    local home="$folder/home-$1"
    mkdir "$home"
    unshare --map-root-user --net env -u CI HOME="$home" "${@:2}" "$folder/python/bin/python" -c 'import onnxruntime'
    (cd "$home" && find . -type f | sort)
}

plain=$(files_after_import plain A=B)
forbidden=$(files_after_import forbidden ORT_DISABLE_TELEMETRY=1)
echo "after the import: ${plain:-no file}"
echo "with ORT_DISABLE_TELEMETRY=1: ${forbidden:-no file}"
[[ "$plain" == *DeveloperTools/.onnxruntime/deviceid* ]] && [ -z "$forbidden" ]
echo "as described"
