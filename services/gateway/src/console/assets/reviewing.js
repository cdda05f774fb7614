// Review: a picture of the person's own beside the facts, and breaks. The picture stays in the browser.
"use strict";
(() => {
  const compare = document.querySelector(".compare");
  if (compare) {
    const own = compare.querySelector(".compare-own");
    const shown = compare.querySelector(".compare-shown");
    const image = shown.querySelector("img");
    const input = compare.querySelector("input[type=file]");
    const hold = compare.querySelector("[data-hold]");
    own.hidden = false;

    let url = null;
    const show = (file) => {
      if (url) URL.revokeObjectURL(url);
      url = file && file.type.startsWith("image/") ? URL.createObjectURL(file) : null;
      shown.hidden = url === null;
      if (url) image.src = url;
      else image.removeAttribute("src");
    };
    input.addEventListener("change", () => show(input.files[0]));
    document.addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
      if (!file) return;
      event.preventDefault();
      show(file);
    });

    // Revealed while the button or its key is held.
    const reveal = (on) => compare.classList.toggle("revealed", on);
    hold.addEventListener("pointerdown", () => reveal(true));
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) hold.addEventListener(end, () => reveal(false));
    const isTyping = (target) => /^(input|textarea|select)$/i.test(target.tagName) && !/^(checkbox|radio|button|submit|file)$/i.test(target.type);
    const isHold = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return false;
      const isOnButton = event.target === hold && (event.key === " " || event.key === "Enter");
      return isOnButton || event.key.toLowerCase() === hold.dataset.hold;
    };
    document.addEventListener("keydown", (event) => {
      if (!isHold(event)) return;
      event.preventDefault();
      reveal(true);
    });
    document.addEventListener("keyup", () => reveal(false));
    addEventListener("blur", () => reveal(false));

    // What is switched here holds for this page alone; the settings hold for all.
    const toggles = {
      blur: () => compare.toggleAttribute("data-blur"),
      grey: () => compare.toggleAttribute("data-grey"),
      small: () => {
        const isSmall = compare.dataset.size !== "small";
        compare.dataset.size = isSmall ? "small" : "large";
        return isSmall;
      },
    };
    compare.querySelectorAll("[data-toggle]").forEach((button) => {
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(toggles[button.dataset.toggle]()));
      });
    });
  }

  // The time on pages of the review, in seconds, while they are looked at. A session of a tab counts it.
  const dialog = document.getElementById("break");
  if (dialog && typeof dialog.showModal === "function") {
    const NAME = "vigie-review-seconds";
    const STEP = 5;
    const due = Number(dialog.dataset.minutes) * 60;
    const read = () => {
      const seconds = Number(sessionStorage.getItem(NAME));
      return Number.isFinite(seconds) && seconds > 0 ? seconds : 0;
    };
    const write = (seconds) => sessionStorage.setItem(NAME, String(seconds));
    const suggest = () => {
      if (!dialog.open && read() >= due) dialog.showModal();
    };
    suggest();
    setInterval(() => {
      if (document.visibilityState !== "visible" || dialog.open) return;
      write(read() + STEP);
      suggest();
    }, STEP * 1000);
    const after = { taken: () => 0, later: () => Math.max(0, due - 300) };
    dialog.addEventListener("click", (event) => {
      const button = event.target.closest("[data-break]");
      if (!button) return;
      write(after[button.dataset.break]());
      dialog.close();
    });
    // The Escape key puts it off.
    dialog.addEventListener("cancel", () => write(after.later()));
  }
})();
