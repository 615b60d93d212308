"use strict";
{
const ROW = 32;
const CHUNK = 1024;
// Browsers limit the height of an element; beyond this, the scroll bar is a scale.
const HEIGHT_MAX = 8e6;
const byId = (id) => document.getElementById(id);
const grouped = (number) => number.toLocaleString("en-US");

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-") || key.startsWith("data-") || key === "role" || key === "scope" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

async function decompress(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).arrayBuffer();
}

const jsonOf = (buffer) => JSON.parse(new TextDecoder().decode(buffer));

/* The open targets: columns of numbers, and the texts that they refer to. */
function readTable(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = jsonOf(new Uint8Array(buffer, 4, length));
  const table = { rows: header.rows, texts: header.texts, classes: header.classes };
  const kinds = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
  let at = 4 + length;
  for (const [name, width, isDelta] of header.columns) {
    let column = new kinds[width](buffer, at, header.rows);
    at += Math.ceil(header.rows * width / 4) * 4;
    if (isDelta) {
      const sums = new Uint32Array(header.rows);
      let sum = 0;
      for (let row = 0; row < sums.length; row++) sums[row] = sum = sum + column[row] >>> 0;
      column = sums;
    }
    table[name] = column;
  }
  return table;
}

const addressText = (address) => `${address >>> 24}.${address >>> 16 & 255}.${address >>> 8 & 255}.${address & 255}`;

function addressOf(text) {
  const parts = text.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || part > 255)) return null;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/* The first and the last address of "10.0.0.0/24", "10.0.3" or "10.0.3.7"; null for another text. */
function rangeOf(text) {
  const cidr = /^([\d.]+)\/(\d{1,2})$/.exec(text);
  if (cidr && cidr[2] <= 32) {
    const address = addressOf(cidr[1]);
    if (address === null) return null;
    const size = 2 ** (32 - cidr[2]);
    const first = Math.floor(address / size) * size;
    return [first, first + size - 1];
  }
  const parts = text.replace(/\.$/, "").split(".");
  const isPrefix = text.includes(".") && parts.length <= 4 && parts.every((part) => /^\d{1,3}$/.test(part) && part <= 255);
  if (!isPrefix) return null;
  const first = addressOf([...parts, "0", "0", "0"].slice(0, 4).join("."));
  return [first, first + 256 ** (4 - parts.length) - 1];
}

class Table {
  constructor(table, details) {
    Object.assign(this, table);
    this.details = details;
    this.chunks = new Map();
    this.order = Uint32Array.from({ length: this.rows }, (_, row) => row);
    this.buffer = new Uint32Array(this.rows);
    this.view = this.order;
    this.filter = { text: "", classes: new Set(), port: "", finding: "", label: "", isChanged: false };
  }

  target(row) {
    const name = this.name[row] ? this.texts[this.name[row]] : addressText(this.address[row]);
    return name.includes(":") ? `[${name}]:${this.port[row]}` : `${name}:${this.port[row]}`;
  }

  /* Which texts contain a word: 1 for each of them. */
  textsWith(word) {
    this.lower ??= this.texts.map((text) => text.toLowerCase());
    const marks = new Uint8Array(this.texts.length);
    for (let at = 1; at < marks.length; at++) if (this.lower[at].includes(word)) marks[at] = 1;
    return marks;
  }

  wordsOf(text) {
    return text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
      const pair = /^(.*\.\d+|\[[\da-f:.]+\])?:(\d{1,5})$/.exec(word);
      const host = pair ? (pair[1] ?? "").replace(/[[\]]/g, "") : word;
      return { port: pair ? Number(pair[2]) : -1, range: rangeOf(host), marks: host ? this.textsWith(host) : null };
    });
  }

  matches(word, row) {
    if (word.port >= 0 && word.port !== this.port[row]) return false;
    if (!word.marks) return true;
    if (word.range && !this.name[row]) {
      const address = this.address[row];
      if (address >= word.range[0] && address <= word.range[1]) return true;
    }
    const marks = word.marks;
    return marks[this.name[row]] === 1 || marks[this.service[row]] === 1 || marks[this.software[row]] === 1 ||
      marks[this.findings[row]] === 1 || marks[this.label[row]] === 1 || marks[this.greeting[row]] === 1;
  }

  apply() {
    const { text, classes, port, finding, label, isChanged } = this.filter;
    const words = this.wordsOf(text);
    const isOfClass = this.classes.map((_, index) => classes.size === 0 || classes.has(index));
    const findings = finding ? this.texts.map((names) => names.split(" ").includes(finding)) : null;
    const labelId = label ? this.texts.indexOf(label) : -1;
    let count = 0;
    for (let at = 0; at < this.rows; at++) {
      const row = this.order[at];
      if (!isOfClass[this.class[row]]) continue;
      if (port !== "" && this.port[row] !== Number(port)) continue;
      if (findings && !findings[this.findings[row]]) continue;
      if (label && this.label[row] !== labelId) continue;
      if (isChanged && !this.changed[row]) continue;
      let isMatch = true;
      for (const word of words) if (!this.matches(word, row)) { isMatch = false; break; }
      if (isMatch) this.buffer[count++] = row;
    }
    this.view = this.buffer.subarray(0, count);
  }

  /* The place of each text in alphabetical order. */
  ranks() {
    if (!this.rankOf) {
      const collator = new Intl.Collator("en", { numeric: true });
      const sorted = Uint32Array.from(this.texts.keys()).sort((one, other) => collator.compare(this.texts[one], this.texts[other]));
      this.rankOf = new Uint32Array(sorted.length);
      sorted.forEach((text, rank) => { this.rankOf[text] = rank; });
    }
    return this.rankOf;
  }

  /* Sorts by numbers that hold the key and the row, so that no function is called for each comparison. */
  sort(column, isDescending) {
    const SHIFT = 2 ** 21;
    const ranks = column.isText ? this.ranks() : null;
    const values = column.key === "target" ? null : this[column.key];
    const keys = new Float64Array(this.rows);
    const last = 2 ** 31;
    for (let row = 0; row < this.rows; row++) {
      let key = values ? (ranks ? ranks[values[row]] : values[row]) : row;
      // Rows without a value come last in both directions.
      const isEmpty = values && values[row] === 0 && (ranks || column.isTime);
      key = isEmpty ? last : isDescending ? last - 1 - key : key;
      keys[row] = key * SHIFT + row;
    }
    keys.sort();
    for (let at = 0; at < this.rows; at++) this.order[at] = keys[at] % SHIFT;
  }

  async detail(row) {
    const chunk = Math.floor(row / CHUNK);
    if (!this.chunks.has(chunk)) this.chunks.set(chunk, jsonOf(await decompress(this.details[chunk])));
    const { offers, rows } = this.chunks.get(chunk);
    const [rule, banner, offer, evidence, attempts, time, keys] = rows[row % CHUNK];
    const pairs = [["rule", rule], ["greeting", banner], ...(keys ?? []), ...(offers[offer] ?? [])];
    for (const [ms, side, text] of evidence ?? []) pairs.push([ms === null ? "not recorded" : `${ms} ms ${side}`, text]);
    pairs.push(["attempts", String(attempts)], ["time", time ? new Date(time).toISOString() : ""]);
    return pairs.filter(([, text]) => text);
  }
}

const timeText = (stored) => {
  if (!stored) return "";
  const ms = (stored - 1) / 100;
  return ms < 10 ? `${ms.toFixed(2)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
};

const COLUMNS = [
  { key: "target", title: "Target", text: (table, row) => table.target(row) },
  { key: "service", title: "Service", isText: true },
  { key: "software", title: "Software or protocol", isText: true },
  { key: "findings", title: "Weaknesses", isText: true },
  { key: "label", title: "Label", isText: true },
  { key: "connect", title: "Connect", isTime: true },
  { key: "first_byte", title: "First byte", isTime: true },
  { key: "greeting", title: "Greeting", isText: true },
];

// The columns whose values the evidence repeats, because it takes their room.
const IN_EVIDENCE = ["software", "findings", "connect", "first_byte"];

// The columns that fit beside each other on a narrow screen.
const NARROW = ["target", "service"];

function cellText(table, column, row) {
  if (column.text) return column.text(table, row);
  return column.isTime ? timeText(table[column.key][row]) : table.texts[table[column.key][row]];
}

/* A cell of CSV. A spreadsheet would run a cell that begins like a formula, so it gets an apostrophe. */
function csvCell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/* The table of open targets: only the rows in sight are in the document. */
class Grid {
  constructor(table, place) {
    this.table = table;
    this.columns = COLUMNS.filter(({ key }) => key === "target" || key === "service" || table[key].some((value) => value > 0));
    this.narrow = matchMedia("(max-width: 760px)");
    this.fit();
    this.current = 0;
    this.sorted = null;
    this.isDescending = false;
    this.build(place);
    // The most urgent first, as in the table without the script.
    table.sort({ key: "class" }, false);
    this.show();
  }

  build(place) {
    const { table } = this;
    this.search = element("input", { type: "search", placeholder: "10.0.0.0/24, openssh, :23 …", autocomplete: "off", spellcheck: false });
    this.port = this.select("Port", this.counts(table.port), (value) => { table.filter.port = value; });
    const findings = new Map();
    for (const [id, count] of this.counts(table.findings)) {
      for (const name of table.texts[id].split(" ").filter(Boolean)) findings.set(name, (findings.get(name) ?? 0) + count);
    }
    this.finding = this.select("Weakness", [...findings].sort((one, other) => other[1] - one[1]), (value) => { table.filter.finding = value; });
    const labels = this.counts(table.label).filter(([id]) => id).map(([id, count]) => [table.texts[id], count]);
    this.label = this.select("Label", labels, (value) => { table.filter.label = value; });
    const filters = element("div", { className: "filters" }, element("label", {}, "Search", this.search), this.port.label);
    if (findings.size) filters.append(this.finding.label);
    if (labels.length) filters.append(this.label.label);
    this.toggles = element("fieldset", { className: "toggles" }, element("legend", {}, "Show only"));
    this.buttons = new Map();
    for (const [index, count] of this.counts(table.class).sort((one, other) => one[0] - other[0])) {
      const [name, label] = table.classes[index];
      this.toggle(name, element("span", { className: `tag t-${name}` }, `${label} ${grouped(count)}`), (isOn) => {
        if (isOn) table.filter.classes.add(index); else table.filter.classes.delete(index);
      });
    }
    if (table.changed.some((value) => value > 0)) this.toggle("changed", "changed", (isOn) => { table.filter.isChanged = isOn; });
    this.says = element("output", { "aria-live": "polite" });
    const copy = element("button", { type: "button", textContent: "Copy as CSV", onclick: () => this.copy() });
    const reset = element("button", { type: "button", textContent: "Reset", onclick: () => this.reset() });
    const status = element("div", { className: "status" }, this.says, copy, this.chooser(), reset);
    this.head = element("thead");
    this.body = element("tbody");
    this.grid = element("table", { role: "grid", "aria-label": "Open targets" }, this.head, this.body);
    this.box = element("div", { className: "grid-box", tabIndex: 0, role: "group", "aria-label": "Open targets: arrow keys choose a row, Enter shows its evidence" }, this.grid);
    this.panel = element("aside", { className: "detail", hidden: true, "aria-label": "Evidence" });
    this.frame = element("div", { className: "body" }, this.box, this.panel);
    place.append(filters, this.toggles, status, this.frame);
    this.search.addEventListener("input", () => { table.filter.text = this.search.value; this.show(); });
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.panel.addEventListener("keydown", (event) => { if (event.key === "Escape") this.close(); });
    this.body.addEventListener("click", (event) => {
      const line = event.target.closest("tr[data-at]");
      if (line) { this.current = Number(line.dataset.at); this.open(); }
    });
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.narrow.addEventListener("change", () => { this.fit(); this.drawHead(); this.draw(); });
  }

  /* Chooses the columns for which the screen has room. */
  fit() {
    for (const column of this.columns) {
      column.isOn = !this.narrow.matches || NARROW.includes(column.key);
      if (column.box) column.box.checked = column.isOn;
    }
  }

  /* Pairs of a value and how often it occurs, the most frequent first. */
  counts(column) {
    const counts = new Map();
    for (const value of column) counts.set(value, (counts.get(value) ?? 0) + 1);
    return [...counts].sort((one, other) => other[1] - one[1]).slice(0, 500);
  }

  select(title, counts, change) {
    const select = element("select", {}, element("option", { value: "", textContent: "any" }));
    for (const [value, count] of counts) select.append(element("option", { value, textContent: `${String(value).slice(0, 40)} (${grouped(count)})` }));
    select.addEventListener("change", () => { change(select.value); this.show(); });
    return { select, label: element("label", {}, title, select), set: (value) => { select.value = value; change(value); } };
  }

  toggle(name, content, change) {
    const button = element("button", { type: "button", "aria-pressed": "false" }, content);
    const set = (isOn) => { button.setAttribute("aria-pressed", String(isOn)); change(isOn); };
    button.addEventListener("click", () => { set(button.getAttribute("aria-pressed") !== "true"); this.show(); });
    this.buttons.set(name, set);
    this.toggles.append(button);
  }

  chooser() {
    const list = element("div");
    for (const column of this.columns.slice(1)) {
      const box = element("input", { type: "checkbox", checked: column.isOn, onchange: () => { column.isOn = box.checked; this.drawHead(); this.draw(); } });
      column.box = box;
      list.append(element("label", {}, box, column.title));
    }
    return element("details", { className: "chooser" }, element("summary", {}, "Columns"), list);
  }

  clear() {
    this.search.value = this.table.filter.text = "";
    for (const select of [this.port, this.finding, this.label]) select.set("");
    for (const set of this.buttons.values()) set(false);
  }

  reset() {
    this.clear();
    this.show();
  }

  /* Shows only the targets of a class, those with a weakness, or those that match a text. */
  only({ name = "", text = "" }) {
    this.clear();
    if (this.buttons.has(name)) this.buttons.get(name)(true);
    else if (name) this.finding.set(name);
    this.search.value = this.table.filter.text = text;
    this.show();
    byId("targets").scrollIntoView();
    this.box.focus({ preventScroll: true });
  }

  show() {
    this.table.apply();
    this.current = 0;
    this.close();
    this.box.scrollTop = 0;
    const { view, rows } = this.table;
    const counted = view.length === rows ? `${grouped(rows)} open targets` : `${grouped(view.length)} of ${grouped(rows)} open targets`;
    const hidden = this.columns.filter((column) => !column.isOn).length;
    this.says.textContent = hidden && this.narrow.matches ? `${counted}; ${hidden} more columns under “Columns”` : counted;
    this.drawHead();
    this.draw();
  }

  shown() {
    return this.columns.filter((column) => column.isOn);
  }

  drawHead() {
    const cells = this.shown().map((column) => {
      const direction = this.sorted !== column ? "none" : this.isDescending ? "descending" : "ascending";
      const button = element("button", { type: "button", textContent: column.title, onclick: () => this.sort(column) });
      return element("th", { scope: "col", "aria-sort": direction, className: `w-${column.key}${column.isTime ? " n" : ""}`, title: column.title }, button);
    });
    const hadFocus = this.head.contains(document.activeElement) ? [...this.head.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    this.head.replaceChildren(element("tr", { role: "row" }, ...cells));
    if (hadFocus >= 0) this.head.querySelectorAll("button")[hadFocus]?.focus();
    this.grid.setAttribute("aria-rowcount", this.table.view.length + 1);
  }

  sort(column) {
    this.isDescending = this.sorted === column && !this.isDescending;
    this.sorted = column;
    this.table.sort(column, this.isDescending);
    this.show();
  }

  sizes() {
    const count = this.table.view.length;
    const visible = Math.ceil(this.box.clientHeight / ROW);
    const height = Math.min(count * ROW, HEIGHT_MAX);
    return { count, visible, height };
  }

  first() {
    const { count, visible, height } = this.sizes();
    const room = height - this.box.clientHeight + ROW;
    if (room <= 0) return 0;
    const share = Math.min(this.box.scrollTop / room, 1);
    return height < HEIGHT_MAX ? Math.floor(this.box.scrollTop / ROW) : Math.round(share * Math.max(count - visible + 1, 0));
  }

  draw() {
    const { count, visible, height } = this.sizes();
    const { table } = this;
    const columns = this.shown();
    const first = Math.max(Math.min(this.first(), count - visible + 1), 0);
    const last = Math.min(first + visible + 2, count);
    const space = (pixels) => {
      const cell = element("td", { colSpan: columns.length });
      cell.style.height = `${Math.max(pixels, 0)}px`;
      return element("tr", { className: "space", "aria-hidden": "true" }, cell);
    };
    const above = height < HEIGHT_MAX ? first * ROW : Math.min(this.box.scrollTop, height - (last - first) * ROW);
    const lines = [space(above)];
    for (let at = first; at < last; at++) {
      const row = table.view[at];
      const line = element("tr", { role: "row", id: `row-${at}`, "data-at": at, "aria-rowindex": at + 2, className: at === this.current ? "current" : "", "aria-selected": String(at === this.current) });
      for (const column of columns) {
        const text = cellText(table, column, row);
        const content = column.key === "service" ? element("span", { className: `tag t-${table.classes[table.class[row]][0]}` }, text) : element("bdi", {}, text);
        line.append(element("td", { role: "gridcell", className: `w-${column.key}${column.isTime ? " n" : ""}`, title: text }, content));
      }
      lines.push(line);
    }
    lines.push(space(height - above - (last - first) * ROW));
    if (count === 0) lines.push(element("tr", {}, element("td", { colSpan: columns.length }, "No target matches.")));
    this.body.replaceChildren(...lines);
    if (this.current >= first && this.current < last) this.box.setAttribute("aria-activedescendant", `row-${this.current}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  key(event) {
    if (event.target !== this.box) return;
    const { count, visible, height } = this.sizes();
    const page = Math.max(visible - 2, 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -count, End: count };
    if (event.key in moves) {
      event.preventDefault();
      this.current = Math.max(Math.min(this.current + moves[event.key], count - 1), 0);
      const first = this.first();
      if (height >= HEIGHT_MAX) {
        if (this.current < first || this.current > first + visible - 3) this.box.scrollTop = this.current / count * (height - this.box.clientHeight + ROW);
      } else if (this.current < first) this.box.scrollTop = this.current * ROW;
      else if (this.current > first + visible - 3) this.box.scrollTop = (this.current - visible + 3) * ROW;
      this.draw();
      if (!this.panel.hidden) this.open(false);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.open();
    } else if (event.key === "Escape") this.close();
  }

  async open() {
    const { table } = this;
    const row = table.view[this.current];
    if (row === undefined) return;
    this.draw();
    const columns = COLUMNS.filter(({ key }) => IN_EVIDENCE.includes(key));
    const shown = columns.map((column) => [column.title.toLowerCase(), cellText(table, column, row)]);
    const pairs = [...shown.filter(([, text]) => text), ...await table.detail(row)];
    const list = element("dl");
    for (const [name, text] of pairs) list.append(element("dt", {}, name), element("dd", {}, element("bdi", {}, text)));
    const close = element("button", { type: "button", textContent: "Close", onclick: () => { this.close(); this.box.focus(); } });
    const label = table.texts[table.label[row]];
    this.panel.replaceChildren(close, element("h3", {}, element("bdi", {}, table.target(row))), element("p", {}, table.texts[table.service[row]] + (label ? ` · ${label}` : "")), list);
    this.panel.hidden = false;
    this.frame.classList.add("open");
  }

  close() {
    this.panel.hidden = true;
    this.frame.classList.remove("open");
  }

  async copy() {
    const columns = this.shown();
    const lines = [columns.map((column) => csvCell(column.title)).join(",")];
    for (const row of this.table.view) lines.push(columns.map((column) => csvCell(cellText(this.table, column, row))).join(","));
    const text = `${lines.join("\r\n")}\r\n`;
    let isCopied = false;
    try {
      await navigator.clipboard.writeText(text);
      isCopied = true;
    } catch {
      // Pages without a secure context have only the older way.
      const area = element("textarea", { value: text });
      document.body.append(area);
      area.select();
      isCopied = document.execCommand("copy");
      area.remove();
    }
    this.says.textContent = isCopied ? `Copied ${grouped(this.table.view.length)} rows as CSV` : "The browser did not allow copying";
  }
}

/* The subnet map: says what is below the pointer or the cursor, and filters the table. */
class SubnetMap {
  constructor(data, grid) {
    this.data = data;
    this.grid = grid;
    this.says = byId("map-says");
    this.strip = byId("strip");
    this.at = null;
    this.listen(byId("map-box"), byId("map"), data.rows, byId("cursor"));
  }

  listen(box, drawing, rows, cursor) {
    const point = (event) => {
      const place = drawing.getBoundingClientRect();
      const scale = drawing.viewBox.baseVal.width / place.width;
      const [x, y] = [(event.clientX - place.left) * scale, (event.clientY - place.top) * scale];
      const row = rows.findIndex((it) => y >= it.y && y < it.y + it.height);
      if (row < 0) return null;
      const { line, per_line: perLine, cell: width, cells } = rows[row];
      const column = Math.floor((x - this.data.left) / width);
      const cell = Math.floor((y - rows[row].y) / line) * perLine + column;
      return column >= 0 && column < perLine && cell < cells.length ? [row, cell] : null;
    };
    let at = null;
    const move = (to) => {
      at = to;
      if (!to) { cursor.setAttribute("visibility", "hidden"); return; }
      const row = rows[to[0]];
      cursor.setAttribute("x", this.data.left + to[1] % row.per_line * row.cell - 1);
      cursor.setAttribute("y", row.y + Math.floor(to[1] / row.per_line) * row.line - 1);
      cursor.setAttribute("width", row.cell + 2);
      cursor.setAttribute("height", row.line + 2);
      cursor.setAttribute("visibility", "visible");
      this.says.textContent = this.describe(row, to[1]);
    };
    box.addEventListener("pointermove", (event) => move(point(event)));
    box.addEventListener("pointerleave", () => { if (document.activeElement !== box) move(null); });
    box.addEventListener("click", (event) => { const to = point(event); if (to) { move(to); this.choose(rows[to[0]], to[1]); } });
    box.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
      if (event.key in steps) {
        event.preventDefault();
        move(at ? this.step(rows, at, steps[event.key]) : this.step(rows, [0, -1], [0, 1]));
      } else if (event.key === "Enter" && at) {
        event.preventDefault();
        this.choose(rows[at[0]], at[1]);
      } else if (event.key === "Escape") move(null);
    });
  }

  /* The next cell with a target in a direction, or the same one if there is none. */
  step(rows, [row, cell], [down, right]) {
    const perLine = rows[row].per_line;
    let at = [row, cell];
    for (let count = 0; count < 70_000; count++) {
      at = right ? [at[0], at[1] + right] : [at[0], at[1] + down * perLine];
      if (at[1] < 0 || at[1] >= rows[at[0]].cells.length) {
        if (right) break;
        const next = at[0] + down;
        if (!rows[next]) break;
        const column = (at[1] + perLine) % perLine;
        const lines = Math.ceil(rows[next].cells.length / rows[next].per_line);
        at = [next, Math.min(down > 0 ? column : (lines - 1) * rows[next].per_line + column, rows[next].cells.length - 1)];
      }
      if (rows[at[0]].cells[at[1]] !== "-") return at;
    }
    return cell < 0 ? null : [row, cell];
  }

  name(row, cell) {
    if (row.names.length) return row.names[cell];
    const bytes = row.base.split(".");
    return row.folded ? `${bytes[0]}.${bytes[1]}.${cell}.0/24` : `${bytes[0]}.${bytes[1]}.${bytes[2]}.${cell}`;
  }

  describe(row, cell) {
    const letter = row.cells[cell];
    const name = this.name(row, cell);
    if (letter === "-") return `${name}: no target`;
    const [, label] = this.data.classes[letter.charCodeAt(0) - 97];
    if (row.folded) return `${name}: ${this.open(name) || label}`;
    return `${name}: ${label}${row.names.length ? "" : this.ports(name)}`;
  }

  /* The first open target whose address is at least this one: targets are ordered by address, then names. */
  find(address) {
    const { table } = this.grid;
    let [low, high] = [0, table.rows];
    while (low < high) {
      const middle = low + high >>> 1;
      if (!table.name[middle] && table.address[middle] < address) low = middle + 1; else high = middle;
    }
    return low;
  }

  /* The open targets of a /24 by class, the most urgent first; empty if there are none. */
  open(name) {
    const { table } = this.grid;
    const first = addressOf(name.split("/")[0]);
    const counts = table.classes.map(() => 0);
    for (let row = this.find(first); row < table.rows && !table.name[row] && table.address[row] <= first + 255; row++) counts[table.class[row]]++;
    const present = counts.map((count, index) => count ? `${grouped(count)} ${table.classes[index][1]}` : "").filter(Boolean);
    return present.length ? `${present.join(", ")}; the others are not open` : "";
  }

  /* The open ports of an address, which are adjacent rows. */
  ports(name) {
    const { table } = this.grid;
    const address = addressOf(name);
    const ports = [];
    for (let row = this.find(address); row < table.rows && !table.name[row] && table.address[row] === address && ports.length < 8; row++) {
      ports.push(`${table.port[row]} ${table.texts[table.service[row]]}`);
    }
    return ports.length ? ` (${ports.join(", ")})` : "";
  }

  choose(row, cell) {
    const name = this.name(row, cell);
    if (row.folded) this.unfold(name);
    this.grid.only({ text: name.replace(/^\[(.*)\]:(\d+)$/, "$1") });
  }

  unfold(name) {
    const base = name.split("/")[0];
    const cells = this.data.subnets[base];
    this.strip.hidden = !cells;
    if (!cells) return;
    const namespace = "http://www.w3.org/2000/svg";
    const shape = (kind, attributes) => {
      const made = document.createElementNS(namespace, kind);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      return made;
    };
    const row = { name, base, folded: false, y: 4, height: 64, line: 16, per_line: 64, cell: 16, cells, names: [] };
    const drawing = shape("svg", { class: "map", viewBox: `0 0 ${this.data.left + 1024} 72`, role: "img", "aria-label": name });
    for (let cell = 0; cell < cells.length; cell++) {
      if (cells[cell] === "-") continue;
      const [kind] = this.data.classes[cells.charCodeAt(cell) - 97];
      drawing.append(shape("rect", { class: `f-${kind}`, x: this.data.left + cell % 64 * 16, y: 4 + Math.floor(cell / 64) * 16, width: 15.3, height: 15.3 }));
    }
    const text = shape("text", { class: "name", x: this.data.left - 8, y: 16 });
    text.textContent = name;
    const cursor = shape("rect", { class: "cursor", visibility: "hidden" });
    drawing.append(text, cursor);
    const box = element("div", { tabIndex: 0, role: "group", "aria-label": `Addresses of ${name}` }, drawing);
    this.strip.replaceChildren(box);
    this.listen(box, drawing, [row], cursor);
  }
}

async function start() {
  const table = readTable(await decompress(byId("data-table").textContent));
  const details = byId("data-details").textContent.trim().split("\n");
  const map = jsonOf(await decompress(byId("data-map").textContent));
  let grid = null;
  byId("loading").remove();
  if (table.rows > 0) {
    grid = new Grid(new Table(table, details), byId("table"));
    for (const button of document.querySelectorAll("button[data-filter]")) {
      button.addEventListener("click", () => grid.only({ name: button.dataset.filter }));
    }
  }
  if (byId("map") && grid) new SubnetMap(map, grid);
  document.documentElement.dataset.ready = "yes";
}

// Without DecompressionStream the page stays as it is without the script.
if (typeof DecompressionStream === "function") {
  requestAnimationFrame(() => setTimeout(() => start().catch((error) => {
    document.documentElement.classList.remove("js");
    throw error;
  })));
}
}
