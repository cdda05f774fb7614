// Asks a frontend whether files are known: match.js URL FILE...

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { durationMs } from "@bufbuild/protobuf/wkt";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { compressionGzip, createGrpcTransport } from "@connectrpc/connect-node";

import { RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import {
  MatchRequestSchema,
  MatchResponseSchema,
  MatchService,
  SkipReason,
  type Matched,
  type MatchRequest,
  type MatchResponse,
} from "./gen/vigie/matching/v1/matching_pb.js";
import { HashType } from "./gen/vigie/model/v1/model_pb.js";

const DEADLINE_MS = 30_000;
const ATTEMPTS_MAX = 5;
const LIMIT = 10;

/** Returns the API key: the content of the file that VIGIE_API_KEY_FILE names, or the value of VIGIE_API_KEY, or an empty string. */
async function apiKey(): Promise<string> {
  const file = process.env.VIGIE_API_KEY_FILE;
  return file ? (await readFile(file, "utf8")).trim() : (process.env.VIGIE_API_KEY ?? "");
}

/** Returns the headers of a call with this key, which is sent in plain text only to this machine. */
function credential(url: string, key: string): HeadersInit {
  if (!key) return {};
  const { protocol, hostname } = new URL(url);
  if (protocol !== "https:" && !["localhost", "127.0.0.1", "[::1]"].includes(hostname)) {
    throw new Error(`the API key would be sent to ${hostname} in plain text: write https://`);
  }
  return { authorization: `Bearer ${key}` };
}

/** Returns the answer, complete or partial. */
async function ask(
  client: Client<typeof MatchService>,
  request: MatchRequest,
  headers: HeadersInit,
): Promise<MatchResponse> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.match(request, { signal, headers, timeoutMs: DEADLINE_MS });
    } catch (raised) {
      const error = ConnectError.from(raised);
      const [partial] = error.findDetails(MatchResponseSchema);
      const [busy] = error.findDetails(RetryInfoSchema);
      let pauseMs = 0;
      if (error.code === Code.Unavailable && partial) {
        if (!partial.resultsOmitted) return partial;
        request.options!.minCoverage = 0;
      } else if (busy?.retryDelay) {
        pauseMs = durationMs(busy.retryDelay);
      } else {
        throw error;
      }
      if (attempt === ATTEMPTS_MAX) throw error;
      await sleep(pauseMs, undefined, { signal });
    }
  }
}

/** Names the parts that were not searched, and the matches that are not in the answer. */
function leftOut(matched: Matched): string[] {
  const found: string[] = [];
  if (matched.decodeFailure) {
    const { kind, message } = matched.decodeFailure;
    found.push(`not decoded, only its digests were searched (${kind}: ${message})`);
  } else {
    for (const { hashType, skipReason } of matched.searches) {
      if (skipReason !== SkipReason.UNSPECIFIED) {
        found.push(`${HashType[hashType].toLowerCase()} not searched (SKIP_REASON_${SkipReason[skipReason]})`);
      }
    }
  }
  if (matched.truncated) {
    found.push(`${matched.matchesLeftOut} matches left out, because the answer would have been too large`);
  } else if (matched.limitReached) {
    found.push(`more than ${LIMIT} items match`);
  }
  if (matched.framesLeftOut) found.push(`${matched.framesLeftOut} frames left out`);
  if (matched.waysLeftOut) found.push(`${matched.waysLeftOut} ways left out`);
  if (matched.framesBelowFloor) found.push(`${matched.framesBelowFloor} frames of too little detail`);
  return found;
}

async function main(url: string, files: string[]): Promise<number> {
  const contents = await Promise.all(files.map((file) => readFile(file)));
  const queries: MessageInitShape<typeof MatchRequestSchema>["queries"] = contents.map((value) => ({
    content: { case: "image", value },
  }));
  const request = create(MatchRequestSchema, { queries, options: { limit: LIMIT } });
  const headers = credential(url, await apiKey());
  const transport = createGrpcTransport({ baseUrl: url, sendCompression: compressionGzip });
  const response = await ask(createClient(MatchService, transport), request, headers);

  let known = false;
  let incomplete = false;
  response.results.forEach(({ outcome }, index) => {
    const file = files[index];
    if (outcome.case !== "matched") {
      console.log(`${file}: not searched: ${outcome.value?.message ?? "no outcome"}`);
      incomplete = true;
      return;
    }
    const { matches } = outcome.value;
    for (const { itemId, bank, distance } of matches) {
      console.log(`${file}: known: item ${itemId} of ${bank}, distance ${distance}`);
      known = true;
    }
    if (matches.length === 0) console.log(`${file}: not known`);
    for (const what of leftOut(outcome.value)) {
      console.log(`${file}: incomplete: ${what}`);
      incomplete = true;
    }
  });

  const { shardsAnswered = 0, shardsTotal = 0, failures = [] } = response.coverage ?? {};
  console.log(`${shardsAnswered} of ${shardsTotal} shards, as of change ${response.sequence}`);
  for (const { shard, reason } of failures) console.log(`shard ${shard}: ${reason}`);
  if (shardsAnswered < shardsTotal) return 4;
  return incomplete ? 3 : known ? 10 : 0;
}

const [url, ...files] = process.argv.slice(2);
if (url === undefined || files.length === 0) {
  console.error("usage: match.js URL FILE...");
  process.exit(1);
}
try {
  process.exitCode = await main(url, files);
} catch (raised) {
  console.error(ConnectError.from(raised).message);
  process.exitCode = 1;
}
