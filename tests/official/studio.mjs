// The studio's page in a real browser: `node studio.mjs <installation> <chromium> <settings>`.
//
// It starts and kills the studio itself, does the main job by mouse, by keyboard and by paste, and
// prints what the page showed, as one JSON document.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

const [installation, executablePath, text] = process.argv.slice(2);
const settings = JSON.parse(text);
const require = createRequire(`${installation}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** Starts the studio; its URL has the token. */
async function studio(listen) {
  const child = spawn(settings.program, ["--json", "studio", "--listen", listen, "--budget", "5"], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise((done, failed) => {
    createInterface({ input: child.stdout }).once("line", done);
    child.once("exit", (code) => failed(new Error(`the studio ended with ${code}`)));
  });
  return { child, url: JSON.parse(line).studio };
}

let running;
process.on("exit", () => running?.child.kill());
process.on("uncaughtException", (error) => {
  console.error(error);
  process.exit(1);
});
const ended = (child) => new Promise((done) => child.once("exit", done));
running = await studio("127.0.0.1:0");
const url = new URL(running.url);
const browser = await chromium.launch({
  executablePath,
  args: ["--disable-gpu", "--disable-dev-shm-usage", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
const outcome = { hosts: [], complaints: [] };
let isDown = false;
context.on("request", (request) => {
  const { protocol, host } = new URL(request.url());
  if (!["blob:", "data:"].includes(protocol) && !outcome.hosts.includes(host)) outcome.hosts.push(host);
});
function observed(page) {
  page.setDefaultTimeout(90_000);
  page.on("pageerror", (error) => outcome.complaints.push(String(error)));
  page.on("console", (message) => {
    // The browser notes that a form which is not complete has no price.
    const isPrice = message.location().url.endsWith("/api/quote");
    if (["error", "warning"].includes(message.type()) && !isDown && !isPrice) outcome.complaints.push(message.text());
  });
  return page;
}
const ready = (page) => page.waitForFunction(() => document.documentElement.dataset.ready === "true");
const chip = (page) => page.locator("#stage .chip").first();
const done = (page) => page.waitForFunction(() => document.querySelector("#stage .chip")?.textContent === "Done");
const jobId = async (page) => (await page.locator("#stage h2").first().evaluate((node) => node.firstChild.textContent)).trim();
const priced = (page) => page.waitForFunction(() => !document.getElementById("buy").disabled);
/** Waits until another job than this one is selected. */
const other = (page, id) => page.waitForFunction((id) => document.querySelector("#stage h2").firstChild.textContent !== id, id);
/** Waits until something that this program counts has come to a number. */
async function counted(count, wanted) {
  while (count() < wanted) await new Promise((done) => setTimeout(done, 5));
}
const shot = async (page, name) => settings.screenshots && page.screenshot({ path: `${settings.screenshots}/${name}.png` });
async function checked(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
}

// A browser without the token sees the page and nothing else.
const page = observed(await context.newPage());
isDown = true;
await page.goto(url.origin);
await page.locator("#gate").waitFor();
await shot(page, "gate");
outcome.without_token = await page.locator("#jobs > li").count();
isDown = false;

// The main job by mouse.
await page.goto(running.url);
await ready(page);
outcome.address = page.url();
outcome.first_paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
outcome.weight = await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => !one.name.includes("/api/")).reduce((sum, one) => sum + one.decodedBodySize, performance.getEntriesByType("navigation")[0].decodedBodySize));
async function pick(name, file) {
  const chooser = page.waitForEvent("filechooser");
  await page.locator(`#slot-${name} .drop`).click();
  await (await chooser).setFiles(file);
  await page.locator(`#slot-${name} img`).waitFor();
}
outcome.before = await page.locator("#buy").textContent();
await pick("content", settings.content);
await pick("style", settings.style);
await priced(page);
// The form changes at the moment when the price of what it was before arrives.
outcome.late_price = await page.evaluate(() => new Promise((priced) => {
  const button = document.getElementById("buy");
  const size = (name) => document.querySelector(`input[name=size][value=${name}]`).click();
  const { fetch } = window;
  window.fetch = async (path, init) => {
    const response = await fetch(path, init);
    if (path === "/api/quote") {
      window.fetch = fetch;
      size("square");
      new MutationObserver(() => !button.disabled && priced(button.textContent)).observe(button, { attributes: true });
    }
    return response;
  };
  size("square_hd");
}));
// A picture that takes long is replaced by another before it is there. Nothing can be bought
// meanwhile, and the later one stays.
const arrivals = [];
await page.route("**/api/pictures", async (route) => {
  const release = new Promise((done) => arrivals.push(done));
  const response = await route.fetch();
  await release;
  await route.fulfill({ response });
});
const choose = (name, file) => page.locator(`#slot-${name} input[type=file]`).setInputFiles(file);
const arrived = (count) => counted(() => arrivals.length, count);
await choose("content", settings.style);
await arrived(1);
outcome.while_uploading = [await page.locator("#buy").isDisabled(), await page.locator("#buy-note").textContent()];
await choose("content", settings.content);
await arrived(2);
arrivals[1]();
await priced(page);
const later = await page.locator("#slot-content img").getAttribute("src");
const late = page.waitForResponse("**/api/pictures");
arrivals[0]();
await (await late).finished();
await page.evaluate(() => new Promise((done) => setTimeout(done)));
outcome.later_picture = (await page.locator("#slot-content img").getAttribute("src")) === later && !(await page.locator("#buy").isDisabled());
await page.unroute("**/api/pictures");
await priced(page);
outcome.fit = await page.locator("#slot-content .fit").textContent();
outcome.button = await page.locator("#buy").textContent();
// The price is seen without scrolling, and the budget with it.
outcome.outside = await page.evaluate(() => {
  const isOutside = () => ["buy", "buy-note", "budget"].filter((id) => {
    const { top, bottom } = document.getElementById(id).getBoundingClientRect();
    return top < 0 || bottom > innerHeight;
  });
  scrollTo(0, 0);
  const outside = isOutside();
  scrollTo(0, 400);
  outside.push(...isOutside());
  scrollTo(0, 0);
  return outside;
});
const first = await jobId(page);
await page.locator("#buy").click();
await other(page, first);
await done(page);
outcome.mouse = { id: await jobId(page), money: await page.locator("#stage .money").textContent(), images: await page.locator("#stage .stack img").count() };
await page.locator(".stack img").first().evaluate((image) => image.decode());
await shot(page, "wide-light");
outcome.axe = { light: await checked(page) };

// A reload in the middle of a job, and a second tab.
await page.locator("#seed").fill("41");
await priced(page);
await page.locator("#buy").click();
await other(page, outcome.mouse.id);
await page.reload();
await ready(page);
const tab = observed(await context.newPage());
await tab.goto(url.origin);
await ready(tab);
outcome.reload = { id: await jobId(page), seed: await page.locator("#seed").inputValue(), slot: await page.locator("#slot-content img").count() };
outcome.second_tab = await jobId(tab);
await Promise.all([done(page), done(tab)]);
// A browser slows the timers of a page that is behind another.
await tab.close();

// The studio is killed while a job runs, and started again.
await page.locator("#seed").fill("42");
await priced(page);
await page.locator("#buy").click();
await other(page, outcome.reload.id);
await page.waitForFunction(() => ["Queued", "Running"].some((word) => document.querySelector("#stage .chip").textContent.startsWith(word)));
isDown = true;
running.child.kill("SIGKILL");
await ended(running.child);
await page.locator("#offline").waitFor();
running = await studio(url.host);
await done(page);
await page.locator("#offline").waitFor({ state: "hidden" });
isDown = false;
outcome.restarted = await jobId(page);

// By paste, into an empty form.
const pasted = async (file, into) => {
  const bytes = [...readFileSync(file)];
  await page.evaluate(([bytes, into]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], "pasted", { type: "image/jpeg" }));
    if (into) document.querySelector(into).focus();
    else document.activeElement.blur();
    (document.activeElement ?? document.body).dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, [bytes, into]);
};
for (const name of ["content", "style"]) await page.locator(`#slot-${name} .tools button`).first().click();
await pasted(settings.content);
await page.locator("#slot-content img").waitFor();
await pasted(settings.style, "#slot-style .drop");
await page.locator("#slot-style img").waitFor();
await page.locator("#seed").fill("43");
await priced(page);
await page.locator("#buy").click();
await other(page, outcome.restarted);
await done(page);
outcome.pasted = await jobId(page);

// A result dragged back, a URL, and two seeds at once.
await page.locator("input[name=mode][value=reimagine]").check();
await page.getByRole("button", { name: "Result", exact: true }).click();
const held = await page.locator("#slot-content img").getAttribute("src");
await page.locator(".stack img[draggable=true]").dragTo(page.locator("#slot-content"));
await page.waitForFunction((before) => document.querySelector("#slot-content img").getAttribute("src") !== before, held);
// The data of another page's drag asks for nothing.
outcome.foreign_drag = await page.evaluate((id) => {
  const { fetch } = window;
  const paths = [];
  window.fetch = (path) => {
    paths.push(path);
    return Promise.reject(new Error("not sent"));
  };
  for (const text of [`${id}/..\\verbs\\cancel`, `..\\session/1`, `${id}/1?x`, `${id}/1/2`]) {
    const data = new DataTransfer();
    data.setData("application/x-uso-result", text);
    document.getElementById("slot-content").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  }
  window.fetch = fetch;
  return paths;
}, outcome.pasted);
await page.locator("#prompt").fill("</script><b>a lighthouse</b>");
await page.locator("#seed").fill("7, 8");
await page.locator("input[name=size][value=square]").check();
await priced(page);
outcome.two = await page.locator("#buy").textContent();
await page.locator("#buy").click();
await other(page, outcome.pasted);
await done(page);
outcome.markup = await page.locator("#stage .facts").textContent();
outcome.bold = await page.locator("#stage b").count();

// By keyboard alone: every stop has a visible focus.
await page.reload();
await ready(page);
await priced(page);
const stops = [];
const focus = () => page.evaluate(() => {
  const node = document.activeElement;
  const drawn = node.matches(".choices input") ? node.nextElementSibling : node.matches(".stack input") ? node.parentElement : node;
  const { outlineStyle, outlineWidth } = getComputedStyle(drawn);
  const name = node.id || node.dataset.focus || node.name || node.className || node.tagName;
  return { name, slot: node.closest("[data-slot]")?.dataset.slot, seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
});
async function tabTo(is) {
  for (let count = 0; count < 60; count++) {
    await page.keyboard.press("Tab");
    const stop = await focus();
    stops.push(stop);
    if (is(stop)) return;
  }
  throw new Error(`not reached by Tab: ${JSON.stringify(stops)}`);
}
await tabTo((stop) => stop.name === "mode");
const by = async (slot, file) => {
  await tabTo((stop) => stop.slot === slot && stop.name.startsWith("drop"));
  const chooser = page.waitForEvent("filechooser");
  const before = await page.locator(`#slot-${slot} img`).count();
  await page.keyboard.press("Enter");
  await (await chooser).setFiles(file);
  if (!before) await page.locator(`#slot-${slot} img`).waitFor();
  await page.waitForFunction((slot) => !document.getElementById(`slot-${slot}`).classList.contains("busy"), slot);
};
await by("content", settings.content);
await tabTo((stop) => stop.name === "prompt");
await page.keyboard.press("Control+A");
await page.keyboard.type("a lighthouse by keyboard");
await tabTo((stop) => stop.name === "seed");
await page.keyboard.press("Control+A");
await page.keyboard.type("44");
await priced(page);
// Arrow keys in a field move its caret and nothing else.
const shownId = await jobId(page);
await page.keyboard.press("ArrowLeft");
outcome.arrow_in_field = (await jobId(page)) === shownId;
await page.keyboard.press("Control+Enter");
await other(page, shownId);
await done(page);
outcome.keyboard = await jobId(page);
await tabTo((stop) => stop.name === "divider");
await page.keyboard.press("ArrowRight");
outcome.divider = await page.locator(".stack input").inputValue();
await page.evaluate(() => document.activeElement.blur());
await page.keyboard.press("ArrowRight");
outcome.older = await jobId(page);
await page.keyboard.press("Home");
outcome.newest = await jobId(page);
outcome.unseen = stops.filter((stop) => !stop.seen);

// Two jobs side by side.
await page.locator("#jobs .compare-box input").nth(0).check();
await page.locator("#jobs .compare-box input").nth(1).check();
outcome.differs = await page.locator(".difference .differs th").allTextContents();
await shot(page, "compare");
outcome.axe.compare = await checked(page);
await page.getByRole("button", { name: "End comparison" }).click();

// The settings of an older job in the form.
await page.locator("#jobs .card > button").last().click();
await page.getByRole("button", { name: "Again, but changed" }).click();
await page.waitForFunction(() => document.querySelector("input[name=mode]:checked").value === "restyle");
outcome.again = { seed: await page.locator("#seed").inputValue(), slots: await page.locator(".slot .drop img").count() };

// The dark, a long history, and a narrow screen.
await page.keyboard.press("Home");
await page.emulateMedia({ colorScheme: "dark" });
await shot(page, "wide-dark");
outcome.axe.dark = await checked(page);
let since = Date.now();
await page.locator("#search").fill("row-1799-");
await page.waitForFunction(() => document.querySelectorAll("#jobs > li").length === 1);
outcome.search_ms = Date.now() - since;
await page.locator("#search").fill("");
await page.waitForFunction(() => document.querySelector("#jobs .title").textContent.includes("keyboard"));
since = Date.now();
for (let rows = 0; ; ) {
  rows = await page.evaluate(() => {
    document.getElementById("jobs-more").click();
    return document.getElementById("jobs-more").hidden ? 0 : document.getElementById("jobs").childElementCount;
  });
  if (!rows) break;
  await page.waitForFunction((rows) => document.getElementById("jobs").childElementCount > rows, rows);
}
outcome.load_ms = Date.now() - since;
outcome.rows = await page.locator("#jobs > li").count();
since = Date.now();
await page.locator("#jobs > li button").last().click();
await page.waitForFunction(() => document.querySelector("#stage h2").firstChild.textContent === document.querySelector("#jobs > li:last-child").dataset.id);
outcome.click_ms = Date.now() - since;
for (const colorScheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width: 360, height: 780 });
  await page.reload();
  await ready(page);
  outcome.overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await shot(page, `narrow-${colorScheme}`);
  outcome.axe[`narrow_${colorScheme}`] = await checked(page);
  await page.locator("#stage").scrollIntoViewIfNeeded();
  await shot(page, `narrow-${colorScheme}-stage`);
}

// A page of another origin cannot frame the studio.
const framing = await context.newPage();
isDown = true;
await framing.route("http://framing.example/", (route) => route.fulfill({ contentType: "text/html", body: `<iframe src="${url.origin}/"></iframe>` }));
await framing.goto("http://framing.example/");
outcome.framed = await framing.frames()[1]?.locator("#buy").count();
outcome.hosts = outcome.hosts.filter((host) => host !== "framing.example");
if (settings.screenshots) console.error(JSON.stringify({ paint: outcome.first_paint, weight: outcome.weight, search: outcome.search_ms, load: outcome.load_ms, click: outcome.click_ms }));

await browser.close();
running.child.kill("SIGINT");
await ended(running.child);
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));
