"use strict";
// One image: what the model made of it, its likeliest classes and its activation maps.

const viewer = $("#viewer");
let list = [];
let current = 0;
let from = "images";

// Open an image of a list. section: where the list is; add: whether the way back leads to what was before.
function view(images, place, section, add = false) {
  [list, current, from] = [images, (place + images.length) % images.length, section];
  const image = list[current];
  $("#viewer-title").textContent = describe(image);
  $("#viewer-place").textContent = `${current + 1} of ${list.length}`;
  const picture = element("img", { src: image.src, alt: describe(image), className: image.small ? "pixels" : "" });
  const beside = element("div", {}, facts(image), ...(image.top.length ? [probabilities(image)] : []));
  $("#viewer-body").replaceChildren(element("div", { className: "one" }, element("div", {}, picture), beside), ...maps(image));
  note(section, { ...(section === "images" ? filters() : {}), image: image.index }, add);
  if (!viewer.open) viewer.showModal();
}

const head = (text) => element("th", { className: "left", scope: "row" }, text);
const rows = (...each) => element("tbody", {}, ...each.map((cells) => element("tr", {}, ...cells)));

function facts(image) {
  const values = [["true class", image.target], ["predicted class", image.predicted], ["confidence", percent(image.confidence, 2)], ["loss (cross-entropy)", image.loss === null ? "not finite" : image.loss.toFixed(4)], ["number in the test set", image.index], ["source file", image.source || "not a file"], ["chosen by", image.in.map((name) => data.galleries[name]).join(", ")]];
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
  const heats = element("div", { className: "heats" }, ...image.heats.map((heat) => heatOver(image, heat)));
  const slider = element("input", { type: "range", min: 0, max: 100, value: 75 });
  slider.oninput = () => heats.style.setProperty("--heat", slider.value / 100);
  return [element("h4", {}, "Activation maps: where the evidence was (dark: little, yellow: most)"), element("label", { className: "quiet" }, "Map over image ", slider), heats];
}

if (viewer) {
  $$("[data-go]", viewer).forEach((button) => (button.onclick = () => view(list, current + Number(button.dataset.go), from)));
  $("[data-close]", viewer).onclick = () => viewer.close();
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  viewer.addEventListener("keydown", (event) => {
    if (event.target.type === "range") return;
    if (event.key === "ArrowRight") view(list, current + 1, from);
    if (event.key === "ArrowLeft") view(list, current - 1, from);
  });
  viewer.addEventListener("close", () => {
    if (address().wanted.image) note(from, from === "images" ? filters() : {}, false);
    const place = from === "images" ? $("#grid") : $(`[aria-labelledby="${from}"]`);
    $(`[data-image="${list[current].index}"]`, place)?.focus();
  });
  addEventListener("hashchange", follow);
  follow();
}
