// The page of `uso studio`. It keeps no jobs of its own: every job is a row of the journal, and the
// form's draft lives in this tab alone.

const $ = (id) => document.getElementById(id);

/** An element with properties, attributes (names with a dash, or `role`) and children. */
function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key.includes("-") || key === "role" || key === "for") node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const usd = (micro) => {
  if (micro === null || micro === undefined) return null;
  const cents = micro / 1e4;
  return `$${(micro / 1e6).toFixed(Number.isInteger(cents) ? 2 : 4).replace(/(\.\d\d)0+$/, "$1")}`;
};
const delay = (ms) => new Promise((done) => setTimeout(done, ms));
const number = (id) => Number(id.slice(1));
const say = (text) => { $("live").textContent = text; };

function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---------------------------------------------------------------- requests

let options = null;

/** The value that changes carry. All tabs of this origin share it, and no other port can read it. */
const CHANGE = "change_token";
let changeToken = "";
try { changeToken = localStorage.getItem(CHANGE) ?? ""; } catch { /* the browser keeps no storage */ }

async function enter(token) {
  changeToken = (await request("POST", "/api/session", {}, { "x-uso-token": token })).change_token;
  try { localStorage.setItem(CHANGE, changeToken); } catch { /* this tab knows the value until it is closed */ }
}

class Refused extends Error {
  constructor(status, body) {
    super(body?.message ?? `the studio responded ${status}`);
    this.status = status;
    this.code = body?.code;
    this.hint = body?.hint;
    this.problems = body?.problems ?? [];
  }
}

async function request(method, path, body, headers = {}) {
  const isBytes = body instanceof Blob;
  const type = isBytes ? "application/octet-stream" : "application/json";
  const response = await fetch(path, {
    method,
    headers: method === "GET" ? {} : { "content-type": type, "x-uso-token": changeToken, ...headers },
    body: method === "GET" ? undefined : isBytes ? body : JSON.stringify(body ?? {}),
    cache: "no-store",
    redirect: "error",
  });
  const text = await response.text();
  const json = text ? JSON.parse(text) : null;
  if (response.ok) return json;
  if (response.status === 401) gate();
  throw new Refused(response.status, json?.error);
}

const read = (path) => request("GET", path);
const change = (path, body) => request("POST", path, body);

function gate() {
  $("main").hidden = true;
  $("gate").hidden = false;
}

// ---------------------------------------------------------------- the form

const MODES = {
  restyle: { name: "Restyle", note: "Your picture in the look of another. The layout stays.", styles: true },
  restyle_by_text: { name: "Restyle by words", note: "Your picture in the look that you describe. The layout stays.", prompt: "transform the image into watercolour style" },
  reimagine: { name: "New scene", note: "Your subject in a new scene, or your picture in a new look and layout.", prompt: "a cat on a lighthouse, at dusk" },
  styled_scene: { name: "Styled scene", note: "Your subject, in the look of the style, in a new scene.", styles: true, prompt: "a cat on a lighthouse, at dusk" },
};
const SLOTS = { content: "Content", style: "Style", extra_style: "Second style" };
const SIZES = {
  keep: "As content", square_hd: "Square HD", square: "Square", portrait_4_3: "Portrait 3:4", portrait_16_9: "Portrait 9:16",
  landscape_4_3: "Landscape 4:3", landscape_16_9: "Landscape 16:9", custom: "Custom",
};

/** What stands in each slot: `{picture, width, height, changes}`, `{url}`, or nothing. */
const slots = { content: null, style: null, extra_style: null };
/** The transfer that each slot waits for. The last one counts, whichever ends first. */
const arriving = new Map();
let quoted = null;
let buying = false;

const mode = () => document.querySelector("input[name=mode]:checked").value;
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;

function choose(name, value) {
  for (const input of document.querySelectorAll(`input[name=${name}]`)) input.checked = input.value === String(value);
}

function buildForm() {
  const shape = (name, width, height, dashed) => {
    const box = el("b", { class: dashed ? "dashed" : "" });
    const scale = 24 / Math.max(width, height);
    box.style.width = `${width * scale}px`;
    box.style.height = `${height * scale}px`;
    return el("label", {},
      el("input", { type: "radio", name: "size", value: name, title: dashed ? "" : `${width} by ${height} pixels` }),
      el("span", {}, el("i", { "aria-hidden": "true" }, box), SIZES[name] ?? name.replaceAll("_", " ")));
  };
  $("sizes").append(
    shape("keep", 4, 3, true),
    ...options.sizes.map((size) => shape(size.name, size.width, size.height)),
    shape("custom", 1, 1, true),
  );
  for (let count = options.images.min; count <= options.images.max; count++) {
    $("counts").append(el("label", {}, el("input", { type: "radio", name: "images", value: String(count) }), el("span", {}, String(count))));
  }
  for (const format of options.formats) $("format").append(el("option", { value: format }, format.toUpperCase()));
  for (const [id, bounds] of [["steps", options.steps], ["guidance", options.guidance], ["width", options.side], ["height", options.side]]) {
    $(id).min = bounds.min;
    $(id).max = bounds.max;
    if (bounds.default) $(id).placeholder = `${bounds.default}`;
  }
  for (const name of Object.keys(SLOTS)) drawSlot(name);
  $("form").addEventListener("input", formChanged);
  $("form").addEventListener("submit", (event) => { event.preventDefault(); make(); });
  $("lock").addEventListener("click", () => lock($("lock").getAttribute("aria-pressed") !== "true"));
  fill(saved() ?? { mode: "restyle" });
}

/** The draft of the form, without its seed: a list of seeds is several purchases. */
function draft() {
  const about = MODES[mode()];
  const size = chosen("size");
  const amount = (id) => ($(id).value.trim() === "" ? undefined : Number($(id).value));
  const slot = (name) => {
    const held = slots[name];
    if (!held || (name !== "content" && !about.styles)) return undefined;
    return held.url !== undefined ? { url: held.url } : { picture: held.picture };
  };
  return {
    mode: mode(),
    content: slot("content"),
    style: slot("style"),
    extra_style: slot("extra_style"),
    prompt: about.prompt ? $("prompt").value : "",
    negative_prompt: $("negative_prompt").value,
    size: size === "custom" ? { width: Number($("width").value), height: Number($("height").value) } : size,
    images: Number(chosen("images")),
    steps: amount("steps"),
    guidance: amount("guidance"),
    format: $("format").value === options.default_format ? undefined : $("format").value,
    safety_checker: $("safety").checked === options.safety_checker ? undefined : $("safety").checked,
  };
}

/** The seeds that the field names, one purchase each; `[undefined]` for a random one. */
function seeds() {
  const text = $("seed").value.trim();
  if (!text) return [undefined];
  const found = [];
  for (const part of text.split(/[\s,;]+/).filter(Boolean)) {
    const range = /^(\d{1,9})(?:\.\.|-)(\d{1,9})$/.exec(part);
    if (range && Number(range[1]) <= Number(range[2]) && Number(range[2]) - Number(range[1]) < 16) {
      for (let seed = Number(range[1]); seed <= Number(range[2]); seed++) found.push(String(seed));
    } else if (/^\d{1,20}$/.test(part) && BigInt(part) < 1n << 64n) {
      found.push(part);
    } else {
      return null;
    }
  }
  return found.length <= 16 ? [...new Set(found)] : null;
}

/** Puts a draft into the form; pictures are described by `known`, or by the next quote. */
function fill(from, known = []) {
  choose("mode", from.mode);
  arriving.clear();
  for (const name of Object.keys(SLOTS)) {
    const held = from[name];
    slots[name] = held ? { ...held, ...known.find((picture) => picture.picture === held.picture) } : null;
  }
  $("prompt").value = from.prompt ?? "";
  $("negative_prompt").value = from.negative_prompt ?? "";
  const keeps = MODES[from.mode].styles ? from.mode === "restyle" : from.mode === "restyle_by_text";
  const size = from.size ?? (keeps ? "keep" : options.default_size);
  if (typeof size === "object") {
    choose("size", "custom");
    $("width").value = size.width;
    $("height").value = size.height;
  } else choose("size", size);
  choose("images", from.images ?? options.images.default);
  $("seed").value = from.seed ?? "";
  $("steps").value = from.steps ?? "";
  $("guidance").value = from.guidance ?? "";
  $("format").value = from.format ?? options.default_format;
  $("safety").checked = from.safety_checker ?? options.safety_checker;
  setLock(false);
  // The size of the draft stands, whatever the mode before was.
  lastMode = from.mode;
  for (const name of Object.keys(SLOTS)) drawSlot(name);
  formChanged();
}

function setLock(on) {
  $("lock").setAttribute("aria-pressed", String(on));
  $("lock").textContent = on ? "Locked" : "Lock";
}

function lock(on) {
  const job = jobs.get(selected[0]);
  const seed = job?.seed ?? job?.draft?.seed;
  if (on && !$("seed").value && !seed) return say("There is no seed yet: make a picture, or write a seed.");
  if (on && !$("seed").value) $("seed").value = seed;
  if (!on) $("seed").value = "";
  setLock(on);
  formChanged();
}

let lastMode = "restyle";
function formChanged() {
  const about = MODES[mode()];
  const [keep, ...others] = document.querySelectorAll("input[name=size]");
  if (mode() !== lastMode) {
    lastMode = mode();
    if (mode() === "restyle_by_text" || mode() === "restyle") keep.checked = true;
    else if (keep.checked) choose("size", options.default_size);
  }
  $("mode-note").textContent = about.note;
  $("prompt-field").hidden = !about.prompt;
  $("prompt").placeholder = about.prompt ?? "";
  $("slot-style").hidden = $("slot-extra_style").hidden = !about.styles;
  keep.disabled = mode() === "reimagine";
  for (const other of others) other.disabled = mode() === "restyle_by_text";
  if (keep.disabled && keep.checked) choose("size", options.default_size);
  if (mode() === "restyle_by_text") keep.checked = true;
  $("custom").hidden = chosen("size") !== "custom";
  save();
  quoteSoon();
}

// A draft survives a reload of this tab, and nothing else.
function save() {
  const seed = $("seed").value.trim();
  try { sessionStorage.setItem("draft", JSON.stringify({ ...draft(), ...hiddenSlots(), prompt: $("prompt").value, seed })); } catch { /* the tab has no storage */ }
}
const hiddenSlots = () => Object.fromEntries(Object.entries(slots).map(([name, held]) => [name, held && (held.url !== undefined ? { url: held.url } : { picture: held.picture })]));
function saved() {
  try {
    const text = JSON.parse(sessionStorage.getItem("draft"));
    return text && MODES[text.mode] ? text : null;
  } catch { return null; }
}

// ---------------------------------------------------------------- price

let quoteTimer = 0;
let quoteTurn = 0;
/** Withdraws the price, which is of what the form was, and asks for another once the form rests. */
function quoteSoon() {
  clearTimeout(quoteTimer);
  quoteTurn += 1;
  quoted = null;
  $("buy").disabled = true;
  // What is bought is the picture on its way, and not the one that it replaces.
  if (arriving.size) noQuote("A picture is on its way.");
  else quoteTimer = setTimeout(quote, 120);
}

async function quote() {
  const turn = quoteTurn;
  const wanted = seeds();
  if (!wanted) return noQuote("Write seeds as 7, 9, 1..4; sixteen at the most.");
  const asked = draft();
  try {
    const price = await change("/api/quote", asked);
    if (turn !== quoteTurn) return;
    quoted = { ...price, draft: asked, seeds: wanted };
    for (const [name, told] of Object.entries(price.pictures)) {
      if (told && slots[name]?.picture === told.picture && slots[name].changes === undefined) {
        slots[name] = { ...slots[name], ...told };
        drawSlot(name);
      }
    }
    drawPrice();
  } catch (error) {
    if (turn !== quoteTurn) return;
    noQuote(error instanceof Refused ? sentence(error.problems[0]?.message ?? error.message) : "The studio does not respond.");
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

function noQuote(why) {
  $("buy").textContent = "Make";
  $("buy").disabled = true;
  $("buy-note").textContent = why;
}

function drawPrice() {
  if (!quoted) return;
  const count = quoted.seeds.length;
  const bound = quoted.at_most * count;
  const price = quoted.price === null ? `up to ${usd(bound)}` : usd(quoted.price * count);
  const pictures = quoted.images * count;
  const left = Math.max(0, options.budget.cap - options.budget.committed);
  const isOver = bound > left;
  $("buy").textContent = buying ? "Sending…" : `Make ${pictures === 1 ? "1 picture" : `${pictures} pictures`} · ${price}`;
  $("buy").disabled = buying || isOver;
  const size = quoted.size ? `${quoted.size[0]} × ${quoted.size[1]}` : "size of the content";
  const most = quoted.price !== null && quoted.at_most > quoted.price ? `, ${usd(bound)} at most` : "";
  $("buy-note").textContent = isOver
    ? `This would take up to ${usd(bound)}, and ${usd(left)} of the session's ${usd(options.budget.cap)} are left. Start uso studio with a larger --budget.`
    : `${count > 1 ? `${count} jobs, ` : ""}${size}${most}${options.service === "emulator" ? " · emulated, nothing is billed" : ""}`;
}

function drawBudget(budget) {
  options.budget = budget;
  $("budget").hidden = false;
  $("budget-text").textContent = `${usd(budget.committed)} of ${usd(budget.cap)} used`;
  $("budget-bar").value = budget.cap ? Math.min(1, budget.committed / budget.cap) : 1;
  drawPrice();
}

// ---------------------------------------------------------------- slots

function drawSlot(name) {
  const section = $(`slot-${name}`);
  const held = slots[name];
  const label = SLOTS[name];
  const input = el("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/gif", class: "hidden", tabIndex: -1, "aria-hidden": "true", onchange: () => input.files[0] && take(name, input.files[0]) });
  const drop = el("button", { type: "button", class: `drop${held ? " full" : ""}`, onclick: () => input.click() }, el("span", { class: "hidden" }, held ? `${label}: replace ` : `${label}: `));
  if (!held) drop.append(el("span", {}, el("strong", {}, name === "content" ? "Choose a picture" : name === "style" ? "Choose a style" : "Optional"), "or drop, paste"));
  else if (held.url !== undefined) drop.append(el("span", { class: "address" }, el("strong", {}, "By its URL"), shortUrl(held.url)));
  else drop.append(el("img", { src: `/api/pictures/${held.picture}`, alt: "" }));
  const tools = el("div", { class: "tools" });
  if (held) {
    tools.append(el("button", { type: "button", class: "quiet", onclick: () => put(name, null), "aria-label": `Remove the ${label.toLowerCase()} picture` }, "Remove"));
  } else {
    tools.append(el("button", { type: "button", class: "quiet", onclick: () => askUrl(name), "aria-label": `${label}: give a URL` }, "URL"));
  }
  const notes = [];
  if (held?.url !== undefined) notes.push("passed on, not loaded here");
  if (held?.width) notes.push(`${held.width} × ${held.height}`);
  if (held?.changes?.length) notes.push(held.changes.join(", "));
  const hadFocus = section.contains(document.activeElement);
  section.replaceChildren(el("div", { class: "head" }, el("h2", {}, label), tools), input, drop, el("p", { class: "note fit" }, notes.join(" · ")));
  section.classList.remove("busy");
  if (hadFocus) drop.focus();
}

const shortUrl = (text) => {
  try {
    const url = new URL(text);
    const path = url.pathname.length > 24 ? `…${url.pathname.slice(-23)}` : url.pathname;
    return `${url.host}${path}`;
  } catch { return text.slice(0, 40); }
};

function askUrl(name) {
  const section = $(`slot-${name}`);
  const field = el("input", { type: "url", placeholder: "https://…", "aria-label": `URL of the ${SLOTS[name].toLowerCase()} picture` });
  const use = () => (field.value.trim() ? put(name, { url: field.value.trim() }) : drawSlot(name));
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") { event.preventDefault(); use(); }
    if (event.key === "Escape") drawSlot(name);
  });
  section.querySelector(".tools").replaceChildren(field, el("button", { type: "button", onclick: use }, "Use"));
  field.focus();
}

function put(name, held) {
  arriving.delete(name);
  slots[name] = held;
  drawSlot(name);
  formChanged();
}

async function take(name, file) {
  await fillSlot(name, () => change("/api/pictures", file));
}

const takeResult = (name, id, picture) => fillSlot(name, () => change(`/api/jobs/${id}/pictures/${picture}`));

async function fillSlot(name, bring) {
  const section = $(`slot-${name}`);
  const turn = Symbol(name);
  arriving.set(name, turn);
  section.classList.add("busy");
  quoteSoon();
  try {
    const picture = await bring();
    if (arriving.get(name) !== turn) return;
    if (name !== "content" && !MODES[mode()].styles) choose("mode", mode() === "reimagine" ? "styled_scene" : "restyle");
    put(name, picture);
    say(`${SLOTS[name]} picture added${picture.changes.length ? `; it will be ${picture.changes.join(", ")}` : ""}.`);
  } catch (error) {
    if (arriving.get(name) !== turn) return;
    arriving.delete(name);
    section.classList.remove("busy");
    quoteSoon();
    const note = section.querySelector(".fit");
    note.textContent = sentence(error.problems?.[0]?.message ?? error.message);
    note.classList.add("bad");
    say(note.textContent);
  }
}

const RESULT = "application/x-uso-result";

function slotOf(target) {
  return target instanceof Element ? target.closest("[data-slot]")?.dataset.slot : undefined;
}
function firstEmpty() {
  const usable = MODES[mode()].styles ? ["content", "style", "extra_style"] : ["content"];
  return usable.find((name) => !slots[name]) ?? "content";
}

addEventListener("dragover", (event) => {
  event.preventDefault();
  for (const section of document.querySelectorAll(".slot")) section.classList.toggle("over", section.dataset.slot === slotOf(event.target));
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) clearDrag(); });
addEventListener("drop", (event) => {
  event.preventDefault();
  clearDrag();
  const name = slotOf(event.target) ?? firstEmpty();
  // Another page can set this data, too, and it becomes part of a path.
  const own = /^(j\d+)\/(\d+)$/.exec(event.dataTransfer.getData(RESULT));
  const url = event.dataTransfer.getData("text/uri-list").split("\n")[0].trim();
  if (own) takeResult(name, own[1], own[2]);
  else if (event.dataTransfer.files[0]) take(name, event.dataTransfer.files[0]);
  else if (/^https?:\/\//.test(url)) put(name, { url });
});
function clearDrag() {
  for (const section of document.querySelectorAll(".over")) section.classList.remove("over");
}
addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"));
  const name = slotOf(document.activeElement) ?? firstEmpty();
  if (file) {
    event.preventDefault();
    take(name, file);
    return;
  }
  const text = event.clipboardData?.getData("text/plain").trim() ?? "";
  if (!isField(event.target) && /^https?:\/\/\S+$/.test(text)) {
    event.preventDefault();
    put(name, { url: text });
  }
});

// ---------------------------------------------------------------- buying

// A press of the button has a key of its own, which buys once however often it is sent. It is kept
// until the studio has responded, so that a reload or a restart in between neither loses nor
// repeats the purchase.
const PENDING = "pending";
const PENDING_MS = 120_000;

const pending = () => {
  try { return JSON.parse(sessionStorage.getItem(PENDING)) ?? []; } catch { return []; }
};
function keep(list) {
  try { sessionStorage.setItem(PENDING, JSON.stringify(list)); } catch { /* the tab has no storage */ }
}

async function make() {
  if (!quoted || buying || $("buy").disabled) return;
  const orders = quoted.seeds.map((seed) => ({
    at: Date.now(),
    order: { key: randomKey(), draft: { ...quoted.draft, seed }, at_most: quoted.at_most },
  }));
  keep([...pending(), ...orders]);
  await sendPending();
}

async function sendPending() {
  if (buying) return;
  buying = true;
  drawPrice();
  let first = null;
  let why = null;
  for (const { at, order } of pending()) {
    for (;;) {
      if (Date.now() - at > PENDING_MS) {
        why ??= new Error("The studio has not responded for two minutes, and the order was withdrawn. Unless the list shows its job, nothing was bought");
        break;
      }
      try {
        const job = await change("/api/jobs", order);
        merge([job]);
        first ??= job.id;
        break;
      } catch (error) {
        if (error instanceof Refused && error.status !== 401) {
          why ??= error;
          break;
        }
        await delay(700);
      }
    }
    keep(pending().filter((other) => other.order.key !== order.key));
  }
  buying = false;
  drawPrice();
  if (first) {
    select(first);
    say("The job is on its way.");
  }
  if (why) {
    $("buy-note").textContent = sentence([why.message, why.hint].filter(Boolean).join(": "));
    say($("buy-note").textContent);
  }
}

// ---------------------------------------------------------------- jobs

/** Jobs by id, as the studio told them last. */
const jobs = new Map();
/** Ids of the list, newest first. */
let listed = [];
let next = null;
let selected = [];
let compared = [];
let listTurn = 0;

const NAMES = { pending: "Not sent", reserved: "Preparing", sending: "Sending", submitted: "In progress", done: "Done", failed: "Failed", unknown: "Unknown", cancelled: "Cancelled" };
const isActive = (job) => ["reserved", "sending", "submitted"].includes(job.state);
const filtered = () => $("search").value.trim() !== "" || $("state").value !== "";

function stateName(job) {
  if (job.state === "submitted" && job.cancel_asked) return "Asked to cancel";
  if (job.state === "submitted" && job.live) {
    const { phase, position } = job.live;
    if (phase === "queued") return position > 0 ? `Queued, ${position} ahead` : "Queued";
    if (phase === "running") return "Running";
    if (phase === "saving") return "Saving";
  }
  if (job.state === "submitted" && !job.in_work) return "Bought, not collected";
  return NAMES[job.state] ?? job.state;
}

function title(job) {
  const about = job.draft && MODES[job.draft.mode];
  return job.draft?.prompt || about?.name || job.label;
}

/** Takes changed jobs in. */
function merge(changed) {
  let isNew = false;
  for (const job of changed) {
    const before = jobs.get(job.id);
    if (before && JSON.stringify(before) === JSON.stringify(job)) continue;
    jobs.set(job.id, job);
    if (before && isActive(before) && !isActive(job)) say(`Job ${job.id}: ${NAMES[job.state]}.`);
    if (!before && !filtered() && (!next || number(job.id) > number(next))) {
      listed.push(job.id);
      isNew = true;
    }
    if (cards.has(job.id)) drawCard(job);
    if (selected.includes(job.id)) drawStage();
  }
  if (isNew) {
    listed = [...new Set(listed)].sort((one, other) => number(other) - number(one));
    drawList();
  }
}

async function loadList(more = false) {
  const turn = ++listTurn;
  const query = new URLSearchParams({ q: $("search").value.trim(), state: $("state").value });
  if (more && next) query.set("before", next);
  const page = await read(`/api/jobs?${query}`);
  if (turn !== listTurn) return;
  for (const job of page.jobs) jobs.set(job.id, job);
  const ids = page.jobs.map((job) => job.id);
  listed = more ? [...new Set([...listed, ...ids])] : ids;
  next = page.next;
  for (const job of page.jobs) if (cards.has(job.id)) drawCard(job);
  drawList();
  if (!selected.length && listed.length) select(listed[0], false);
  else drawStage();
}

const cards = new Map();

function drawList() {
  const wanted = listed.map((id) => cards.get(id) ?? drawCard(jobs.get(id)));
  const kept = new Set(listed);
  for (const [id, card] of cards) if (!kept.has(id)) { card.remove(); cards.delete(id); }
  let place = $("jobs").firstElementChild;
  for (const card of wanted) {
    if (card === place) place = place.nextElementSibling;
    else $("jobs").insertBefore(card, place);
  }
  $("jobs-more").hidden = !next;
  $("jobs-note").textContent = listed.length ? "" : filtered() ? "No job matches." : "No jobs yet.";
}

function drawCard(job) {
  const card = cards.get(job.id) ?? el("li", { class: "card", "data-id": job.id });
  cards.set(job.id, card);
  const picture = job.pictures[0];
  const thumb = el("span", { class: "thumb" }, picture ? el("img", { src: thumbnailUrl(job, picture), alt: "", loading: "lazy", decoding: "async" }) : stateName(job));
  const bill = usd(job.billed ?? job.estimate);
  const button = el("button", { type: "button", onclick: () => select(job.id) },
    el("span", { class: "hidden" }, job.id),
    thumb,
    el("span", { class: "lines" },
      el("span", { class: "title" }, title(job)),
      el("span", { class: "meta" }, el("span", { class: `chip ${isActive(job) ? "active" : job.state}` }, stateName(job)), el("span", {}, job.pictures.length > 1 ? `×${job.pictures.length} ` : "", bill ?? ""))));
  const box = el("input", { type: "checkbox", checked: compared.includes(job.id), "aria-label": `Compare ${job.id}`, title: "Compare two jobs", onchange: () => compare(job.id, box.checked) });
  const hadFocus = card.contains(document.activeElement) ? document.activeElement.type : null;
  card.replaceChildren(button, el("span", { class: "compare-box" }, box));
  if (hadFocus) (hadFocus === "checkbox" ? box : button).focus();
  card.classList.toggle("selected", selected.includes(job.id));
  return card;
}

function markCards() {
  for (const [id, card] of cards) {
    card.classList.toggle("selected", selected.includes(id));
    card.querySelector("button").setAttribute("aria-current", String(selected.includes(id)));
    card.querySelector("input").checked = compared.includes(id);
  }
}

function select(id, reveal = true) {
  selected = [id];
  compared = [];
  view = { ...view, picture: null };
  markCards();
  drawStage();
  if (reveal && innerWidth <= 860) $("stage").scrollIntoView({ block: "start" });
}

function compare(id, on) {
  compared = on ? [...compared.filter((other) => other !== id), id].slice(-2) : compared.filter((other) => other !== id);
  if (compared.length === 2) selected = [...compared];
  else if (selected.length === 2) selected = [compared[0] ?? id];
  else if (compared.length === 1) selected = [...compared];
  markCards();
  drawStage();
}

const thumbnailUrl = (job, picture) => `/api/jobs/${job.id}/thumbnails/${picture.number}?v=${picture.version}`;
const pictureUrl = (job, picture) => `/api/jobs/${job.id}/pictures/${picture.number}?v=${picture.version}`;

// ---------------------------------------------------------------- the stage

let view = { how: "slider", picture: null, zoom: "fit", cut: 50 };
let shown = "";

const watched = new Set();
/** Has the studio watch a job of another process, for its queue position and log lines. */
function watchElsewhere(job) {
  if (job.state !== "submitted" || !job.in_work || job.live || watched.has(job.id)) return;
  watched.add(job.id);
  read(`/api/jobs/${job.id}`).then((job) => merge([job]), () => watched.delete(job.id));
}

function drawStage() {
  const [first, second] = selected.map((id) => jobs.get(id));
  if (!first) return;
  for (const job of [first, second]) if (job) watchElsewhere(job);
  const key = JSON.stringify([first, second, view.how, view.picture, view.zoom]);
  if (key === shown) return;
  shown = key;
  const stage = $("stage");
  const focused = stage.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  const scroll = stage.querySelector(".log")?.scrollTop;
  stage.replaceChildren(...(second ? difference(first, second) : single(first)));
  const log = stage.querySelector(".log");
  if (log) log.scrollTop = scroll ?? log.scrollHeight;
  if (focused) stage.querySelector(`[data-focus="${focused}"]`)?.focus();
}

const action = (name, label, act, more = {}) => el("button", { type: "button", "data-focus": name, onclick: act, ...more }, label);

function single(job) {
  const count = job.pictures.length;
  const picture = job.pictures.find((one) => one.number === view.picture) ?? (count === 1 ? job.pictures[0] : null);
  const hasContent = job.draft?.content?.picture !== undefined;
  const how = hasContent ? view.how : "result";
  const tools = el("div", { class: "group", role: "group", "aria-label": "View" });
  if (picture) {
    if (count > 1) tools.append(action("grid", "All", () => look({ picture: null })));
    if (hasContent) {
      for (const [name, label] of [["slider", "Slider"], ["side", "Beside"], ["result", "Result"]]) {
        tools.append(action(name, label, () => look({ how: name }), { "aria-pressed": String(how === name) }));
      }
    }
    tools.append(action("zoom", view.zoom === "fit" ? "Zoom" : view.zoom === 1 ? "Zoom 100 %" : "Zoom 200 %", zoom));
  }
  return [
    el("div", { class: "bar" },
      el("h2", {}, job.id, el("span", { class: `chip ${isActive(job) ? "active" : job.state}` }, stateName(job))),
      tools),
    el("div", { class: "view", tabIndex: view.zoom === "fit" ? undefined : 0, role: view.zoom === "fit" ? undefined : "region", "aria-label": view.zoom === "fit" ? undefined : "Picture, zoomed" }, body(job, picture, how)),
    el("div", { class: "bar foot" }, money(job), verbs(job, picture)),
    job.live?.log?.length ? el("pre", { class: "log", tabIndex: 0, role: "region", "aria-label": "Log of the job" }, job.live.log.join("\n")) : null,
    facts(job),
  ].filter(Boolean);
}

function body(job, picture, how) {
  if (picture && how === "side") {
    return el("div", { class: "sides" },
      el("figure", {}, el("img", { src: `/api/jobs/${job.id}/content`, alt: "Content picture" }), el("figcaption", {}, "Content")),
      el("figure", {}, resultImage(job, picture), el("figcaption", {}, "Result")));
  }
  if (picture) return stack(job, picture, how);
  if (job.pictures.length) {
    return el("div", { class: "tiles" }, job.pictures.map((one) => el("figure", {},
      el("button", { type: "button", "data-focus": `p${one.number}`, onclick: () => look({ picture: one.number }), "aria-label": `Open picture ${one.number}` }, resultImage(job, one)),
      el("figcaption", {}, `Picture ${one.number}${one.flagged ? ", flagged by the safety checker" : ""}`))));
  }
  const content = job.draft?.content?.picture;
  return el("div", { class: "wait" },
    content ? el("img", { src: `/api/jobs/${job.id}/content`, alt: "Content picture" }) : null,
    el("p", { class: "big" }, stateName(job), isActive(job) ? [" · ", el("span", { "data-since": job.created_at, class: "since" }, span(Date.now() - job.created_at))] : null),
    isActive(job) ? el("div", { class: "pulse", "aria-hidden": "true" }) : null,
    el("p", { class: "note" }, explanation(job)));
}

const CAUSES = {
  not_bought: "Nothing was bought", response_lost: "The response to the submit was lost: the job may be bought",
  process_ended: "The process ended while the submit was under way: the job may be bought", not_yet_listed: "The account's list does not show the job yet; the studio looks again",
  not_listed: "The account's list does not show the job", undecidable: "The account's list cannot tell whether the job was bought", service_failed: "The service failed", not_started: "The service did not start the job in time",
  cancelled: "Cancelled", written_off: "Written off", not_collected: "Bought, and not collected yet; the studio tries again",
};
function explanation(job) {
  if (job.state === "pending") return "The process ended before anything was sent. Nothing was bought; use the settings again to make the picture.";
  const cause = CAUSES[job.cause];
  const text = [cause, job.message && job.message !== cause ? job.message : null].filter(Boolean).join(": ");
  return text ? sentence(text) : job.state === "reserved" ? "The pictures are made fit and uploaded." : "";
}

const resultImage = (job, picture) => el("img", {
  src: pictureUrl(job, picture), alt: `Result ${picture.number} of ${job.id}`, draggable: true,
  ondragstart: (event) => event.dataTransfer.setData(RESULT, `${job.id}/${picture.number}`),
});

/** Content and result one over the other, in the same frame. */
function stack(job, picture, how) {
  const result = resultImage(job, picture);
  const isOver = how === "slider";
  const frame = el("div", { class: `stack ${how}` }, result);
  frame.style.setProperty("--cut", `${view.cut}%`);
  const fit = () => {
    const [width, height] = [result.naturalWidth || 1, result.naturalHeight || 1];
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.style.width = view.zoom === "fit" ? `min(100%, ${width}px, calc(64vh * ${width / height}))` : `${width * view.zoom}px`;
  };
  fit();
  result.addEventListener("load", fit);
  if (job.draft?.content?.picture !== undefined) {
    frame.append(el("img", { class: "before", src: `/api/jobs/${job.id}/content`, alt: isOver ? "Content picture" : "", draggable: false }));
  }
  if (isOver) {
    const range = el("input", { type: "range", min: 0, max: 100, step: 1, value: String(view.cut), "aria-label": "Divider between content and result", "data-focus": "divider",
      draggable: true, ondragstart: (event) => { event.preventDefault(); event.stopPropagation(); },
      oninput: () => { view.cut = Number(range.value); frame.style.setProperty("--cut", `${view.cut}%`); } });
    frame.append(el("span", { class: "line", "aria-hidden": "true" }), el("span", { class: "tag left", "aria-hidden": "true" }, "Content"), el("span", { class: "tag right", "aria-hidden": "true" }, "Result"), range);
  }
  return frame;
}

function look(how) {
  view = { ...view, ...how };
  drawStage();
}
function zoom() {
  look({ zoom: view.zoom === "fit" ? 1 : view.zoom === 1 ? 2 : "fit" });
}
function switched(on) {
  document.querySelector(".stack")?.classList.toggle("switched", on);
}

function money(job) {
  const estimate = usd(job.estimate ?? job.reserved);
  const billed = usd(job.billed);
  const text = billed && estimate ? `${billed} billed, ${estimate} estimated` : billed ? `${billed} billed` : estimate ? `${estimate} estimated` : "no price known";
  return el("span", { class: "money" }, text);
}

const CANCELLED = {
  withdrawn: "Withdrawn: nothing was sent.",
  removed: "The service removed the job from its queue; it is not billed. The row closes within half a minute.",
  requested: "The service was asked to stop the job. It may still complete, and is then billed.",
  already_completed: "The job had ended already; its pictures are collected.",
  not_found: "The service does not know the job any more.",
};

const VERBS = {
  cancel: ["Cancel", null],
  collect: ["Collect", null],
  reconcile: ["Look again", null],
  write_off: ["Write off", "Write this job off? The studio stops looking for its pictures, and its reserved money is free again. If the job was bought, the service bills it all the same."],
  reopen: ["Reopen", null],
  retry: ["Buy again", null],
};

function verbs(job, picture) {
  const group = el("div", { class: "group" });
  const one = picture ?? (job.pictures.length === 1 ? job.pictures[0] : null);
  if (one) {
    group.append(
      el("a", { class: "hidden", href: `/api/jobs/${job.id}/pictures/${one.number}?download`, download: "", tabIndex: -1, id: "download", "aria-hidden": "true" }),
      action("download", "Download", () => $("download").click()),
      action("as-content", "Use as content", () => takeResult("content", job.id, one.number)),
      action("as-style", "Use as style", () => takeResult("style", job.id, one.number)));
    if (job.draft?.content?.picture !== undefined) {
      group.append(action("switch", "Hold for content", () => {}, {
        onpointerdown: () => switched(true), onpointerup: () => switched(false), onpointerleave: () => switched(false),
        onkeydown: (event) => event.key === " " && switched(true), onkeyup: () => switched(false), onblur: () => switched(false),
      }));
    }
  }
  if (job.draft) group.append(action("again", "Again, but changed", () => again(job), { class: job.state === "done" ? "strong" : "" }));
  for (const verb of job.can) group.append(action(verb, VERBS[verb][0], () => apply(job, verb)));
  return group;
}

async function again(job) {
  try {
    fill({ ...job.draft, seed: job.draft.seed ?? "" }, await change(`/api/jobs/${job.id}/inputs`));
    say("The settings of the job are in the form.");
    (MODES[mode()].prompt ? $("prompt") : $("form").querySelector("input[name=mode]:checked")).focus();
    if (innerWidth <= 860) $("form").scrollIntoView({ block: "start" });
  } catch (error) { say(sentence(error.message)); }
}

async function apply(job, verb) {
  const [label, question] = VERBS[verb];
  const body = {};
  if (verb === "retry") {
    try {
      await change(`/api/jobs/${job.id}/inputs`);
      const price = await change("/api/quote", job.draft);
      Object.assign(body, { attempt: job.attempt, at_most: price.at_most });
      if (!(await confirmed(`Buy again for ${usd(price.price ?? price.at_most)}?`, "The first attempt has ended. This is a new purchase with the same settings.", "Buy"))) return;
    } catch (error) { return fail(error); }
  } else if (question && !(await confirmed(`${label} ${job.id}?`, question, label))) return;
  if (verb === "write_off") body.seen = job.state;
  try {
    const { job: after, outcome } = await change(`/api/jobs/${job.id}/verbs/${verb}`, body);
    merge([after]);
    const text = CANCELLED[outcome];
    const note = text && document.querySelector("#stage .wait .note");
    if (note) note.textContent = text;
    say(text ?? `${label}: done.`);
  } catch (error) { fail(error); }
}

function fail(error) {
  const note = document.querySelector("#stage .wait .note, #stage .money");
  const text = sentence(error.message);
  if (note) note.textContent = text;
  say(text);
}

function confirmed(heading, text, yes) {
  $("confirm-title").textContent = heading;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  return new Promise((done) => $("confirm").addEventListener("close", () => done($("confirm").returnValue === "yes"), { once: true }));
}

function settings(job) {
  const from = job.draft ?? {};
  const slot = (held) => (held ? (held.url ? shortUrl(held.url) : `picture ${held.picture.slice(0, 8)}`) : "none");
  const size = from.size;
  return {
    Mode: MODES[from.mode]?.name ?? "unknown",
    Content: slot(from.content),
    Style: slot(from.style),
    "Second style": slot(from.extra_style),
    Prompt: from.prompt || "none",
    "Negative prompt": from.negative_prompt || "none",
    Size: size === undefined || size === null ? "default" : typeof size === "object" ? `${size.width} × ${size.height}` : SIZES[size] ?? size,
    Pictures: String(from.images ?? options.images.default),
    Seed: job.seed ?? from.seed ?? "random",
    Steps: String(from.steps ?? options.steps.default),
    Guidance: String(from.guidance ?? options.guidance.default),
    Format: from.format ?? options.default_format,
    "Safety checker": (from.safety_checker ?? options.safety_checker) ? "on" : "off",
  };
}

function facts(job) {
  const list = Object.entries(settings(job)).filter(([name, value]) => value !== "none" && name !== "Safety checker");
  const times = [["Made", new Date(job.created_at).toLocaleString()], ["From", job.source], job.attempt > 1 ? ["Attempt", String(job.attempt)] : null, job.request_id ? ["Request", job.request_id] : null];
  return el("dl", { class: "facts" }, [...list, ...times.filter(Boolean)].map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function difference(first, second) {
  const [one, other] = [settings(first), settings(second)];
  const figure = (job) => el("figure", {}, job.pictures[0] ? resultImage(job, job.pictures[0]) : el("p", {}, stateName(job)), el("figcaption", {}, `${job.id} · ${usd(job.billed ?? job.estimate) ?? "no price"}`));
  const rows = Object.keys(one).map((name) => el("tr", { class: one[name] === other[name] ? "" : "differs" },
    el("th", { scope: "row" }, name), el("td", {}, one[name]), el("td", {}, other[name])));
  return [
    el("div", { class: "bar" }, el("h2", {}, `${first.id} and ${second.id}`), el("div", { class: "group" },
      action("swap", "Swap", () => { selected.reverse(); drawStage(); }), action("end", "End comparison", () => select(first.id)))),
    el("div", { class: "view" }, el("div", { class: "sides" }, figure(first), figure(second))),
    el("table", { class: "difference" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Setting"), el("th", { scope: "col" }, first.id), el("th", { scope: "col" }, second.id))), el("tbody", {}, rows)),
  ];
}

// ---------------------------------------------------------------- keys

const isField = (target) => target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;

addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    make();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target) || document.querySelector("dialog[open]")) return;
  const at = listed.indexOf(selected[0]);
  const job = jobs.get(selected[0]);
  const to = (place) => listed[place] && select(listed[place]);
  const turn = (step) => {
    const numbers = job?.pictures.map((picture) => picture.number) ?? [];
    if (numbers.length) look({ picture: numbers[Math.min(numbers.length - 1, Math.max(0, numbers.indexOf(view.picture) + step))] });
  };
  const acts = {
    ArrowLeft: () => to(Math.max(0, at - 1)),
    ArrowRight: () => to(Math.min(listed.length - 1, at + 1)),
    Home: () => to(0),
    End: () => to(listed.length - 1),
    ArrowUp: () => turn(-1),
    ArrowDown: () => turn(1),
    z: zoom,
    a: () => job?.draft && again(job),
    "/": () => $("search").focus(),
    "?": () => $("help").showModal(),
  };
  if (event.key === " " && !(event.target instanceof Element && event.target.closest("button, a, summary"))) {
    event.preventDefault();
    switched(true);
    return;
  }
  // A zoomed picture scrolls by its arrow keys.
  const scrolls = event.target instanceof Element && event.target.closest(".view[tabindex], .log");
  const act = scrolls && event.key.startsWith("Arrow") ? null : acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
addEventListener("keyup", (event) => { if (event.key === " ") switched(false); });

// ---------------------------------------------------------------- start

async function follow() {
  let tag = "";
  let isLost = false;
  let last = Date.now();
  let since = Math.max(0, ...[...jobs.values()].map((job) => job.changed_at));
  for (;;) {
    try {
      const ids = [...jobs.values()].filter(isActive).slice(-50).map((job) => job.id);
      const changed = await read(`/api/changes?${new URLSearchParams({ tag, since, ids })}`);
      tag = changed.tag;
      since = changed.jobs.reduce((latest, job) => Math.max(latest, job.changed_at), since);
      drawBudget(changed.budget);
      merge(changed.jobs);
      // Older rows may have changed, too.
      if (isLost || Date.now() - last > 300_000) await loadList();
      if (isLost && pending().length) sendPending();
      isLost = false;
      last = Date.now();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return;
      isLost = true;
      tag = "";
      await delay(800);
    }
    $("offline").hidden = !isLost;
  }
}

async function start() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", location.pathname);
    try { await enter(token); } catch { return gate(); }
  }
  if (!changeToken) return gate();
  try { options = await read("/api/options"); } catch { return gate(); }
  const badges = { emulator: "Emulated: nothing is bought", other: `Service: ${options.origin}` };
  $("service").textContent = badges[options.service] ?? "";
  $("service").hidden = !badges[options.service];
  drawBudget(options.budget);
  buildForm();
  $("help-open").addEventListener("click", () => $("help").showModal());
  let typing = 0;
  $("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(loadList, 200); });
  $("state").addEventListener("change", () => loadList());
  $("jobs-more").addEventListener("click", () => loadList(true));
  new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting) && next) loadList(true); }, { rootMargin: "600px" }).observe($("jobs-more"));
  setInterval(() => { for (const node of document.querySelectorAll("[data-since]")) node.textContent = span(Date.now() - Number(node.dataset.since)); }, 1000);
  await loadList();
  if (pending().length) sendPending();
  document.documentElement.dataset.ready = "true";
  follow();
}

addEventListener("hashchange", () => location.hash.length > 1 && location.reload());
start();
