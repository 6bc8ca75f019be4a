"use strict";
// Confusion matrices: in numbers or shares, in the data's order or the most confused classes first. A cell leads to its
// images.

// The classes that take part in most mistakes come first, whether they are missed or named in the place of others.
function byMistakes(counts) {
  const mistakes = counts.map((row, i) => sum(row) + sum(counts.map((other) => other[i])) - 2 * row[i]);
  return counts.map((_, i) => i).sort((a, b) => mistakes[b] - mistakes[a] || a - b);
}

function drawMatrix(place) {
  const { classes, counts } = data.matrices[place.dataset.matrix];
  const { show, order } = Object.fromEntries(new FormData(place.previousElementSibling));
  const rows = counts.map(sum);
  const columns = classes.map((_, j) => sum(counts.map((row) => row[j])));
  const share = (i, j) => counts[i][j] / (show === "column" ? columns[j] : rows[i]);
  const text = (i, j) => (show === "counts" ? counts[i][j].toLocaleString("en") : (100 * share(i, j)).toFixed(classes.length > 30 ? 0 : 1));
  const places = order === "mistakes" ? byMistakes(counts) : classes.map((_, i) => i);

  function cell(i, j) {
    const made = element("td", { className: i === j ? "right" : "wrong" });
    if (!counts[i][j]) return made;
    made.style.setProperty("--share", (0.55 * share(i, j) ** 0.5).toFixed(3));
    const title = `${classes[i]} predicted as ${classes[j]}: ${counts[i][j]} images, ${percent(counts[i][j] / rows[i])} of the row, ${percent(counts[i][j] / columns[j])} of the column`;
    const button = element("button", { type: "button", title, onclick: () => browse({ target: classes[i], predicted: classes[j] }, button) }, text(i, j));
    button.setAttribute("aria-label", title);
    Object.assign(button.dataset, { true: classes[i], predicted: classes[j] });
    made.append(button);
    return made;
  }

  const heads = places.map((j) => element("th", { scope: "col" }, element("span", {}, classes[j])));
  const body = places.map((i) => element("tr", {}, element("th", { scope: "row" }, classes[i]), ...places.map((j) => cell(i, j))));
  const caption = element("caption", {}, "Rows: true class. Columns: predicted class.");
  const table = element("table", { className: classes.length > 30 ? "dense" : "" }, caption, element("thead", {}, element("tr", {}, element("td"), ...heads)), element("tbody", {}, ...body));
  place.replaceChildren(table);
}

for (const place of $$("[data-matrix]")) {
  place.previousElementSibling.addEventListener("change", () => drawMatrix(place));
  place.previousElementSibling.addEventListener("submit", (event) => event.preventDefault());
  drawMatrix(place);
}
