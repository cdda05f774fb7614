// Sends the files of the page "Add" one by one: of a choice, of a folder, or dropped. Each is a form of its own, whose answer has its row.
"use strict";
(() => {
  const form = document.getElementById("adding");
  if (!form) return;
  const AT_ONCE = 2;
  const ATTEMPTS = 6;
  const files = document.getElementById("f-files");
  const folder = document.getElementById("f-folder");
  const stop = form.querySelector("[data-stop]");
  const sending = form.querySelector("[data-sending]");
  const bar = sending.querySelector("progress");
  const counts = sending.querySelector("[data-counts]");
  const results = document.querySelector("[data-results]");
  const rows = results.querySelector("tbody");
  let running = null;

  form.querySelectorAll("[data-with-script]").forEach((one) => { one.hidden = false; });

  const isMedia = (file) => /^(image|video)\//.test(file.type);
  // Of files that a person chose by hand none is left out: the server says what is wrong with one.
  const take = (chosen, isFolder) => (isFolder ? chosen.filter(isMedia) : chosen);

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  const show = (state) => {
    bar.max = state.all;
    bar.value = state.done;
    const words = [fill(form.dataset.progress, state)];
    if (state.leftOut) words.push(fill(form.dataset.leftOut, { count: state.leftOut }));
    if (state.isStopped) words.push(form.dataset.stopped);
    counts.textContent = words.join(" ");
  };

  // A name that makes the file one write, however often it is sent.
  const newOnce = () => {
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz234567";
    return [...crypto.getRandomValues(new Uint8Array(22))].map((byte) => letters[byte % letters.length]).join("");
  };

  const wait = (ms, signal) => new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });

  const refusedRow = (name, reason) => {
    const row = rows.insertRow();
    const headings = [...results.querySelectorAll("thead th")].map((one) => one.textContent);
    [name, form.dataset.refused, reason].forEach((text, at) => {
      const cell = row.insertCell();
      cell.dataset.heading = headings[at];
      cell.textContent = text;
    });
  };

  // The answer to one file: its row, or why there is none.
  const answered = (name, html, state) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const found = page.querySelectorAll("#outcomes tbody tr");
    const isAnswer = found.length > 0 && page.querySelector("[data-results]") && !found[0].closest("[data-results]");
    if (!isAnswer) {
      const why = page.querySelector("main .fault, main .notice.bad, main p");
      refusedRow(name, why ? why.textContent.trim() : form.dataset.failed);
      state.refused += 1;
      return;
    }
    found.forEach((row) => {
      if (row.closest("[data-results]")) return;
      if (row.querySelector(".badge.good")) state.added += 1;
      else if (row.querySelector(".badge.bad")) state.refused += 1;
      else state.known += 1;
      rows.append(document.importNode(row, true));
    });
  };

  const sendOne = async (file, state, signal) => {
    const body = new FormData();
    new FormData(form).forEach((value, name) => {
      if (typeof value === "string" && name !== "hashes") body.append(name, value);
    });
    body.set("once", newOnce());
    body.append("files", file, file.name);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await fetch(form.action, { method: "POST", body, signal, credentials: "same-origin" });
        const isBusy = answer.status === 429 || answer.status === 503;
        if (isBusy && attempt < ATTEMPTS) {
          await wait(1000 * (Number(answer.headers.get("retry-after")) || attempt), signal);
          if (signal.aborted) return;
          continue;
        }
        answered(file.name, await answer.text(), state);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (attempt < ATTEMPTS) {
          await wait(1000 * attempt, signal);
          if (signal.aborted) return;
          continue;
        }
        refusedRow(file.name, form.dataset.failed);
        state.refused += 1;
        return;
      }
    }
  };

  const send = async (chosen, leftOut) => {
    running = new AbortController();
    const { signal } = running;
    const state = { all: chosen.length, done: 0, added: 0, known: 0, refused: 0, leftOut, isStopped: false };
    sending.hidden = false;
    results.hidden = false;
    stop.hidden = false;
    show(state);
    const queue = [...chosen];
    const worker = async () => {
      for (let file = queue.shift(); file && !signal.aborted; file = queue.shift()) {
        await sendOne(file, state, signal);
        if (!signal.aborted) state.done += 1;
        show(state);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    state.isStopped = signal.aborted;
    show(state);
    stop.hidden = true;
    running = null;
    files.value = "";
    folder.value = "";
  };

  stop.addEventListener("click", () => { if (running) running.abort(); });

  form.addEventListener("submit", (event) => {
    const byHand = take([...files.files], false);
    const whole = [...folder.files];
    const ofFolder = take(whole, true);
    if (byHand.length + whole.length === 0) return;
    event.preventDefault();
    if (!running) send([...byHand, ...ofFolder], whole.length - ofFolder.length);
  });

  // Files of a dropped folder, read level by level.
  const entriesOf = (reader) => new Promise((done) => reader.readEntries(done, () => done([])));
  const filesOf = async (entry) => {
    if (entry.isFile) return new Promise((done) => entry.file((file) => done([file]), () => done([])));
    const reader = entry.createReader();
    const found = [];
    for (let some = await entriesOf(reader); some.length > 0; some = await entriesOf(reader)) {
      for (const one of some) found.push(...await filesOf(one));
    }
    return found;
  };
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    if (running) return;
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    const entries = items.map((item) => item.webkitGetAsEntry());
    const isFolder = entries.some((entry) => entry && entry.isDirectory);
    const all = (await Promise.all(entries.filter(Boolean).map(filesOf))).flat();
    const chosen = take(all, isFolder);
    if (all.length > 0 && !running) send(chosen, all.length - chosen.length);
  });
})();
