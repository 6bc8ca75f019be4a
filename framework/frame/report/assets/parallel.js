"use strict";
// Parallel coordinates of a sweep: an axis for each setting, the metric on the right, a line for each trial.

const SVG = "http://www.w3.org/2000/svg";
const ROOM = 132; // pixels between two axes, at least
const { axes, lines, percent: inPercent } = data.parallel;
let at = -1; // the line that is read

function drawn(tag, properties, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const result = (value) => number(value, { percent: inPercent });
const clipped = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function drawParallel(place) {
  const last = axes.length - 1;
  const [top, height, left, right] = [34, 260, 14, 84];
  const width = Math.max(place.clientWidth, left + right + ROOM * last);
  const step = last ? (width - left - right) / last : 0;
  const x = (i) => left + i * step;
  const y = (part) => top + (1 - part) * height;
  const svg = drawn("svg", { width, height: top + height + 16, viewBox: `0 0 ${width} ${top + height + 16}`, "aria-hidden": "true" });
  const picture = drawn("g", { class: "lines" });
  for (const one of [...lines].reverse()) {
    const path = one.at.map((part, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(part).toFixed(1)}`).join("");
    const group = drawn("g", { "data-trial": one.trial, style: `--rank:${one.rank}` }, drawn("path", { class: "wide-line", d: path }), drawn("path", { d: path }));
    group.classList.toggle("top", one.best);
    group.addEventListener("pointerenter", () => read(lines.indexOf(one)));
    picture.append(group);
  }
  svg.append(picture);
  axes.forEach((axis, i) => {
    svg.append(drawn("line", { x1: x(i), x2: x(i), y1: y(0), y2: y(1), class: "axis" }));
    const end = i === last;
    const name = drawn("text", { x: x(i) + (end ? right - 4 : i ? 0 : -8), y: 16, class: "name", "text-anchor": end ? "end" : i ? "middle" : "start" }, clipped(axis.name, Math.max(14, Math.floor(step / (i ? 8 : 9.5)))));
    name.append(drawn("title", {}, axis.name));
    svg.append(name);
    for (const [value, part] of axis.ticks ?? axis.ends) svg.append(drawn("text", { x: x(i) + 6, y: y(part) + 4, class: "tick" }, clipped(end ? result(value) : value, 14)));
  });
  place.replaceChildren(svg);
  show();
}

// Read a line: it stands out, and its values stand below.
function read(index) {
  at = index;
  const one = lines[at];
  for (const group of $$("#parallel [data-trial]")) group.classList.toggle("read", Number(group.dataset.trial) === one.trial);
  $("#parallel-at").textContent = `Trial ${one.trial}, number ${at + 1} of ${lines.length}: ${axes[axes.length - 1].name} ${result(one.value)}, with ${one.values.map((value, i) => `${axes[i].name} ${value}`).join(", ")}.`;
}

function show() {
  const form = $("#parallel-options");
  const count = Number(form.elements.count.value);
  $("output", form).textContent = `${count} of ${lines.length}`;
  lines.forEach((one, i) => $(`#parallel [data-trial="${one.trial}"]`).toggleAttribute("hidden", i >= count));
  if (at >= 0) read(Math.min(at, count - 1));
}

if (lines.length) {
  const place = $("#parallel");
  drawParallel(place);
  read(0);
  new ResizeObserver(() => drawParallel(place)).observe(place);
  $("#parallel-options").addEventListener("input", show);
  $("#parallel-options").addEventListener("submit", (event) => event.preventDefault());
  place.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    read(Math.max(0, Math.min(Number($("#parallel-options").elements.count.value) - 1, at + move)));
  });
}
