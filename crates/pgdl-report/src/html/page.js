// What a report page gains where scripts run: tables that can be sorted and searched, and notes on dots that can be reached
// with the keyboard. Everything it shows stands in the page already.
"use strict";

// Tables: every heading becomes a button that orders the rows.
function value(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
  const text = cell.textContent.trim();
  return text === "–" ? null : text;
}

function compare(a, b) {
  // What has no value is last, whatever the direction; texts come after numbers.
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a.localeCompare(b, "en", { numeric: true });
  return typeof a === "number" ? -1 : 1;
}

function sort(table, column) {
  const heading = table.tHead.rows[0].cells[column];
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [value(row, column), row]);
  const before = heading.getAttribute("aria-sort");
  const numeric = rows.some(([key]) => typeof key === "number");
  const descending = before ? before === "ascending" : numeric;
  const present = rows.filter(([key]) => key !== null).sort(([a], [b]) => compare(a, b));
  if (descending) present.reverse();
  body.append(...present.map(([, row]) => row), ...rows.filter(([key]) => key === null).map(([, row]) => row));
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, column));
    heading.append(button);
  });
}

// Search: measures whose names do not hold the text are put out of sight, in tables and below.
for (const article of document.querySelectorAll("article")) {
  const board = article.querySelector("table[data-measures]");
  if (!board) continue;
  const label = document.createElement("label");
  label.className = "search";
  const field = document.createElement("input");
  field.type = "search";
  label.append("Measures whose name holds ", field);
  board.closest(".scroll").before(label);
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    const hide = (element, name) => { element.hidden = !name.toLowerCase().includes(wanted); };
    for (const row of article.querySelectorAll("table[data-measures] tbody tr")) hide(row, row.cells[0].textContent);
    for (const section of article.querySelectorAll("section.measure")) hide(section, section.dataset.measure);
  });
}

// Notes: the browser's own ones come late and cannot be reached with the keyboard.
const tooltip = document.getElementById("tooltip");
const announcement = document.getElementById("announcement");
const notes = new WeakMap();
let here = null;

// The hyperparameters of the networks of an article, as its table of values has them.
function hyperparameters(article) {
  const found = new Map();
  const values = article.querySelector(".values");
  const table = values?.querySelector("table");
  if (!table) return found;
  const last = 1 + Number(values.dataset.hyperparameters);
  const names = [...table.tHead.rows[0].cells].slice(1, last).map((cell) => cell.textContent);
  for (const row of table.tBodies[0].rows) {
    const settings = names.map((name, place) => `${name} ${row.cells[place + 1].textContent}`);
    found.set(`network ${row.cells[0].textContent}`, settings.join(", "));
  }
  return found;
}

const settings = new Map([...document.querySelectorAll("article")].map((article) => [article, hyperparameters(article)]));

function note(mark) {
  const title = mark.querySelector("title");
  if (title) {
    const text = title.textContent;
    const more = settings.get(mark.closest("article"))?.get(text.split("\n")[0]);
    notes.set(mark, more ? `${text}\n${more}` : text);
    title.remove();
  }
  return notes.get(mark);
}

function show(mark) {
  const text = note(mark);
  if (!text) return;
  leave();
  here = mark;
  mark.classList.add("here");
  tooltip.textContent = text;
  tooltip.hidden = false;
  const at = mark.getBoundingClientRect();
  const size = tooltip.getBoundingClientRect();
  const left = Math.min(Math.max(4, at.left + at.width / 2 - size.width / 2), innerWidth - size.width - 4);
  const above = at.top - size.height - 8;
  tooltip.style.left = `${left}px`;
  tooltip.style.top = `${above > 0 ? above : at.bottom + 8}px`;
}

function leave() {
  tooltip.hidden = true;
  here?.classList.remove("here");
  here = null;
}

for (const plot of document.querySelectorAll("figure svg")) {
  const marks = [...plot.querySelectorAll("circle, rect")].filter((mark) => mark.querySelector("title"));
  if (marks.length === 0) continue;
  plot.addEventListener("pointerover", (event) => {
    if (marks.includes(event.target)) show(event.target);
  });
  plot.addEventListener("pointerout", leave);
  const place = (mark, axis) => Number(mark.getAttribute(`c${axis}`) ?? mark.getAttribute(axis));
  marks.sort((a, b) => place(a, "x") - place(b, "x") || place(a, "y") - place(b, "y"));
  let current = -1;
  // One stop of the tab key, not two: the plot takes the place of the region that scrolls it.
  plot.parentElement.removeAttribute("tabindex");
  plot.setAttribute("tabindex", "0");
  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: current + 1, ArrowDown: current + 1, ArrowLeft: current - 1, ArrowUp: current - 1, Home: 0, End: marks.length - 1 };
    if (event.key === "Escape") leave();
    if (!(event.key in steps)) return;
    event.preventDefault();
    current = Math.min(Math.max(steps[event.key], 0), marks.length - 1);
    show(marks[current]);
    announcement.textContent = notes.get(marks[current]);
  });
  plot.addEventListener("blur", leave);
}
addEventListener("scroll", leave, { passive: true });

// On paper everything is to be read.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    details.dataset.opened = "";
  }
});
addEventListener("afterprint", () => {
  for (const details of document.querySelectorAll("details[data-opened]")) {
    details.open = false;
    delete details.dataset.opened;
  }
});
