// The live page of the emulator: it reads one table a second, and shows foreign texts as text only.

const PAUSE = 1000;
const $ = (id) => document.getElementById(id);
const tabs = [...document.querySelectorAll("[role=tab]")];

/** An element with a class and children; strings become text. */
function el(name, kind, ...children) {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

const usd = (micro) => `$${(micro / 1e6).toFixed(4)}`;
const time = (text) => (text ? new Date(text).toLocaleTimeString(undefined, { hour12: false }) : "");
const id = (text) => el("span", "id", text);
const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function pictures(paths, what) {
  const shown = paths.map((path, index) => {
    const image = el("img");
    image.src = `/emulator${path}`;
    image.alt = `${what} ${index + 1}`;
    image.loading = "lazy";
    const link = el("a", "", image);
    link.href = image.src;
    image.addEventListener("error", () => link.replaceWith(el("span", "note", "not a picture, or expired")));
    return link;
  });
  return el("div", "pictures", ...shown);
}

const STATES = { waiting: "", running: "warn", done: "good", failed: "bad", cancelled: "warn" };

function state(job) {
  const notes = [
    job.state === "waiting" && job.position !== null ? `${job.position} ahead` : "",
    job.ran_for === null ? "" : `${job.state === "running" ? "for" : "ran"} ${job.ran_for.toFixed(1)} s`,
    job.attempts > 1 ? `${job.attempts} attempts` : "",
    job.cancel_requested ? "cancel requested" : "",
  ].filter(Boolean);
  return el("div", "",
    el("div", `state ${STATES[job.state] ?? ""}`, job.state),
    el("div", "note", notes.join(", ")),
    job.error ? el("div", "bad", `${job.status}: ${job.error}`) : null);
}

function input(job) {
  const fields = Object.entries(job.input ?? {});
  const prompt = job.input?.prompt;
  const rest = fields.filter(([name]) => name !== "prompt").map(([name, value]) => `${name}: ${plain(value)}`);
  const more = el("details", "", el("summary", "", `${fields.length} fields`), el("pre", "", rest.join("\n")));
  return el("div", "", prompt ? el("div", "", plain(prompt)) : null, more);
}

const TABLES = {
  jobs: {
    key: (job) => job.request_id,
    empty: "No job yet. Set the variables under Addresses and run: uso restyle photo.jpg ink.webp",
    columns: {
      Submitted: (job) => el("div", "", el("div", "nowrap", time(job.submitted_at)), id(job.request_id)),
      State: state,
      Input: input,
      References: (job) => (job.inputs.length ? pictures(job.inputs, "reference") : null),
      Pictures: (job) => (job.pictures.length ? pictures(job.pictures, "picture") : null),
    },
  },
  requests: {
    key: (request) => request.sequence,
    empty: "No request yet.",
    columns: {
      Number: (request) => `${request.sequence}`,
      Operation: (request) => request.operation,
      Request: (request) => id(`${request.method} ${request.path}${request.query ? `?${request.query}` : ""}`),
      Status: (request) => el("span", request.status >= 400 ? "bad" : "", request.status === null ? "none" : `${request.status}`),
      Fault: (request) => (request.fault ? el("span", "warn", request.fault) : null),
      Connection: (request) => el("span", "nowrap", `${request.connection}, ${request.http_version}`),
      Headers: (request) => el("span", "note", [request.has_authorization ? "authorization" : "", ...request.fal_headers].filter(Boolean).join(", ")),
    },
  },
  ledger: {
    key: (purchase) => purchase.request_id,
    empty: "Nothing is bought yet.",
    columns: {
      Accepted: (purchase) => el("div", "", el("div", "nowrap", time(purchase.accepted_at)), id(purchase.request_id)),
      Endpoint: (purchase) => purchase.endpoint_id,
      Billing: (purchase) => el("span", { billed: "good", pending: "warn" }[purchase.billing] ?? "", purchase.billing),
      Megapixels: (purchase) => purchase.megapixels,
      Price: (purchase) => usd(purchase.micro_dollars),
    },
  },
  webhooks: {
    key: (attempt) => `${attempt.request_id} ${attempt.number} ${attempt.at}`,
    empty: "No notification yet.",
    columns: {
      Time: (attempt) => el("span", "nowrap", time(attempt.at)),
      Request: (attempt) => id(attempt.request_id),
      Attempt: (attempt) => `${attempt.number}`,
      Outcome: (attempt) => el("span", attempt.status >= 200 && attempt.status < 300 ? "good" : "bad",
        attempt.status === null ? attempt.outcome : `${attempt.outcome} ${attempt.status}`),
      Fault: (attempt) => (attempt.fault ? el("span", "warn", attempt.fault) : null),
    },
  },
};

let table = "jobs";
let shown = new Map();
let isPaused = false;

function row(record, isNew) {
  const cells = Object.entries(TABLES[table].columns).map(([name, draw]) => {
    const cell = el("td", "", draw(record) ?? "");
    cell.dataset.label = name;
    return cell;
  });
  return el("tr", isNew ? "new" : "", ...cells);
}

/** Changes only the rows that differ, so that focus, opened details and pictures stay. */
function draw(records) {
  const isFirst = shown.size === 0;
  const next = new Map();
  for (const record of records) {
    const key = TABLES[table].key(record);
    const text = JSON.stringify(record);
    const old = shown.get(key);
    const node = old?.text === text ? old.node : row(record, !old && !isFirst);
    if (old && old.node !== node && old.node.querySelector("details[open]")) node.querySelector("details").open = true;
    next.set(key, { text, node });
  }
  const body = document.querySelector("tbody");
  const nodes = [...next.values()].map(({ node }) => node);
  if (nodes.length !== body.children.length || nodes.some((node, at) => body.children[at] !== node)) {
    const kept = new Set(nodes);
    for (const node of [...body.children]) if (!kept.has(node)) node.remove();
    nodes.forEach((node, at) => { if (body.children[at] !== node) body.insertBefore(node, body.children[at] ?? null); });
  }
  shown = next;
  filter();
}

function filter() {
  const words = $("filter").value.toLowerCase().split(" ").filter(Boolean);
  let count = 0;
  for (const { text, node } of shown.values()) {
    const found = words.every((word) => text.toLowerCase().includes(word));
    node.hidden = !found;
    count += found;
  }
  $("empty").textContent = shown.size === 0 ? TABLES[table].empty : count === 0 ? "No row has these words." : "";
}

function sums(live) {
  const texts = [
    `${live.waiting} waiting`, `${live.running} running`, `${live.accepted} accepted`, `${live.billed} billed`,
    `${usd(live.total_micro_dollars)} in all`,
  ];
  if ($("sums").textContent !== texts.join("")) $("sums").replaceChildren(...texts.map((text) => el("span", "", text)));
  const counts = { jobs: live.accepted, requests: live.requests, ledger: live.accepted, webhooks: live.webhooks };
  for (const tab of tabs) tab.querySelector("b").textContent = counts[tab.dataset.table];
}

async function look() {
  const wanted = table;
  try {
    const response = await fetch(`/emulator/live?table=${wanted}`, { cache: "no-store", redirect: "error" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const live = await response.json();
    sums(live);
    if (wanted === table) draw(live.rows);
    $("trouble").hidden = true;
  } catch {
    const text = "The emulator does not respond.";
    if ($("trouble").hidden) $("trouble").textContent = text;
    $("trouble").hidden = false;
  }
}

function choose(name) {
  table = name;
  shown = new Map();
  for (const tab of tabs) {
    const isChosen = tab.dataset.table === name;
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${name}`);
  const names = Object.keys(TABLES[name].columns).map((text) => {
    const head = el("th", "", text);
    head.scope = "col";
    return head;
  });
  document.querySelector("thead tr").replaceChildren(...names);
  document.querySelector("tbody").replaceChildren();
  $("empty").textContent = "";
  history.replaceState(null, "", `#${name}`);
  return look();
}

for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => choose(tab.dataset.table));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[to % tabs.length];
    next.focus();
    choose(next.dataset.table);
  });
}
$("filter").addEventListener("input", filter);
$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", isPaused);
});

async function follow() {
  for (;;) {
    await new Promise((done) => setTimeout(done, PAUSE));
    if (!isPaused && !document.hidden) await look();
  }
}

$("bar").hidden = false;
$("panel").hidden = false;
const wanted = location.hash.slice(1);
choose(Object.hasOwn(TABLES, wanted) ? wanted : "jobs").then(() => { document.documentElement.dataset.ready = "yes"; });
follow();
