"use strict";
// The images: thumbnails in the analyzers' sections, and all of them to filter. The address names what is shown:
// #SECTION, or #images?answer=wrong&target=cat, each with &image=168 where that image is open.

const PAGE = 60;
const form = $("#filters");
const byNumber = new Map(data.images.map((image) => [image.index, image]));
let shown = [];
let visible = PAGE;
const first = new Map(); // the filters as they are at the start
let origin = null; // what led to the images: the way back

const isRight = (image) => image.target === image.predicted;
const describe = (image) => `Test image ${image.index}: ${image.target}, ${isRight(image) ? "recognised" : `taken for ${image.predicted}`}`;

// ---- addresses

function address() {
  const [section, query = ""] = location.hash.slice(1).split("?");
  return { section, wanted: Object.fromEntries(new URLSearchParams(query)) };
}

// Write where the page is into its address: as a new entry of the history, or in the last one's place.
function note(section, wanted, add) {
  const query = new URLSearchParams(wanted).toString();
  history[add ? "pushState" : "replaceState"](null, "", `#${section}${query ? `?${query}` : ""}`);
}

// The filters that are set, without those that are as they were.
function filters() {
  const given = [...form.elements].filter((field) => field.name && field.value !== first.get(field.name));
  return Object.fromEntries(given.map((field) => [field.name, field.value]));
}

// Show what the address says: once at the start, and whenever somebody changes it.
function follow() {
  const { section, wanted } = address();
  if (!Object.keys(wanted).length && section !== "images") return viewer.open && viewer.close();
  if (section === "images") {
    form.reset();
    for (const [name, value] of Object.entries(wanted)) if (form.elements[name]) form.elements[name].value = value;
    filter();
  }
  document.getElementById(section)?.scrollIntoView();
  const list = imagesOf(section);
  const place = list.findIndex((image) => String(image.index) === wanted.image);
  if (place >= 0) view(list, place, section);
  else if (viewer.open) viewer.close();
}

// ---- tiles

function tile(image, note, open) {
  const label = isRight(image) ? `✓ ${image.target}` : `✗ ${image.target} → ${image.predicted}`;
  const picture = element("img", { src: image.src, alt: describe(image), className: image.small ? "pixels" : "" });
  const said = [percent(image.confidence), `#${image.index}`].join(" · ");
  const lines = [element("span", { className: isRight(image) ? "was-right" : "was-wrong" }, label), ...[said, note].filter(Boolean).map((line) => element("span", { className: "quiet" }, line))];
  const button = element("button", { type: "button", onclick: open }, picture, ...lines);
  button.dataset.image = image.index;
  return button;
}

function heatOver(image, heat) {
  const under = element("img", { src: image.src, alt: "", className: image.small ? "pixels" : "" });
  const over = element("img", { src: heat.src, alt: `Activation map at ${heat.name}` });
  return element("figure", {}, element("div", { className: "over" }, under, over), element("figcaption", {}, heat.cold ? `${heat.name}: no heat` : heat.name));
}

// ---- thumbnails in the sections

function thumbnail({ index, note, maps }, section) {
  const image = byNumber.get(index);
  const heats = image.heats.filter((heat) => maps.includes(heat.name));
  const open = () => {
    const list = imagesOf(section);
    view(list, list.indexOf(image), section, true);
  };
  return element("li", {}, tile(image, note, open), ...heats.map((heat) => heatOver(image, heat)));
}

// The images of a section in the order of its thumbnails; those of #images are what its filters leave.
function imagesOf(section) {
  if (section === "images") return shown;
  const places = $$("[data-thumbnails]").filter((place) => place.dataset.thumbnails.replace(/-\d+$/, "") === section);
  const numbers = places.flatMap((place) => data.thumbnails[place.dataset.thumbnails].map((each) => each.index));
  return [...new Set(numbers)].map((number) => byNumber.get(number)).filter(Boolean);
}

// What all images of a group have in common, as filters.
function common(images) {
  const same = (name) => (new Set(images.map((image) => image[name])).size === 1 ? { [name]: images[0][name] } : {});
  const found = { ...same("target"), ...same("predicted") };
  const right = images.filter(isRight).length;
  return "target" in found && "predicted" in found ? found : { ...found, ...(right === 0 ? { answer: "wrong" } : right === images.length ? { answer: "right" } : {}) };
}

function heading(group, images) {
  const wanted = common(images);
  const button = element("button", { type: "button", className: "link" }, stated(wanted, data.images.filter(matching(wanted)).length));
  button.onclick = () => browse(wanted, button);
  return element("p", { className: "group" }, element("strong", {}, group), " ", button);
}

for (const place of $$("[data-thumbnails]")) {
  const id = place.dataset.thumbnails;
  const all = data.thumbnails[id];
  const here = all.filter((each) => byNumber.has(each.index));
  for (const group of new Set(here.map((each) => each.group))) {
    const members = here.filter((each) => each.group === group);
    if (group) place.append(heading(group, members.map((each) => byNumber.get(each.index))));
    place.append(element("ul", { className: members.some((each) => each.maps.length) ? "thumbnails maps" : "thumbnails" }, ...members.map((each) => thumbnail(each, id.replace(/-\d+$/, "")))));
  }
  if (here.length < all.length) place.append(element("p", { className: "quiet" }, `${all.length - here.length} of ${all.length} are not in this page; they are in the run's folder.`));
}

// ---- all images

function matching(wanted) {
  const low = Number(wanted.low ?? 0) / 100 - 1e-9;
  const high = Number(wanted.high || 100) / 100 + 1e-9;
  return (image) =>
    (!wanted.answer || (wanted.answer === "right") === isRight(image)) &&
    (!wanted.target || image.target === wanted.target) &&
    (!wanted.predicted || image.predicted === wanted.predicted) &&
    (!wanted.gallery || image.in.includes(wanted.gallery)) &&
    image.confidence >= low && image.confidence <= high;
}

function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  shown = data.images.filter(matching(wanted));
  const sign = wanted.order.startsWith("-") ? -1 : 1;
  const key = wanted.order.replace("-", "");
  const rank = key === "wrong" ? (image) => isRight(image) * 2 - image.confidence : (image) => sign * image[key];
  shown.sort((a, b) => rank(a) - rank(b) || a.index - b.index);
  visible = PAGE;
  show();
}

function show() {
  const open = (place) => () => view(shown, place, "images", true);
  $("#grid").replaceChildren(...shown.slice(0, visible).map((image, place) => element("li", {}, tile(image, "", open(place)))));
  $("#count").textContent = shown.length ? `${stated(filters(), shown.length)}.` : "No image matches: widen the filters, or reset them.";
  $("#more").hidden = shown.length <= visible;
  $("#more").textContent = `Show ${Math.min(PAGE, shown.length - visible)} more`;
}

// How many images there are, and how many of them are here, in words.
function stated(wanted, here) {
  const { answer, target, predicted } = wanted;
  const number = (value) => value.toLocaleString("en");
  if (!data.counts.length || wanted.gallery || wanted.low || wanted.high) return `${number(here)} of ${number(data.images.length)} images in this page match`;
  const fits = ([t, p]) => (!answer || (answer === "right") === (t === p)) && (!target || data.classes[t] === target) && (!predicted || data.classes[p] === predicted);
  const all = data.counts.filter(fits).reduce((sum, cell) => sum + cell[2], 0);
  return `${number(here)} of ${number(all)} are in this page`;
}

// Show the images of a choice; `from` is what was pressed, to which the way leads back.
function browse(choice, from) {
  if (!form) return;
  form.reset();
  for (const [name, value] of Object.entries(choice)) form.elements[name].value = value;
  filter();
  origin = from;
  $("#back").hidden = false;
  $("#back").textContent = `← back to ${$("h2", from.closest("section")).textContent}`;
  note("images", filters(), true);
  $("#images").scrollIntoView();
  ($("#grid button") ?? form.elements.answer).focus({ preventScroll: true });
}

for (const button of $$("[data-gallery]")) {
  button.onclick = () => browse({ gallery: button.dataset.gallery }, button);
}

if (form) {
  for (const name of ["target", "predicted"]) {
    const there = new Set(data.images.map((image) => image[name]));
    const classes = data.classes.filter((each) => there.has(each));
    form.elements[name].append(...(classes.length ? classes : [...there].sort()).map((each) => element("option", { value: each }, each)));
  }
  for (const field of form.elements) first.set(field.name, field.value);
  const changed = () => {
    filter();
    note("images", filters(), false);
  };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  $("[data-reset]", form).onclick = () => {
    form.reset();
    changed();
  };
  $("#more").onclick = () => {
    visible += PAGE;
    show();
  };
  $("#back").onclick = (event) => {
    event.preventDefault();
    note(origin.closest("section").getAttribute("aria-labelledby"), {}, true);
    origin.scrollIntoView({ block: "center" });
    origin.focus({ preventScroll: true });
    $("#back").hidden = true;
  };
  filter();
}
