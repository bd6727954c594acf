'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);

// Text from prompts, names and the service only ever becomes text nodes and attributes.
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key in made && key !== 'list') made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function picture(source, description, over) {
  return element('img', {
    loading: 'lazy', decoding: 'async', src: source, alt: description, className: over ? 'over' : '',
  });
}

function place(image, description) {
  if (!image) return element('div', { className: 'absent' }, 'no picture');
  const source = image.thumb || null;
  if (!source) return element('div', { className: 'absent' }, image.name);
  return picture(source, `${description} ${image.name}`);
}

function compare(content, result, large) {
  const source = (image) => (large && image.full) || image.thumb;
  const under = picture(source(content), `content ${content.name}`);
  const over = picture(source(result), `result ${result.name}`, true);
  // A file that moved away: the thumbnail stays.
  for (const [image, of] of [[under, content], [over, result]]) {
    image.addEventListener('error', () => { if (image.src !== of.thumb) image.src = of.thumb; }, { once: true });
  }
  const frame = element('div', { className: 'compare' }, under, over);
  const slider = element('input', {
    type: 'range', min: 0, max: 100, value: 50, 'aria-label': `Content or result of ${result.name}`,
  });
  slider.addEventListener('input', () => frame.style.setProperty('--cut', `${slider.value}%`));
  frame.append(slider, element('div', { className: 'edge' }));
  return frame;
}

function pictures(row, result, large) {
  if (result && row.content.thumb && result.thumb) return compare(row.content, result, large);
  if (result) {
    const source = (large && result.full) || result.thumb;
    return element('figure', { className: 'alone' }, source ? picture(source, `result ${result.name}`) : place(result));
  }
  return element('div', { className: 'pair' },
    element('figure', {}, place(row.content, 'content')),
    element('figure', {}, place(row.styles[0], 'style')));
}

const words = {
  planned: 'planned', done: 'done', flagged: 'flagged', failed: 'failed', unknown: 'unknown',
  unfinished: 'not collected', missing: 'file missing', waiting: 'not begun',
};

function facts(row) {
  const parts = [];
  if (row.seed !== null) parts.push(`seed ${row.seed}`);
  if (row.money) parts.push(row.money);
  if (row.request_id) parts.push(row.request_id);
  return parts.join(' · ');
}

function card(row, index) {
  const made = element('article', { className: 'card' });
  const shown = row.results.length ? row.results : [null];
  const styles = element('div', { className: 'under' });
  for (const style of row.styles) {
    styles.append(style.thumb ? picture(style.thumb, `style ${style.name}`) : element('span', {}, style.name));
  }
  if (row.results.length > 1) styles.append(element('span', {}, `${row.results.length} pictures`));
  if (row.content.thumb || row.results.length) {
    const open = element('button', { type: 'button' }, 'Open');
    open.addEventListener('click', () => enlarge(index, 0));
    styles.append(open);
  }
  made.append(
    element('h2', {}, element('span', {}, row.id), element('span', { className: `state ${row.state}` }, words[row.state] || row.state)),
    pictures(row, shown[0], false),
    styles,
    element('p', { className: 'facts' }, facts(row)),
  );
  if (row.message) made.append(element('p', { className: 'why' }, row.message));
  if (row.prompt) made.append(element('p', { className: 'prompt', title: row.prompt }, row.prompt));
  return made;
}

let filter = 'all';
let query = '';
let open = null;
const cards = [];

function matches(row) {
  const kind = filter === 'all' || row.state === filter;
  return kind && (!query || `${row.id}\n${row.prompt || ''}`.toLowerCase().includes(query));
}

// Adds the cards up to this row.
function build(until) {
  const fragment = document.createDocumentFragment();
  for (let index = cards.length; index < Math.min(until, data.rows.length); index += 1) {
    cards.push(card(data.rows[index], index));
    cards[index].hidden = !matches(data.rows[index]);
    fragment.append(cards[index]);
  }
  byId('rows').append(fragment);
}

// The page answers at once, and gets its other cards between two answers.
function buildOthers() {
  if (cards.length >= data.rows.length) return;
  build(cards.length + 50);
  setTimeout(buildOthers, 10);
}

function apply() {
  let count = 0;
  data.rows.forEach((row, index) => {
    const fits = matches(row);
    if (cards[index]) cards[index].hidden = !fits;
    count += fits;
  });
  byId('none').hidden = count > 0;
}

function enlarge(index, number) {
  const row = data.rows[index];
  const several = Math.max(row.results.length, 1);
  open = { index, number };
  byId('large-title').textContent = row.id;
  byId('large-count').textContent = several > 1 ? `${number + 1} of ${several}` : '';
  byId('large-compare').replaceChildren(pictures(row, row.results[number] || null, true));
  byId('large-text').textContent = [row.prompt, facts(row), row.message].filter(Boolean).join(' — ');
  if (!byId('large').open) byId('large').showModal();
}

// The next picture among the rows that are shown.
function step(by) {
  if (!open) return;
  const several = Math.max(data.rows[open.index].results.length, 1);
  const number = open.number + by;
  if (number >= 0 && number < several) return enlarge(open.index, number);
  for (let index = open.index + by; index >= 0 && index < data.rows.length; index += by) {
    if (matches(data.rows[index])) {
      return enlarge(index, by > 0 ? 0 : Math.max(data.rows[index].results.length - 1, 0));
    }
  }
}

byId('title').textContent = data.title;
byId('made').textContent = data.made;
for (const [name, amount] of data.money) {
  byId('money').append(element('div', {}, element('dt', {}, name), element('dd', {}, amount)));
}
const counts = new Map([['all', data.rows.length]]);
for (const row of data.rows) counts.set(row.state, (counts.get(row.state) || 0) + 1);
for (const [state, count] of counts) {
  const chip = element('button', { type: 'button', 'aria-pressed': String(state === filter) }, `${words[state] || state} ${count}`);
  chip.addEventListener('click', () => {
    filter = state;
    for (const other of byId('filters').children) other.setAttribute('aria-pressed', String(other === chip));
    apply();
  });
  byId('filters').append(chip);
}
for (const group of data.groups) {
  byId('todo').hidden = false;
  byId('todo').append(element('div', { className: 'group' },
    element('h2', {}, group.title),
    element('p', {}, group.advice),
    element('p', {}, element('code', {}, group.command)),
    element('p', { className: 'facts' }, group.rows)));
}
build(50);
setTimeout(buildOthers, 50);
byId('search').addEventListener('input', (event) => { query = event.target.value.toLowerCase(); apply(); });
byId('close').addEventListener('click', () => byId('large').close());
byId('large').addEventListener('close', () => { open = null; });
byId('before').addEventListener('click', () => step(-1));
byId('after').addEventListener('click', () => step(1));
document.addEventListener('keydown', (event) => {
  if (!open || event.target.type === 'range') return;
  if (event.key === 'ArrowRight') step(1);
  if (event.key === 'ArrowLeft') step(-1);
});
document.documentElement.dataset.ready = 'yes';
