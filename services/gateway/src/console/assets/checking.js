// Checking: dropping and pasting of files and hashes, and previews that only this browser holds.
// A preview is small, blurred and grey until the person asks for it. Nothing of it is kept.
"use strict";
(() => {
  const form = () => document.getElementById("check-form");
  const input = () => document.getElementById("f-files");
  // The files of the answers that are shown, by their numbers in the form.
  let sent = [];
  // What holds the previews: of the answers that are shown, and of the files that are chosen.
  let urls = [];
  let chosen = [];

  const release = (old) => old.forEach((url) => URL.revokeObjectURL(url));

  // A preview of a file with its button, or its name alone where the browser cannot show it.
  const preview = (file, kept) => {
    const box = document.createDocumentFragment();
    const isVideo = file.type.startsWith("video/");
    if (!isVideo && !file.type.startsWith("image/")) return box;
    const url = URL.createObjectURL(file);
    kept.push(url);
    const shown = document.createElement(isVideo ? "video" : "img");
    shown.className = "veiled";
    shown.src = url;
    if (isVideo) {
      shown.muted = true;
      shown.preload = "metadata";
      shown.setAttribute("aria-label", file.name);
    } else {
      shown.alt = file.name;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "second reveal";
    button.setAttribute("aria-pressed", "false");
    const { reveal, hide } = form().dataset;
    button.textContent = reveal;
    const name = document.createElement("span");
    name.className = "unseen";
    name.textContent = " " + file.name;
    button.append(name);
    button.addEventListener("click", () => {
      const isVeiled = shown.classList.toggle("veiled");
      if (isVideo) shown.controls = !isVeiled;
      button.setAttribute("aria-pressed", String(!isVeiled));
      button.firstChild.textContent = isVeiled ? reveal : hide;
    });
    shown.addEventListener("error", () => { shown.remove(); button.remove(); });
    box.append(shown, button);
    return box;
  };

  // The files that are chosen and not yet sent.
  const showChosen = () => {
    const list = document.getElementById("check-previews");
    if (!list) return;
    // The pictures of answers stay as long as the answers do.
    release(chosen);
    chosen = [];
    list.replaceChildren(...[...input().files].map((file) => {
      const entry = document.createElement("li");
      const name = document.createElement("p");
      name.textContent = file.name;
      entry.append(preview(file, chosen), name);
      return entry;
    }));
    list.hidden = input().files.length === 0;
  };

  const add = (files) => {
    const all = new DataTransfer();
    [...input().files, ...files].forEach((file) => all.items.add(file));
    input().files = all.files;
    showChosen();
    form().querySelector("button[type=submit]").focus();
  };

  document.addEventListener("change", (event) => {
    if (event.target === input()) showChosen();
  });

  const hasFiles = (transfer) => transfer && [...transfer.types].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!form() || !hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!form() || !hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (!form() || !event.clipboardData) return;
    const files = [...event.clipboardData.files];
    if (files.length > 0) {
      event.preventDefault();
      add(files);
      return;
    }
    // Text that is pasted into a field goes there; other text is taken for hashes.
    if (/^(input|textarea|select)$/i.test(event.target.tagName) || event.target.isContentEditable) return;
    const text = event.clipboardData.getData("text/plain").trim();
    const area = document.getElementById("f-hashes");
    if (!text || !area) return;
    event.preventDefault();
    area.value = area.value.trim() ? area.value.trim() + "\n" + text : text;
    area.focus();
  });

  const ofForm = (event) => event.detail.elt === form();
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (ofForm(event)) sent = [...input().files];
  });
  // A request that was refused as a whole is answered with a page of its own, which says why.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { detail } = event;
    if (detail.target?.id !== "check-answers" || detail.xhr.status < 400) return;
    detail.shouldSwap = true;
    detail.selectOverride = ".failed";
  });
  // The event comes once for each part of the answer: the heading says whether it is another answer.
  let answered = null;
  document.addEventListener("htmx:afterSwap", (event) => {
    const heading = document.getElementById("check-heading");
    if (event.detail.target?.id !== "check-answers" || heading === answered) return;
    answered = heading;
    if (!heading) return;
    const old = urls;
    urls = [];
    for (const slot of document.querySelectorAll("#check-answers [data-preview]")) {
      const file = sent[Number(slot.dataset.preview)];
      if (!file) continue;
      slot.replaceChildren(preview(file, urls));
      slot.hidden = slot.childElementCount === 0;
    }
    // What was answered is not sent again.
    input().value = "";
    const list = document.getElementById("check-previews");
    list.replaceChildren();
    list.hidden = true;
    release([...old, ...chosen]);
    chosen = [];
    heading.focus();
  });
  // The connection is gone, or the server closed it while a large file was sent.
  const said = (text) => {
    const notice = document.createElement("div");
    notice.className = "notice bad";
    notice.setAttribute("role", "alert");
    notice.textContent = text;
    document.getElementById("check-answers").replaceChildren(notice);
  };
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      if (ofForm(event)) said(form().dataset.unreachable);
    });
  }
})();
