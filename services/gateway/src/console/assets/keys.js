// A button that copies a key. It is shown only where a script can do that.
"use strict";
(() => {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    const status = document.getElementById("copied");
    if (!source || !status) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const range = document.createRange();
      range.selectNodeContents(source);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      let isCopied = false;
      try {
        await navigator.clipboard.writeText(source.textContent);
        isCopied = true;
      } catch {
        // Without a safe connection there is no clipboard but this one.
        isCopied = document.execCommand("copy");
      }
      status.textContent = isCopied ? button.dataset.done : "";
    });
  }
})();
