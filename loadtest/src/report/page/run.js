/* The page of one run. */
const R = D.result, S = R.summary, V = R.verdict;
const time = { values: D.seconds, format: s => s + " s", tip: s => "second " + s };

/* Headline. */
const judged = R.thresholds.length > 0;
main.append(el("header", {}, el("h1", {}, R.scenario.name),
  el("span", { class: "badge " + (R.outcome == "passed" ? "good" : "bad") },
    R.outcome == "not_measurable" ? "not measurable here" : R.outcome == "passed" ? (judged ? `${R.thresholds.length} thresholds hold` : "no thresholds") :
      `${R.thresholds.filter(t => !t.holds).length} of ${R.thresholds.length} thresholds fail`)));
main.append(el("p", { class: "place" }, `${moment(R.began_unix_ms)} · ${target(R.target)} · ${R.measured_s.toFixed(0)} s measured after ${D.warm_up_s} s of warm-up`));
main.append(el("p", { class: "about" }, R.scenario.about));
if (R.generator.ran_late) main.append(el("div", { class: "alarm bad" }, el("b", {}, R.generator.too_slow ? "The generator ran late. " : "Requests were left unsent. "),
  `${count(R.generator.late_or_unsent)} requests (${percent(R.generator.late_or_unsent_share)}) were sent more than 10 ms after their time, or not at all: no latency on this page can be believed. ` +
  (R.generator.too_slow ? "The rate is above what the generator can send from its machine, or that machine is busy with other work: this says nothing of the target." :
    "Too many requests were under way to send more: the target is too slow for this rate.")));
if (R.interrupted) main.append(el("div", { class: "alarm bad" }, el("b", {}, "The run was stopped before its end. "), "This is what was measured so far."));
const unplanned = D.faults.filter(f => f.failed);
if (unplanned.length) main.append(el("div", { class: "alarm bad" }, el("b", {}, "This was not the run that the scenario describes. "),
  unplanned.map(f => `${f.what}: ${f.failed}`).join("; ")));
const wrong = V.missed + V["false"] + V.wrong_distance + (V.wrong_evidence || 0);
const tile = (value, label, wrong) => el("div", { class: "tile" + (wrong ? " wrong" : "") }, el("b", {}, value), el("small", {}, label));
main.append(el("div", { class: "tiles" },
  tile(count(S.answered_per_s) + "/s", `answered, of ${count(S.sent_per_s)} sent a second`),
  tile(ms(S.latency.p50_ms), "p50, from the intended start"),
  tile(ms(S.latency.p99_ms), "p99"),
  tile(ms(S.latency.p999_ms), "p99.9"),
  tile(percent(S.sent ? S.failed / S.sent : 0), `${count(S.failed)} of ${count(S.sent)} requests failed`, S.failed > 0),
  tile(count(wrong), `wrong of ${count(V.judged)} answers judged`, wrong > 0)));

/* Thresholds. */
if (judged) main.append(el("section", { class: "card" }, el("h2", {}, "Thresholds"), el("div", { class: "scroll" }, el("table", {},
  el("tr", {}, ["what has to hold", "measured", ""].map(h => el("th", {}, h))),
  R.thresholds.map(t => el("tr", {}, el("td", {}, el("code", {}, t.threshold)), el("td", { class: "value" }, t.shown),
    el("td", {}, el("span", { class: "badge " + (t.holds ? "good" : "bad") }, t.holds ? "holds" : t.not_measurable ? "not measurable" : "fails"), t.because ? " " + t.because : "")))))));

/* Charts. */
main.append(chart({ title: "Throughput", note: "Requests by the second in which they were to be sent.", wide: true, time: true, x: time,
  y: { format: count, tip: v => count(v) + "/s" }, series: [
    { name: "sent", color: color(6), values: D.sent, dash: "4 3" },
    { name: "answered", color: color(1), values: D.answered, area: true },
    ...(D.unsent.some(v => v) ? [{ name: "not sent", color: color(4), values: D.unsent }] : []) ] }));
main.append(chart({ title: "Latency over time", note: "From the intended start; a request belongs to the second in which it was to be sent, so a stall shows where it began.",
  wide: true, time: true, x: time, y: { log: true, format: tick, tip: ms }, series: [
    { name: "max", color: color(6), values: D.latency.max, width: 1 },
    { name: "p99", color: color(4), values: D.latency.p99 },
    { name: "p90", color: color(3), values: D.latency.p90 },
    { name: "p50", color: color(1), values: D.latency.p50, width: 2.2 } ] }));
const nines = n => n < 1.5 ? "p0" : n <= 10.01 ? "p90" : n <= 100.1 ? "p99" : "p" + (100 - 100 / n).toFixed(Math.max(1, Math.round(Math.log10(n)) - 2));
const hues = [1, 3, 4, 2, 5, 6, 1, 3, 4];
main.append(el("div", { class: "pair" },
  chart({ title: "Latency by percentile", note: "How long all but one in so many take; each step to the right is ten times rarer.", x: { log: true, format: nines, tip: n => `all but one in ${n < 10 ? n.toFixed(1) : count(n)}` },
    y: { log: true, format: tick, tip: ms }, series: D.distributions.filter(d => !R.by_kind[d.name]).map((d, i) => ({ name: d.name, color: color(hues[i]), points: d.points, dash: i == 1 ? "5 4" : "none" })) }),
  chart({ title: "Latency distribution", note: "Requests in each twentieth of a decade, on a logarithmic axis.", x: { log: true, format: tick, tip: value => "up to " + ms(value) },
    y: { format: count }, series: D.distributions.slice(0, 2).map((d, i) => ({ name: d.name, color: color(hues[i]), area: i == 0, dash: i == 1 ? "5 4" : "none", points: filled(d.buckets) })) })));
/* The empty buckets between the others, and one at each side. */
function filled(buckets) {
  const places = new Map(buckets.map(([ms, n]) => [Math.round(Math.log10(ms) * 20), n]));
  const keys = [...places.keys()], out = [];
  if (!keys.length) return out;
  for (let p = Math.min(...keys) - 1; p <= Math.max(...keys) + 1; p++) out.push([10 ** (p / 20), places.get(p) || 0]);
  return out;
}
if (D.distributions.length > 3) main.append(chart({ title: "Latency by percentile, each kind of request", note: "From the intended start.", wide: true,
  x: { log: true, format: nines, tip: n => `all but one in ${n < 10 ? n.toFixed(1) : count(n)}` }, y: { log: true, format: tick, tip: ms },
  series: D.distributions.filter(d => R.by_kind[d.name]).map((d, i) => ({ name: d.name, color: color(i % 6 + 1), points: d.points })) }));
const codes = Object.entries(D.failures).filter(([, v]) => v.some(n => n)), wrong = Object.entries(D.wrong).filter(([, v]) => v.some(n => n));
const pair = el("div", { class: "pair" });
pair.append(codes.length ? chart({ title: "Failures by code", note: "Requests by the second in which they were to be sent.", time: true, stacked: true, x: time, y: { format: count },
  series: codes.map(([name, values], i) => ({ name, color: color([4, 3, 5, 2, 1, 6][i % 6]), values })) }) :
  el("section", { class: "card" }, el("h2", {}, "Failures by code"), el("p", {}, "No request failed.")));
pair.append(wrong.length ? chart({ title: "Answers that were not right", note: "By the oracle: missed and invented matches, wrong distances, answers that lack shards or writes.", time: true, stacked: true, x: time, y: { format: count },
  series: wrong.map(([name, values], i) => ({ name, color: color([4, 3, 5, 6, 2][i % 5]), values })) }) :
  el("section", { class: "card" }, el("h2", {}, "Answers that were not right"), el("p", {}, `None: ${count(V.judged)} answers were compared with a linear scan, and each of them holds exactly what it should.`)));
if (D.coverage_mean.some(v => v != null)) pair.append(chart({ title: "Coverage", note: "The share of shards that answered.", time: true, x: time, y: { max: 1.02, format: v => Math.round(v * 100) + " %", tip: percent }, series: [
  { name: "least", color: color(3), values: D.coverage_min }, { name: "mean", color: color(2), values: D.coverage_mean, area: true } ] }));
const fresh = D.freshness.length > 0;
if (fresh) pair.append(chart({ title: "Freshness", note: "From an acknowledged write to the first answer that shows it.", time: true, x: time, y: { log: true, format: tick, tip: ms }, series: [
  { name: "add to match, max", color: color(1), values: D.add_to_match.max }, { name: "remove to gone, max", color: color(5), values: D.remove_to_gone.max } ] }));
pair.append(chart({ wide: pair.childElementCount % 2 == 0, title: "The generator's own lag", note: "How long after its time the latest request of a second was sent. Beyond 10 ms it counts as late.", time: true, x: time, y: { format: tick, tip: ms }, series: [
  { name: "max", color: color(6), values: D.lag_max_ms, area: true } ] }));
main.append(pair);

/* Tables. */
const times = (name, t, more) => el("tr", {}, el("td", {}, name), [count(t.count), ms(t.mean_ms), ms(t.p50_ms), ms(t.p90_ms), ms(t.p99_ms), ms(t.p999_ms), ms(t.max_ms)].map(v => el("td", {}, v)));
const kinds = Object.entries(R.by_kind);
main.append(el("section", { class: "card" }, el("h2", {}, "Times"), el("div", { class: "scroll" }, el("table", { class: "figures" },
  el("tr", {}, ["", "requests", "mean", "p50", "p90", "p99", "p99.9", "max"].map(h => el("th", {}, h))),
  times("from the intended start", S.latency), times("from the actual start", S.latency_from_send),
  kinds.length > 1 ? kinds.map(([name, k]) => times(`${name}, ${count(k.answered_per_s)}/s`, k.latency)) : [],
  D.freshness.map(([name, t]) => times(name, t)), times("sent after its time by", R.generator.lag)))));
if (D.faults.length) main.append(el("section", { class: "card" }, el("h2", {}, "What was done to the cluster"), el("table", { class: "words" },
  el("tr", {}, ["at", "what"].map(h => el("th", {}, h))), D.faults.map(f => el("tr", {}, el("td", {}, f.at_s.toFixed(1) + " s"),
    el("td", {}, f.what + (f.failed ? ": failed, " + f.failed : "")))))));
const machine = R.generator.machine;
main.append(el("footer", {}, `${R.generator.processes} generator${R.generator.processes > 1 ? "s" : ""} with ${R.generator.lanes} lane${R.generator.lanes > 1 ? "s" : ""}, ${R.generator.cpu_s.toFixed(1)} s of processor time · ` +
  `${machine.processor || "unknown processor"}, ${machine.cores} cores, load ${machine.load_before} before and ${machine.load_after} after · vigie-loadtest ${D.version}`,
  el("details", {}, el("summary", {}, "the scenario"), el("pre", {}, JSON.stringify(R.scenario, null, 2)))));
