// What an analyst does every day, by real clicks and keys, from the first page. A text that is typed and a file that is chosen count as one.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asked, fault, person, run } from "./console.mjs";

/** Clicks and keys of one task. */
class Steps {
  constructor(page) {
    this.page = page;
    this.taken = [];
  }
  async click(locator) {
    await locator.click();
    this.taken.push("click");
  }
  async press(key) {
    await this.page.keyboard.press(key);
    this.taken.push(key);
  }
  async type(locator, text) {
    await locator.fill(text);
    this.taken.push("type");
  }
  async choose(locator, files) {
    await locator.setInputFiles(files);
    this.taken.push("choose");
  }
}

/** What a person reads on the page. */
const main = (page) => page.locator("main");
/** A link of the navigation. */
const nav = (page, path) => page.locator(`nav.pages a[href="${path}"]`);

/** Waits until the page says something. */
async function says(page, words) {
  await page.waitForFunction(
    ([source, flags]) => new RegExp(source, flags).test(document.querySelector("main").innerText),
    [words.source, words.flags],
  );
}

/** Asks our own REST API, to see what has become of a thing. */
async function api(path) {
  const answer = await fetch(asked.origin + path, { headers: { authorization: `Bearer ${asked.key}` } });
  return answer.json();
}

const folder = mkdtempSync(join(tmpdir(), "vigie-console-"));
const picture = join(folder, "picture.png");
writeFileSync(picture, Buffer.from(asked.picture, "base64"));
const others = join(folder, "others");
mkdirSync(others);
asked.pictures.forEach((content, at) => writeFileSync(join(others, `${at}.png`), Buffer.from(content, "base64")));

const check = async (page, steps) => {
  const field = page.locator('main input[type=file][name=files]');
  if (!(await field.count())) await steps.click(nav(page, "/console/check"));
  await steps.choose(field, picture);
  await steps.click(page.locator("#check-form button[type=submit]:visible"));
  await says(page, /Known/);
};

/** Finds an item by a text, and presses a key for it: on the list if it is the only one there, on its own page otherwise. */
const findAndPress = async (page, steps, text, key) => {
  const field = page.locator("#f-q");
  if (!(await field.count())) await steps.click(nav(page, "/console/items"));
  await steps.type(field, text);
  await field.press("Enter");
  steps.taken.push("Enter");
  await page.waitForURL(/\/console\/items.*q=/);
  const control = page.locator(`main [data-key="${key}"]`);
  if (!(await control.count())) {
    await steps.click(main(page).locator('a[href^="/console/items/"]').first());
    await page.waitForURL(/\/console\/items\/\d/);
  }
  await control.waitFor();
  await steps.press(key);
  await page.waitForURL(/done=/);
};

const TASKS = {
  "check a picture": async (page, steps) => {
    await check(page, steps);
    if (!/known/.test(await main(page).innerText())) fault("the bank of the match is not named");
  },
  "find why it matched": async (page, steps) => {
    await check(page, steps);
    const why = page.locator("#check-answers details:not([open]) > summary").first();
    if (await why.count()) await steps.click(why);
    await says(page, /bits?\b/);
    await says(page, /case-picture/);
  },
  "record a false positive": async (page, steps) => {
    await steps.click(nav(page, "/console/review"));
    await page.locator('main [data-key="b"]').waitFor();
    await steps.press("b");
    await page.waitForURL(/\/review\/decisions\//);
    await page.locator('main [data-key="f"]').waitFor();
    const id = page.url().match(/decisions\/([0-9a-f]+)/)[1];
    await steps.press("f");
    await page.waitForURL(/done=/);
    const { outcome } = await api(`/v1/decisions/${id}`);
    if (outcome?.review !== "overturned") fault(`the decision is ${JSON.stringify(outcome)}`);
  },
  "hold an item": async (page, steps) => {
    await findAndPress(page, steps, "case-7", "h");
    const { holds } = await api(`/v1/items/${asked.items[7]}`);
    if (holds.length !== 1) fault(`the item is held by ${JSON.stringify(holds)}`);
  },
  undo: async (page, steps) => {
    await findAndPress(page, steps, "case-1", "u");
    const { holds } = await api(`/v1/items/${asked.items[1]}`);
    if (holds.length !== 0) fault(`the item is held by ${JSON.stringify(holds)}`);
  },
  "add a folder": async (page, steps) => {
    const before = (await api("/v1/banks/known")).items;
    await steps.click(nav(page, "/console/banks"));
    await steps.click(main(page).locator('a[href="/console/banks/known/add"]').first());
    await steps.choose(page.locator("#f-folder"), others);
    await steps.click(page.locator("#adding button[type=submit]:visible").first());
    await says(page, /3 of 3 files: 3 added/);
    const after = (await api("/v1/banks/known")).items;
    if (after !== before + 3) fault(`${before} items became ${after}`);
  },
  "invite a member": async (page, steps) => {
    await steps.click(nav(page, "/console/members"));
    await steps.type(page.locator("#f-name"), "newcomer");
    await page.locator("#f-name").press("Enter");
    steps.taken.push("Enter");
    await says(page, /newcomer/);
  },
  "read an exchange's error": async (page, steps) => {
    await steps.click(nav(page, "/console/exchanges"));
    await steps.click(main(page).locator('a[href="/console/exchanges/stop"]').first());
    await says(page, /credential/i);
  },
  "prove the audit": async (page, steps) => {
    await steps.click(nav(page, "/console/audit"));
    await page.locator('main [data-key="v"]').waitFor();
    await steps.press("v");
    await says(page, /The audit (holds|does)/);
    if (!/The audit holds/.test(await main(page).innerText())) fault("the audit does not hold");
  },
  "write the monthly report": async (page, steps) => {
    await steps.click(nav(page, "/console/reports"));
    await page.locator('main [data-key="w"]').waitFor();
    const coming = page.waitForEvent("download");
    await steps.press("w");
    const file = readFileSync(await (await coming).path(), "utf8");
    if (!/acme/.test(file) || file.length < 500) fault(`the report has ${file.length} bytes: ${file.slice(0, 200)}`);
  },
};

await run(async (browser) => {
  const names = Object.keys(TASKS);
  if (names.length !== 10) fault(`${names.length} tasks`);
  for (const [name, task] of Object.entries(TASKS)) {
    const page = await person(browser, name === "invite a member" ? asked.operator : asked.key, { acceptDownloads: true });
    const steps = new Steps(page);
    try {
      await task(page, steps);
    } catch (error) {
      fault(`${name}: at ${page.url().replace(asked.origin, "")}: ${error.message.split("\n").slice(0, 4).join(" ")}`);
    }
    if (steps.taken.length > asked.steps_max) fault(`${name}: ${steps.taken.length} clicks and keys`);
    console.log(`${steps.taken.length} ${name} (${steps.taken.join(", ")})`);
    await page.context().close();
  }
});
