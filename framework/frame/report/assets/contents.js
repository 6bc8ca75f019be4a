"use strict";
// The list of contents marks the section that is being read.

const links = new Map($$("nav a").map((link) => [link.hash.slice(1), link]));

function headingRead() {
  const headings = $$("main h2");
  const wanted = headings.find((heading) => heading.id === location.hash.slice(1));
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
  if (atEnd && wanted && wanted.getBoundingClientRect().top >= 0) return wanted; // it cannot come any higher
  return headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 3).pop();
}

function mark() {
  const at = links.get(headingRead()?.id);
  for (const link of links.values()) {
    if (link === at && !link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "true");
      const list = link.parentElement;
      list.scrollTo({ left: link.offsetLeft - list.offsetLeft - 40, top: link.offsetTop - list.offsetTop - list.clientHeight / 2 });
    } else if (link !== at) link.removeAttribute("aria-current");
  }
}

let due = 0;
const markSoon = () => (due ||= requestAnimationFrame(() => {
  due = 0;
  mark();
}));
for (const what of ["scroll", "resize", "hashchange"]) addEventListener(what, markSoon, { passive: true });
new ResizeObserver(markSoon).observe($("main")); // what is opened or drawn moves the rest
mark();
