"use strict";
// The list of contents marks the section that is being read.

const links = new Map($$("nav a").map((link) => [link.hash.slice(1), link]));

function mark() {
  const edge = innerHeight / 3;
  const above = $$("main h2").filter((heading) => heading.getBoundingClientRect().top < edge);
  const at = above.length ? links.get(above[above.length - 1].id) : null;
  for (const link of links.values()) {
    if (link === at && !link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "true");
      const list = link.parentElement;
      list.scrollTo({ left: link.offsetLeft - list.offsetLeft - 40, top: link.offsetTop - list.offsetTop - list.clientHeight / 2 });
    } else if (link !== at) link.removeAttribute("aria-current");
  }
}

let due = 0;
addEventListener("scroll", () => (due ||= requestAnimationFrame(() => {
  due = 0;
  mark();
})), { passive: true });
mark();
