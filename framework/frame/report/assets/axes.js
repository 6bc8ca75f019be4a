"use strict";
// How the charts of a section are shown: on a log scale, smoothed, over epochs or steps. One row of settings for all of
// them, since they are read beside each other.

const isCurve = (chart) => chart.x_label === "epoch";
const canLog = (chart) => !chart.y_log && !chart.percent && chart.series.every((series) => series.kind !== "bars" && series.y.every((y) => y === null || y > 0));

// The exponential moving average, without the pull towards 0 at its start; gaps stay gaps.
function smoothed(y, weight) {
  let mean = 0;
  let count = 0;
  return y.map((value) => {
    if (value === null) return null;
    count += 1;
    mean = weight * mean + (1 - weight) * value;
    return mean / (1 - weight ** count);
  });
}

// A chart as the settings want it; it stays as it is.
function asWanted(chart, { log, smooth, steps }) {
  let { series, marks, x_label } = chart;
  if (smooth > 0) {
    const raw = series.some((each) => each.pale);
    series = series.flatMap((each) => {
      if (each.pale || each.dashed || each.kind !== "line") return [each];
      const [y, low, high] = [each.y, each.low, each.high].map((values) => smoothed(values, smooth));
      const mean = { ...each, y, low, high };
      return raw ? [mean] : [{ ...each, name: `${each.name}, as logged`, pale: true, low: [], high: [] }, mean];
    });
  }
  if (steps && isCurve(chart)) {
    const moved = (x) => Math.round(x * data.steps);
    series = series.map((each) => ({ ...each, x: each.x.map(moved) }));
    marks = marks.map((mark) => ({ ...mark, x: moved(mark.x) }));
    x_label = "step";
  }
  return { ...chart, series, marks, x_label, y_log: chart.y_log || (log && canLog(chart)), y_range: log && canLog(chart) ? null : chart.y_range };
}

function settingsOf(places) {
  const charts = places.map((place) => data.charts[place.dataset.chart]);
  const log = element("input", { type: "checkbox", name: "log" });
  const smooth = element("input", { type: "range", name: "smooth", min: 0, max: 95, step: 5, value: 0 });
  const steps = element("select", { name: "steps" }, element("option", { value: "" }, "epochs"), element("option", { value: "1" }, "steps"));
  const parts = [element("label", {}, "Smoothing ", smooth)];
  if (charts.some(canLog)) parts.unshift(element("label", {}, log, " Log scale"));
  if (data.steps) parts.push(element("label", {}, "Over ", steps));
  const form = element("form", { className: "options" }, ...parts);
  form.setAttribute("aria-label", "How the charts are shown");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    const wanted = { log: log.checked, smooth: smooth.value / 100, steps: Boolean(steps.value) };
    places.forEach((place, i) => drawChart(place, asWanted(charts[i], wanted)));
  });
  return form;
}

for (const figures of $$(".figures")) {
  const places = $$("[data-chart]", figures).filter((place) => isCurve(data.charts[place.dataset.chart]));
  if (places.length) figures.before(settingsOf(places));
}
