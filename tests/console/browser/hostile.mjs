// Text that would run a script if a page took it for markup stands on every page that shows it as text.
import { asked, fault, kind, links, person, run } from "./console.mjs";

await run(async (browser) => {
  let shown = 0;
  const seen = new Set();
  for (const key of [asked.key, asked.host, asked.operator]) {
    const page = await person(browser, key);
    page.on("dialog", (dialog) => fault(`${page.url()}: a dialog: ${dialog.message()}`));
    const waiting = ["/console/"];
    const entered = new Set(waiting.map(kind));
    while (waiting.length) {
      const path = waiting.shift();
      const answer = await page.goto(path);
      if (!(answer.headers()["content-type"] ?? "").startsWith("text/html")) continue;
      const found = await page.evaluate(() => ({
        ran: window.ran,
        images: document.querySelectorAll('img[src="x"]').length,
        scripts: [...document.scripts].filter((one) => !new URL(one.src || "x:").pathname.startsWith("/console/static/")).length,
        handlers: [...document.querySelectorAll("*")].filter((one) => one.getAttributeNames().some((name) => /^on/.test(name))).length,
        addresses: [...document.querySelectorAll("[href],[src],[action],[formaction]")].filter((one) =>
          ["href", "src", "action", "formaction"].some((name) => /^\s*(javascript|data|vbscript):/i.test(one.getAttribute(name) ?? "")),
        ).length,
        isShown: document.documentElement.textContent.includes("<img src=x onerror") || [...document.querySelectorAll("input")].some((one) => one.value.includes("<img src=x onerror")),
      }));
      for (const [what, count] of Object.entries(found)) {
        if (what !== "isShown" && count) fault(`${path}: hostile text became ${what} (${count})`);
      }
      if (found.isShown) shown += 1;
      seen.add(kind(path));
      for (const link of await links(page)) {
        if (entered.has(kind(link)) || /\/sign-(in|out)/.test(link)) continue;
        entered.add(kind(link));
        waiting.push(link);
      }
    }
    await page.context().close();
  }
  if (!shown) fault("no page shows the hostile text, so nothing was tried");
  console.log(`${seen.size} pages, of which ${shown} show the text`);
});
