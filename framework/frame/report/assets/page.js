"use strict";
// What the page's scripts share. Everything that they show is in #data.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (query, root = document) => root.querySelector(query);
const $$ = (query, root = document) => [...root.querySelectorAll(query)];

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
