"use strict";
// Images whose answer differs between runs: of any two of them, and one at a time with the answers of all.

const changes = data.answers;
const STEP = 60;

const sign = (image, [answer, share]) => `${answer === image.target ? "✓" : "✗"} ${answer} ${percent(share).replace(" ", "\u00a0")}`;

function answerLine(image, run) {
  const answer = image.answers[run];
  return element("span", { className: answer[0] === image.target ? "was-right" : "was-wrong" }, `${changes.runs[run]} ${sign(image, answer)}`);
}

function drawAnswers(form, grid, viewer) {
  let shown = [];
  let visible = STEP;
  let current = 0;

  // What changed between two runs: right in the first alone, in the second alone, wrong in both but otherwise.
  const kinds = {
    lost: (image, [a, b]) => a[0] === image.target && b[0] !== image.target,
    gained: (image, [a, b]) => a[0] !== image.target && b[0] === image.target,
    other: (image, [a, b]) => a[0] !== image.target && b[0] !== image.target && a[0] !== b[0],
  };

  function choose() {
    const [first, second] = [form.elements.first.value, form.elements.second.value].map(Number);
    const all = { lost: changes.only[first][second], gained: changes.only[second][first], other: changes.other[first][second] };
    const wanted = form.elements.show.value ? [form.elements.show.value] : Object.keys(kinds);
    for (const option of form.elements.show.options) option.textContent = option.dataset.text.replaceAll("{1}", changes.runs[first]).replaceAll("{2}", changes.runs[second]);
    shown = changes.images.filter((image) => wanted.some((kind) => kinds[kind](image, [image.answers[first], image.answers[second]])));
    const total = sum(wanted.map((kind) => all[kind]));
    const number = (value) => value.toLocaleString("en");
    $("#changed-count").textContent = first === second ? "Choose two different runs." : total ? `${number(shown.length)} of ${number(total)} images are in this page.` : "No image.";
    visible = STEP;
    show([first, second]);
  }

  function show(pair) {
    const tiles = shown.slice(0, visible).map((image, place) => {
      const picture = element("img", { src: image.src, alt: `Test image ${image.index}: ${image.target}`, className: image.small ? "pixels" : "" });
      const button = element("button", { type: "button", onclick: () => open(place) }, picture, element("span", {}, `true: ${image.target}`), ...pair.map((run) => answerLine(image, run)), element("span", { className: "quiet" }, `#${image.index}`));
      button.dataset.image = image.index;
      return element("li", {}, button);
    });
    grid.replaceChildren(...tiles);
    const more = $("#changed-more");
    more.hidden = shown.length <= visible;
    more.textContent = `Show ${Math.min(STEP, shown.length - visible)} more`;
    more.onclick = () => {
      visible += STEP;
      show(pair);
    };
  }

  function open(place) {
    current = (place + shown.length) % shown.length;
    const image = shown[current];
    $("#viewer-title").textContent = `Test image ${image.index}, true class ${image.target}`;
    $("#viewer-place").textContent = `${current + 1} of ${shown.length}`;
    const picture = element("img", { src: image.src, alt: "", className: image.small ? "pixels" : "" });
    const rows = image.answers.map(([answer, share], run) => element("tr", {}, element("th", { scope: "row", className: "left" }, changes.runs[run]), element("td", { className: `left ${answer === image.target ? "was-right" : "was-wrong"}` }, `${answer === image.target ? "✓" : "✗"} ${answer}`), element("td", {}, percent(share, 2))));
    const heads = ["run", "answer", "confidence"].map((text) => element("th", { scope: "col", className: text === "confidence" ? "" : "left" }, text));
    $("#viewer-body").replaceChildren(element("div", { className: "one" }, element("div", {}, picture), element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows))));
    if (!viewer.open) viewer.showModal();
  }

  form.addEventListener("input", choose);
  form.addEventListener("submit", (event) => event.preventDefault());
  $$("[data-go]", viewer).forEach((button) => (button.onclick = () => open(current + Number(button.dataset.go))));
  $("[data-close]", viewer).onclick = () => viewer.close();
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  viewer.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) open(current + move);
  });
  viewer.addEventListener("close", () => $(`[data-image="${shown[current].index}"]`, grid)?.focus());
  choose();
}

if ($("#changed")) drawAnswers($("#changed-options"), $("#changed"), $("#viewer"));
