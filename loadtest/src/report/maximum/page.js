/* The page of a search for the highest rate. */
const F = D.found, found = F.highest_rate;
const good = found != null && F.limit != "generator" && !F.interrupted;
main.append(el("header", {}, el("h1", {}, `${F.scenario.name}: highest rate`),
  el("span", { class: "badge " + (good ? "good" : "bad") }, D.headline)));
main.append(el("p", { class: "place" }, `${moment(F.began_unix_ms)} · ${target(F.target)}`));
main.append(el("p", { class: "about" }, `What has to hold: ${F.condition}. Each rate was sent for ${F.scenario.drive.duration}, after ${F.scenario.drive.warm_up} of warm-up.`));
main.append(el("div", { class: good ? "card" : "alarm bad" }, el("b", {}, "Why no more: "), `${F.because}. ${D.explanation}.`));

const rate = value => (value < 100 ? value.toFixed(1).replace(".0", "") : count(value)) + "/s";
const share = value => percent(value).replace(/\.00 /, " ");
const x = { log: true, format: rate, tip: value => rate(value) + " offered" };
const lines = found == null ? [] : [{ x: found, label: rate(found) + " holds" }];
/* Of a rate that was tried again, the line goes through the last try; marks show all. */
const last = D.curve.filter((step, i) => i + 1 == D.curve.length || D.curve[i + 1].rate != step.rate);
const series = (name, hue, of, more) => ({ name, color: color(hue), points: last.map(s => [s.rate, of(s)]), marks: D.curve.map(s => [s.rate, of(s), s.held]), ...more });
const legend = "A dot is a step that holds, a cross one that does not.";
main.append(chart({ title: "Offered and achieved rate", note: legend, wide: true, x, lines, y: { log: true, format: rate }, series: [
  { name: "offered", color: color(6), points: last.map(s => [s.rate, s.rate]), dash: "4 3" },
  series("achieved", 1, s => s.answered_per_s) ] }));
main.append(chart({ title: "Latency", note: "From the intended start. " + legend, wide: true, x, lines, y: { log: true, format: tick, tip: ms }, series: [
  series("p50", 1, s => s.p50_ms, { width: 2.2 }), series("p99", 4, s => s.p99_ms) ] }));
main.append(el("div", { class: "pair" },
  chart({ title: "Errors", note: "The share of requests that were not answered.", x, lines, y: { least: .001, format: share, tip: percent }, series: [series("errors", 4, s => s.errors)] }),
  chart({ title: "The generator's own lag", note: "The share of requests that were sent more than 10 ms late, or not at all. Above 1 % no latency can be believed.", x, lines, y: { least: .01, format: share, tip: percent }, series: [series("late or unsent", 6, s => s.late_or_unsent)] })));
main.append(el("section", { class: "card" }, el("h2", {}, "Steps"), el("div", { class: "scroll" }, el("table", { class: "figures" },
  el("tr", {}, ["offered", "outcome", "achieved", "p50", "p99", "p99.9", "errors", "wrong"].map(h => el("th", {}, h))),
  D.curve.flatMap(s => [el("tr", {}, el("td", {}, rate(s.rate)), el("td", {}, el("span", { class: "badge " + (s.held ? "good" : "bad") }, s.outcome)),
    [rate(s.answered_per_s), ms(s.p50_ms), ms(s.p99_ms), ms(s.p999_ms), percent(s.errors), count(s.wrong)].map(v => el("td", {}, v))),
    s.because ? el("tr", { class: "why" }, el("td", { colspan: 8 }, s.because)) : null])))));
main.append(el("footer", {}, `${F.machine.processor || "unknown processor"}, ${F.machine.cores} cores, load ${F.machine.load_before} before and ${F.machine.load_after} after the last step · vigie-loadtest ${F.version}`,
  el("details", {}, el("summary", {}, "the scenario"), el("pre", {}, JSON.stringify(F.scenario, null, 2)))));
