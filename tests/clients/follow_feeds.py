#!/usr/bin/env python3
"""Follows feeds of hash-sharing programmes with python-threatexchange's own clients, and prints what a platform would match.

    follow_feeds.py --ncmec URL --te URL --stopncii URL --tat URL --file PATH

Each feed is followed until it is exhausted, from the beginning or from the state that an earlier call kept (`--state DIRECTORY`).
With `--resume` a client is started again from every checkpoint that was delivered, and has to end with the same set.
One JSON object goes to standard output, with one key for each feed:

    hashes       by signal type, sorted: what `naive_convert_to_signal_type` gives of the fetched records
    records      how many records the client holds
    pages        how many deltas it took
    checkpoint   the last one, as text
    withdrawn    StopNCII only: values whose latest status is Withdrawn or Deleted; the client keeps matching these (a known defect)
    resumed      with --resume: from how many checkpoints
    error        the exception, if there was one; nothing else is reliable then

The exit code is 1 if a feed failed or a resumed client ended with another set, and 77 without the package threatexchange.
"""

import argparse
import json
import os
import pickle
import sys
import time
import traceback
import types

# The NCMEC client formats local times and calls them UTC.
os.environ["TZ"] = "UTC"
time.tzset()

try:
    from threatexchange.exchanges.clients.fb_threatexchange.api import ThreatExchangeAPI
    from threatexchange.exchanges.clients.ncmec.hash_api import NCMECEnvironment, NCMECHashAPI
    from threatexchange.exchanges.clients.stopncii.api import StopNCIIAPI
    from threatexchange.exchanges.clients.techagainstterrorism.api import TATHashListAPI
    from threatexchange.exchanges.collab_config import CollaborationConfigBase, CollaborationConfigWithDefaults
    from threatexchange.exchanges.impl.fb_threatexchange_api import (
        FBThreatExchangeCollabConfig,
        FBThreatExchangeSignalExchangeAPI,
    )
    from threatexchange.exchanges.impl.file_api import FileCollaborationConfig, LocalFileSignalExchangeAPI
    from threatexchange.exchanges.impl.ncmec_api import NCMECCollabConfig, NCMECSignalExchangeAPI
    from threatexchange.exchanges.impl.stop_ncii_api import StopNCIISignalExchangeAPI
    from threatexchange.exchanges.impl.techagainstterrorism_api import TATSignalExchangeAPI
    from threatexchange.signal_type.md5 import VideoMD5Signal
    from threatexchange.signal_type.pdq.signal import PdqSignal
except ImportError as error:
    print(f"the package threatexchange is not there: {error}", file=sys.stderr)
    sys.exit(77)

TYPES = [PdqSignal, VideoMD5Signal]
# A resumption from each of more checkpoints than this takes long; they are taken evenly then.
RESUMPTIONS_MAX = 40


def pair(text):
    name, _, secret = text.partition(":")
    return name, secret


def ncmec(url, credential, _):
    user, password = pair(credential or "user:password")

    class Exchange(NCMECSignalExchangeAPI):
        def get_client(self, environment):
            return NCMECHashAPI(user, password, types.SimpleNamespace(value=url))

    config = NCMECCollabConfig(name="ncmec", environment=next(iter(NCMECEnvironment)))
    return Exchange(config, user, password), config


def threat_exchange(url, credential, arguments):
    client = ThreatExchangeAPI(credential or "12345678|" + "a" * 24, endpoint_override=url)
    config = FBThreatExchangeCollabConfig(name="te", privacy_group=arguments.privacy_group)
    return FBThreatExchangeSignalExchangeAPI(client, config), config


def stop_ncii(url, credential, arguments):
    # The status of each record, which the exchange class does not look at.
    statuses = arguments.statuses
    fetch_key, subscription = pair(credential or "fetch-key:subscription-key")
    client = StopNCIIAPI(subscription, fetch_key, base_url_override=url)
    config = CollaborationConfigBase(name="stopncii", api="stop_ncii", enabled=True)
    exchange = StopNCIISignalExchangeAPI(config, client)
    pages = client.fetch_hashes_iter

    def watched(**options):
        for page in pages(**options):
            for record in page.hashRecords:
                statuses[record.signalType.name, record.hashValue] = record.hashStatus.name
            yield page

    client.fetch_hashes_iter = watched
    return exchange, config


def tat(url, credential, _):
    user, password = pair(credential or "user:password")
    TATHashListAPI.BASE_URL = url if url.endswith("/") else url + "/"
    return TATSignalExchangeAPI(user, password), CollaborationConfigWithDefaults(name="tat", api="tat")


def file(path, _, __):
    config = FileCollaborationConfig(name="file", filename=path)
    return LocalFileSignalExchangeAPI(config), config


FEEDS = {"ncmec": ncmec, "te": threat_exchange, "stopncii": stop_ncii, "tat": tat, "file": file}


class Follower:
    """A client with what it has fetched so far."""

    def __init__(self, make, state=None, checkpoint=None):
        self.exchange, self.config = make()
        # Records are never changed after they are fetched, so followers may share them.
        self.state, self.checkpoint = dict(state or {}), checkpoint
        self.delivered = []

    def follow(self, keep_all):
        """Fetches until the feed is exhausted. A file is read whole, so what it lacks is gone."""
        if isinstance(self.exchange, LocalFileSignalExchangeAPI):
            self.state = {}
        try:
            for delta in self.exchange.fetch_iter(TYPES, self.checkpoint):
                self.exchange.naive_fetch_merge(self.state, delta.updates)
                self.checkpoint = delta.checkpoint
                self.delivered.append((dict(self.state) if keep_all else None, delta.checkpoint))
        except AssertionError as error:
            # The ThreatExchange client stops so on every empty feed, whatever the server does. A page in the middle may not be empty.
            if str(error) != "empty update?" or self.delivered:
                raise

    def hashes(self):
        by_type = self.exchange.naive_convert_to_signal_type(TYPES, self.config, self.state)
        return {one.get_name(): sorted(values) for one, values in by_type.items() if values}


def evenly(delivered):
    step = max(1, -(-len(delivered) // RESUMPTIONS_MAX))
    return delivered[::step]


def standing(hashes, statuses):
    """Without what StopNCII's server says is withdrawn: the client keeps that, and takes it up where it never had it."""
    gone = {key[1] for key, status in statuses.items() if status in ("Withdrawn", "Deleted")}
    left = {kind: [value for value in values if value not in gone] for kind, values in hashes.items()}
    return {kind: values for kind, values in left.items() if values}


def run(name, where, credential, arguments):
    def make():
        return FEEDS[name](where, credential, arguments)

    kept = os.path.join(arguments.state, name + ".pickle") if arguments.state else None
    state, checkpoint, arguments.statuses = {}, None, {}
    if kept and os.path.exists(kept):
        with open(kept, "rb") as stored:
            state, checkpoint, arguments.statuses = pickle.load(stored)
    follower = Follower(make, state, checkpoint)
    follower.follow(keep_all=arguments.resume)
    result = {
        "hashes": follower.hashes(),
        "records": len(follower.state),
        "pages": len(follower.delivered),
        "checkpoint": repr(follower.checkpoint),
    }
    if name == "stopncii":
        gone = [key[1] for key, status in arguments.statuses.items() if status in ("Withdrawn", "Deleted")]
        result["withdrawn"] = sorted(gone)
    if arguments.resume:
        if name == "ncmec" and len(follower.delivered) > 1:
            # The client asserts that the range of a half-read page ended before its new one.
            time.sleep(1.1)
        chosen = evenly(follower.delivered)
        for number, (state, checkpoint) in enumerate(chosen):
            again = Follower(make, state, checkpoint)
            again.follow(keep_all=False)
            if standing(again.hashes(), arguments.statuses) != standing(result["hashes"], arguments.statuses):
                raise AssertionError(f"resumed from checkpoint {number} ({checkpoint!r}), the set is another one")
        result["resumed"] = len(chosen)
    if kept:
        os.makedirs(arguments.state, exist_ok=True)
        with open(kept + ".new", "wb") as stored:
            pickle.dump((follower.state, follower.checkpoint, arguments.statuses), stored)
        os.replace(kept + ".new", kept)
    return result


def main():
    parser = argparse.ArgumentParser(description="Follows feeds with python-threatexchange's own clients.")
    for name in FEEDS:
        parser.add_argument(f"--{name}", metavar="PATH" if name == "file" else "URL")
        parser.add_argument(f"--{name}-credential", metavar="USER:PASSWORD")
    parser.add_argument("--privacy-group", type=int, default=1, help="of --te")
    parser.add_argument("--resume", action="store_true", help="start again from every delivered checkpoint")
    parser.add_argument("--state", metavar="DIRECTORY", help="go on from there, and keep the new state there")
    arguments = parser.parse_args()
    given = vars(arguments)
    results = {}
    for name in FEEDS:
        if given[name]:
            try:
                results[name] = run(name, given[name], given[f"{name}_credential"], arguments)
            # Whatever a client raises is this program's result.
            except Exception as error:  # noqa: BLE001
                traceback.print_exc()
                results[name] = {"error": f"{type(error).__name__}: {error}"}
    if not results:
        parser.error("name a feed")
    json.dump(results, sys.stdout)
    print()
    sys.exit(1 if any("error" in result for result in results.values()) else 0)


if __name__ == "__main__":
    main()
