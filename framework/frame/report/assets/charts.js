"use strict";
// Charts (uPlot), to hover over, zoom and read by keyboard.

function number(value, chart) {
  if (value === null || value === undefined) return "–";
  if (chart.percent) return percent(value, 2);
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e4 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

// The series that have intervals: their low and high ends are drawn as lines that nobody sees, behind all others.
const withIntervals = (chart) => chart.series.filter((series) => series.low?.length);

// The series of a chart have x of their own: one table with an x for each of them, and gaps between.
function joined(chart) {
  const ends = withIntervals(chart).map((series) => [series.x, series.high, series.low]);
  const tables = [...chart.series.map((series) => [series.x, series.y]), ...ends];
  return tables.every(([x]) => new Set(x).size === x.length) ? uPlot.join(tables) : stacked(tables);
}

// The same where an x has several points: a row for each of them.
function stacked(tables) {
  const width = sum(tables.map((table) => table.length - 1));
  let place = 0;
  const rows = tables.flatMap(([x, ...ys]) => {
    const made = x.map((each, i) => [each, ...Array(place).fill(null), ...ys.map((y) => y[i]), ...Array(width - place - ys.length).fill(null)]);
    place += ys.length;
    return made;
  });
  rows.sort((a, b) => a[0] - b[0]);
  return Array.from({ length: width + 1 }, (_, column) => rows.map((row) => row[column]));
}

// The places of a series' high and low ends among the lines of the plot, null where it has no intervals.
function endsOf(series, chart) {
  const place = withIntervals(chart).indexOf(series);
  return place < 0 ? null : [1 + chart.series.length + 2 * place, 2 + chart.series.length + 2 * place];
}

function bands(chart) {
  const lines = withIntervals(chart).filter((series) => series.kind === "line");
  return lines.map((series) => ({ series: endsOf(series, chart), fill: () => `color-mix(in srgb, ${colour(series.color)} 20%, transparent)` }));
}

// Intervals of bars and points are whiskers.
function whiskers(chart) {
  const standing = withIntervals(chart).filter((series) => series.kind !== "line");
  return {
    hooks: {
      draw: (plot) => {
        for (const series of standing) {
          if (!plot.series[1 + chart.series.indexOf(series)].show) continue;
          const pen = plot.ctx;
          pen.save();
          pen.strokeStyle = colour(series.kind === "bars" ? "text" : series.color);
          pen.lineWidth = 1.5 * devicePixelRatio;
          series.x.forEach((x, i) => {
            if (series.low[i] === null || series.high[i] === null) return;
            const [at, from, to] = [plot.valToPos(x, "x", true), plot.valToPos(series.low[i], "y", true), plot.valToPos(series.high[i], "y", true)];
            if (at < plot.bbox.left || at > plot.bbox.left + plot.bbox.width) return;
            pen.beginPath();
            pen.moveTo(at, from);
            pen.lineTo(at, to);
            pen.stroke();
          });
          pen.restore();
        }
      },
    },
  };
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

const unseen = { width: 0, points: { show: false }, spanGaps: true };

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

// A number rounded to its first digit, where the ticks of a log scale are: it needs no whole decade.
function oneDigit(value, round) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return round(value / unit) * unit;
}

function ranges(chart) {
  const bars = chart.series.filter((series) => series.kind === "bars" && series.x.length > 1);
  const pad = bars.length ? (bars[0].x[1] - bars[0].x[0]) / 2 : 0;
  const x = { time: false, distr: chart.x_log ? 3 : 1 };
  if (pad) x.range = (_, low, high) => [low - pad, high + pad];
  // room for the outermost points; without it those that share the last x are cut off
  const points = chart.series.every((series) => series.kind === "points");
  if (points) x.range = (_, low, high) => (chart.x_log ? [low / (high / low) ** 0.04 / 1.001, high * (high / low) ** 0.04 * 1.001] : [low - 0.04 * (high - low || 1), high + 0.04 * (high - low || 1)]);
  const y = { distr: chart.y_log ? 3 : 1 };
  if (chart.y_range) y.range = chart.y_range;
  else if (chart.y_log) y.range = (_, low, high) => (low > 0 ? [oneDigit(low, Math.floor), oneDigit(high, Math.ceil)] : [1, 10]);
  return { x, y };
}

function drawChart(place, chart = data.charts[place.dataset.chart]) {
  place.plot?.destroy();
  place.drawn?.abort();
  place.drawn = new AbortController(); // what listens to the chart that is drawn
  const { signal } = place.drawn;
  const plot = new uPlot({
    width: place.clientWidth,
    height: Math.round(Math.max(240, Math.min(380, place.clientWidth * 0.55))),
    scales: ranges(chart),
    legend: { show: false },
    cursor: { drag: { x: true, y: false }, dataIdx: nearest, points: { size: (_, i) => (i > chart.series.length ? 0 : 8) } },
    series: [{}, ...chart.series.map((series) => line(series, chart)), ...withIntervals(chart).flatMap(() => [unseen, unseen])],
    bands: bands(chart),
    axes: [{ ...axis(chart.x_label, 28, false), ...whole(chart) }, axis(chart.y_label, 56, chart.percent)],
    plugins: [whiskers(chart), marks(chart)],
    hooks: { setCursor: [(plot) => readout(plot)], setScale: [(plot) => zoomed(plot)] },
  }, joined(chart), place);
  plot.over.addEventListener("dblclick", () => reset());
  const legend = place.nextElementSibling;
  legend.replaceChildren();
  const values = [];
  chart.series.forEach((series, i) => {
    const value = element("b");
    const sign = element("i", { className: series.dashed ? "dashed" : series.kind });
    sign.style.setProperty("--c", `var(--${series.color})`);
    const button = element("button", { type: "button" }, sign, series.name, " ", value);
    button.setAttribute("aria-pressed", "true");
    button.onclick = () => {
      const show = !plot.series[i + 1].show;
      for (const place of [i + 1, ...(endsOf(series, chart) ?? [])]) plot.setSeries(place, { show });
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
    values.forEach((value, i) => (value.textContent = idx === null || idx === undefined ? "" : said(plot, i, idxs[i + 1])));
    at.textContent = idx === null || idx === undefined ? "" : `${chart.x_label.replace(/ \(.*/, "")} ${number(plot.data[0][idx], {})}`;
  }
  // The value of a series at a point, with its interval.
  function said(plot, i, at) {
    const [high, low] = (endsOf(chart.series[i], chart) ?? []).map((place) => plot.data[place][at]);
    const interval = low === undefined || low === null ? "" : ` (${number(low, chart)} to ${number(high, chart)})`;
    return number(plot.data[i + 1][at], chart) + interval;
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
  }, { signal });
  const resized = new ResizeObserver(() => {
    if (place.clientWidth && place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: plot.height });
  });
  resized.observe(place);
  signal.addEventListener("abort", () => resized.disconnect());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw(), { signal });
  place.plot = plot;
}

$$("[data-chart]").forEach((place) => drawChart(place));
