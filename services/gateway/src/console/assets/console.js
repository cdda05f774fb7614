// Keys and other help for pages that work without it.
"use strict";
(() => {
  // A press of a key presses the first visible control that names it in `data-key`, unless the person is typing.
  const isTyping = (target) =>
    target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) && !/^(checkbox|radio|button|submit)$/i.test(target.type);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const key = event.key.toLowerCase();
    const named = [...document.querySelectorAll("[data-key]")];
    const control = named.find((one) => one.dataset.key === key && one.offsetParent !== null && !one.disabled);
    if (!control) return;
    event.preventDefault();
    if (/^(input|textarea|select)$/i.test(control.tagName)) control.focus();
    else control.click();
  });

  // A form is sent once: its buttons are disabled while the answer is awaited, and enabled again when the person comes back.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const buttons = event.target.querySelectorAll("button[type=submit]");
    setTimeout(() => buttons.forEach((button) => { button.disabled = true; }), 0);
  });
  addEventListener("pageshow", () => {
    document.querySelectorAll("button[type=submit][disabled]").forEach((button) => { button.disabled = false; });
  });

  // A part that renews itself and cannot says so, until it can again.
  for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      const { stale } = event.detail.elt.dataset;
      if (!stale) return;
      const notice = document.createElement("p");
      notice.className = "notice warn";
      notice.setAttribute("role", "status");
      notice.textContent = stale;
      event.detail.elt.replaceChildren(notice);
    });
  }
})();
