"use strict";
// The page's behaviour: charts (uPlot), the confusion matrix, the images and their viewer. Everything is in #data.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (query, root = document) => root.querySelector(query);
const $$ = (query, root = document) => [...root.querySelectorAll(query)];

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// ---- charts

function number(value, chart) {
  if (value === null || value === undefined) return "–";
  if (chart.percent) return percent(value, 2);
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e4 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

// The series of a chart have x of their own: one table with an x for each of them, and gaps between.
function joined(chart) {
  return uPlot.join(chart.series.map((series) => [series.x, series.y]));
}

// Where a series has no value at the cursor, its nearest one is shown.
function nearest(plot, series, index) {
  const values = plot.data[series];
  if (values[index] !== null && values[index] !== undefined) return index;
  for (let away = 1; away < values.length; away++) {
    for (const place of [index - away, index + away]) {
      if (values[place] !== null && values[place] !== undefined) return place;
    }
  }
  return index;
}

function marks(chart) {
  return {
    hooks: {
      draw: (plot) => {
        for (const mark of chart.marks) {
          const x = plot.valToPos(mark.x, "x", true);
          const { left, top, width, height } = plot.bbox;
          if (x < left || x > left + width) continue;
          const pen = plot.ctx;
          pen.save();
          pen.strokeStyle = pen.fillStyle = colour("vermillion");
          pen.setLineDash([6, 4]);
          pen.lineWidth = 1.5 * devicePixelRatio;
          pen.beginPath();
          pen.moveTo(x, top);
          pen.lineTo(x, top + height);
          pen.stroke();
          pen.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
          const onTheLeft = x > left + width / 2;
          pen.textAlign = onTheLeft ? "right" : "left";
          pen.fillText(mark.label, x + (onTheLeft ? -6 : 6) * devicePixelRatio, top + 14 * devicePixelRatio);
          pen.restore();
        }
      },
    },
  };
}

// Bars: those of several series stand side by side, two at most.
function bar(series, chart) {
  const all = chart.series.filter((each) => each.kind === "bars");
  return uPlot.paths.bars(all.length < 2 ? { size: [0.9, 100] } : { size: [0.42, 60], align: all.indexOf(series) ? 1 : -1 });
}

function line(series, chart) {
  const few = series.x.length <= 40;
  const bars = series.kind === "bars";
  return {
    label: series.name,
    stroke: () => colour(series.color),
    fill: bars ? () => `color-mix(in srgb, ${colour(series.color)} 60%, transparent)` : undefined,
    width: series.pale ? 0.8 : 2,
    alpha: series.pale ? 0.45 : 1,
    dash: series.dashed ? [6, 4] : undefined,
    paths: bars ? bar(series, chart) : series.kind === "points" ? () => null : undefined,
    points: { show: !bars && (series.kind === "points" || (few && !series.dashed)), size: series.kind === "points" ? 9 : 6, fill: () => colour(series.color) },
    spanGaps: true,
  };
}

function axis(label, size, percent) {
  const tick = (value) => (value === null ? "" : short(percent ? 100 * value : value));
  const lines = { stroke: () => colour("grid"), width: 1 };
  const font = (px) => `${px}px system-ui, sans-serif`;
  return { label, size, labelSize: 20, labelFont: font(12), font: font(11), stroke: () => colour("quiet"), grid: lines, ticks: { ...lines, size: 4 }, values: (_, ticks) => ticks.map(tick) };
}

// Where every x is a whole number, such as an epoch, the ticks are too.
function whole(chart) {
  const all = chart.series.every((series) => series.x.every(Number.isInteger));
  return all && !chart.x_log ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {};
}

// A tick's number: 0.001, 25, 1e-5.
function short(value) {
  const size = Math.abs(value);
  return size >= 1e5 || (value && size < 1e-3) ? value.toExponential().replace("+", "") : String(Number(value.toPrecision(6)));
}

function ranges(chart) {
  const bars = chart.series.filter((series) => series.kind === "bars" && series.x.length > 1);
  const pad = bars.length ? (bars[0].x[1] - bars[0].x[0]) / 2 : 0;
  const x = { time: false, distr: chart.x_log ? 3 : 1 };
  if (pad) x.range = (_, low, high) => [low - pad, high + pad];
  const y = { distr: chart.y_log ? 3 : 1 };
  if (chart.y_range) y.range = chart.y_range;
  return { x, y };
}

function drawChart(place) {
  const chart = data.charts[place.dataset.chart];
  const plot = new uPlot({
    width: place.clientWidth,
    height: Math.round(Math.max(240, Math.min(380, place.clientWidth * 0.55))),
    scales: ranges(chart),
    legend: { show: false },
    cursor: { drag: { x: true, y: false }, dataIdx: nearest, points: { size: 8 } },
    series: [{}, ...chart.series.map((series) => line(series, chart))],
    axes: [{ ...axis(chart.x_label, 28, false), ...whole(chart) }, axis(chart.y_label, 56, chart.percent)],
    plugins: [marks(chart)],
    hooks: { setCursor: [(plot) => readout(plot)], setScale: [(plot) => zoomed(plot)] },
  }, joined(chart), place);
  plot.over.addEventListener("dblclick", () => reset());
  const legend = place.nextElementSibling;
  const values = [];
  chart.series.forEach((series, i) => {
    const value = element("b");
    const sign = element("i", { className: series.dashed ? "dashed" : series.kind });
    sign.style.setProperty("--c", `var(--${series.color})`);
    const button = element("button", { type: "button" }, sign, series.name, " ", value);
    button.setAttribute("aria-pressed", "true");
    button.onclick = () => {
      const show = !plot.series[i + 1].show;
      plot.setSeries(i + 1, { show });
      button.setAttribute("aria-pressed", String(show));
    };
    values.push(value);
    legend.append(button);
  });
  const at = element("span", { className: "at" });
  const back = element("button", { type: "button", hidden: true, onclick: () => reset() }, "Reset zoom");
  legend.append(at, back);
  const all = plot.data[0];

  function readout(plot) {
    const { idx, idxs } = plot.cursor;
    values.forEach((value, i) => (value.textContent = idx === null || idx === undefined ? "" : number(plot.data[i + 1][idxs[i + 1]], chart)));
    at.textContent = idx === null || idx === undefined ? "" : `${chart.x_label.replace(/ \(.*/, "")} ${number(plot.data[0][idx], {})}`;
  }
  function zoomed(plot) {
    back.hidden = plot.scales.x.min <= all[0] && plot.scales.x.max >= all[all.length - 1];
  }
  function reset() {
    plot.setData(plot.data);
  }
  place.addEventListener("keydown", (event) => {
    const current = plot.cursor.idx ?? 0;
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (move) {
      const index = Math.max(0, Math.min(all.length - 1, current + move));
      plot.setCursor({ left: plot.valToPos(all[index], "x"), top: plot.bbox.height / devicePixelRatio / 2 });
    } else if (event.key === "+" || event.key === "-") {
      const { min, max } = plot.scales.x;
      const factor = event.key === "+" ? 0.25 : -0.5;
      if (chart.x_log) plot.setScale("x", { min: min * (max / min) ** factor, max: max * (max / min) ** -factor });
      else plot.setScale("x", { min: min + factor * (max - min), max: max - factor * (max - min) });
    } else if (event.key === "0") reset();
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => {
    if (place.clientWidth && place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: plot.height });
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
  place.plot = plot;
}

$$("[data-chart]").forEach(drawChart);

// ---- confusion matrix

for (const button of $$(".matrix [data-show]")) {
  button.onclick = () => {
    const matrix = button.closest(".matrix");
    $$("[data-show]", matrix).forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    $$("[data-true]", matrix).forEach((cell) => (cell.textContent = cell.dataset[button.dataset.show]));
  };
}

for (const cell of $$("[data-true]")) {
  cell.onclick = () => browse({ target: cell.dataset.true, predicted: cell.dataset.predicted });
}

for (const button of $$("[data-gallery]")) {
  button.onclick = () => browse({ gallery: button.dataset.gallery });
}

// ---- images

const PAGE = 60;
const form = $("#filters");
let shown = [];
let visible = PAGE;

function browse(choice) {
  if (!form) return;
  form.reset();
  for (const [name, value] of Object.entries(choice)) form.elements[name].value = value;
  filter();
  $("#images").scrollIntoView();
  ($("#grid button") ?? form.elements.answer).focus({ preventScroll: true });
}

function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  const low = Number(wanted.low) / 100 - 1e-9;
  const high = wanted.high === "" ? 1 : Number(wanted.high) / 100 + 1e-9;
  shown = data.images.filter((image) =>
    (!wanted.answer || (wanted.answer === "right") === (image.target === image.predicted)) &&
    (!wanted.target || image.target === wanted.target) &&
    (!wanted.predicted || image.predicted === wanted.predicted) &&
    (!wanted.gallery || image.in.includes(wanted.gallery)) &&
    image.confidence >= low && image.confidence <= high);
  const key = wanted.order.replace("-", "");
  const sign = wanted.order.startsWith("-") ? -1 : 1;
  shown.sort((a, b) => sign * (a[key] - b[key]) || a.index - b.index);
  visible = PAGE;
  show();
}

function show() {
  $("#grid").replaceChildren(...shown.slice(0, visible).map((image, place) => element("li", {}, tile(image, place))));
  $("#count").textContent = counted(shown.length, data.images.length);
  $("#more").hidden = shown.length <= visible;
}

function counted(some, all) {
  if (!some) return "No image matches: widen the filters, or reset them.";
  const first = some > visible ? `; the first ${visible} are shown` : "";
  return some === all ? `${all} images${first}.` : `${some} of ${all} images match${first}.`;
}

function tile(image, place) {
  const right = image.target === image.predicted;
  const label = right ? `✓ ${image.target}` : `✗ ${image.target} → ${image.predicted}`;
  const picture = element("img", { src: image.src, alt: describe(image), className: image.small ? "pixels" : "" });
  const button = element("button", { type: "button", onclick: () => view(place) }, picture, element("span", { className: right ? "was-right" : "was-wrong" }, label), element("span", { className: "quiet" }, percent(image.confidence)));
  return button;
}

const describe = (image) => image.target === image.predicted ? `Test image ${image.index}: ${image.target}, recognised` : `Test image ${image.index}: ${image.target}, taken for ${image.predicted}`;

// ---- one image

const viewer = $("#viewer");
let current = 0;

function view(place) {
  current = (place + shown.length) % shown.length;
  const image = shown[current];
  $("#viewer-title").textContent = `${describe(image)} (${current + 1} of ${shown.length})`;
  const picture = element("img", { src: image.src, alt: describe(image), className: image.small ? "pixels" : "" });
  const beside = element("div", {}, facts(image), ...(image.top.length ? [probabilities(image)] : []));
  $("#viewer-body").replaceChildren(element("div", { className: "one" }, element("div", {}, picture), beside), ...maps(image));
  if (!viewer.open) viewer.showModal();
}

const head = (text) => element("th", { className: "left", scope: "row" }, text);
const rows = (...each) => element("tbody", {}, ...each.map((cells) => element("tr", {}, ...cells)));

function facts(image) {
  const values = [["true class", image.target], ["predicted class", image.predicted], ["confidence", percent(image.confidence, 2)], ["loss (cross-entropy)", image.loss === null ? "not finite" : image.loss.toFixed(4)], ["number in the test set", image.index], ["source file", image.source || "not a file"], ["chosen by", image.in.join(", ")]];
  return element("table", {}, rows(...values.map(([name, value]) => [head(name), element("td", { className: "left" }, String(value))])));
}

function probabilities(image) {
  const bars = image.top.map(([name, share]) => {
    const meter = element("meter", { min: 0, max: 1, value: share });
    meter.setAttribute("aria-label", `${name}: ${percent(share)}`);
    return [head(name), element("td", {}, meter), element("td", {}, percent(share))];
  });
  return element("table", { className: "probabilities" }, element("caption", {}, "Likeliest classes"), rows(...bars));
}

function maps(image) {
  if (!image.heats.length) return [];
  const figures = image.heats.map((heat) => {
    const under = element("img", { src: image.src, alt: "", className: image.small ? "pixels" : "" });
    const over = element("img", { src: heat.src, alt: `Activation map at ${heat.name}` });
    return element("figure", {}, element("div", { className: "over" }, under, over), element("figcaption", {}, heat.name));
  });
  const heats = element("div", { className: "heats" }, ...figures);
  const slider = element("input", { type: "range", min: 0, max: 100, value: 75 });
  slider.oninput = () => heats.style.setProperty("--heat", slider.value / 100);
  return [element("h4", {}, "Activation maps: where the evidence was (dark: little, yellow: most)"), element("label", { className: "quiet" }, "Map over image ", slider), heats];
}

if (form) {
  for (const name of ["target", "predicted"]) {
    const there = new Set(data.images.map((image) => image[name]));
    const classes = data.classes.filter((each) => there.has(each));
    form.elements[name].append(...(classes.length ? classes : [...there].sort()).map((each) => element("option", { value: each }, each)));
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  $("[data-reset]", form).onclick = () => {
    form.reset();
    filter();
  };
  $("#more").onclick = () => {
    visible += PAGE;
    show();
  };
  $$("[data-go]", viewer).forEach((button) => (button.onclick = () => view(current + Number(button.dataset.go))));
  $("[data-close]", viewer).onclick = () => viewer.close();
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  viewer.addEventListener("keydown", (event) => {
    if (event.target.type === "range") return;
    if (event.key === "ArrowRight") view(current + 1);
    if (event.key === "ArrowLeft") view(current - 1);
  });
  viewer.addEventListener("close", () => $$("#grid button")[current]?.focus());
  filter();
}
