"""Banks a hash and looks it up with the client of the wheel: try.py LINE-OF-VIGIE-UP"""

import json
import sys
from urllib.parse import urlsplit

import grpc
from vigie.bank.v1 import bank_pb2, bank_pb2_grpc
from vigie.matching.v1 import matching_pb2, matching_pb2_grpc
from vigie.model.v1 import model_pb2

ready = json.loads(sys.argv[1])
known = model_pb2.Hash(hash_type=model_pb2.HASH_TYPE_MD5, value=bytes(range(16)))
with grpc.insecure_channel(urlsplit(ready["bank"]).netloc) as channel:
    bank = bank_pb2_grpc.BankServiceStub(channel)
    bank.CreateBank(bank_pb2.CreateBankRequest(name="known"), timeout=10)
    items = [bank_pb2.ItemContent(hashes=[known])]
    added = bank.AddItems(bank_pb2.AddItemsRequest(bank="known", items=items), timeout=10)
with grpc.insecure_channel(urlsplit(ready["frontend"]).netloc) as channel:
    query = matching_pb2.MatchQuery(hashed=matching_pb2.HashedContent(hashes=[model_pb2.QueryHash(hash=known)]))
    options = model_pb2.SearchOptions(min_sequence=added.sequence)
    request = matching_pb2.MatchRequest(queries=[query], options=options)
    response = matching_pb2_grpc.MatchServiceStub(channel).Match(request, timeout=10)
(match,) = response.results[0].matched.matches
assert match.item_id == added.item_ids[0], response
print(f"item {match.item_id} was banked and found, as of change {response.sequence}")
