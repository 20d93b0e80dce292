// Search over search-index.js: every word must begin a word of a section; headings count more than text.
"use strict";
const SHOWN = 12;
const box = document.getElementById("search");
const found = document.getElementById("found");
const pages = document.querySelector(".pages");
const fold = text => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
const wordsOf = text => fold(text).match(/[\p{L}\p{N}@_]+/gu) || [];
let index = null;

function load() {
  index ??= window.COURSE.map(([address, page, heading, text]) =>
    ({ address, page, heading, text, inHeading: wordsOf(heading), inPage: wordsOf(page), inText: new Set(wordsOf(text)) }));
  return index;
}

function score(section, words) {
  let total = 0;
  for (const word of words) {
    const begins = other => other.startsWith(word);
    if (section.inHeading.includes(word)) total += 12;
    else if (section.inHeading.some(begins)) total += 8;
    else if (section.inText.has(word)) total += 2;
    else if ([...section.inText].some(begins) || section.inPage.some(begins)) total += 1;
    else return 0;
  }
  return total;
}

function excerpt(text, words) {
  const at = Math.max(0, ...words.slice(0, 1).map(word => fold(text).search(new RegExp(`(?<![\\p{L}\\p{N}])${word}`, "u"))));
  const start = at > 60 ? text.lastIndexOf(" ", at - 40) + 1 : 0;
  const end = start + 130 < text.length ? text.lastIndexOf(" ", start + 130) : text.length;
  const line = document.createElement("small");
  line.append(start ? "… " : "");
  for (const piece of text.slice(start, end).split(/(?<![\p{L}\p{N}])(?=[\p{L}\p{N}])|(?<=[\p{L}\p{N}])(?![\p{L}\p{N}])/u)) {
    const hit = words.some(word => fold(piece).startsWith(word));
    if (hit) line.append(Object.assign(document.createElement("mark"), { textContent: piece }));
    else line.append(piece);
  }
  line.append(end < text.length ? " …" : "");
  return line;
}

function show() {
  const words = wordsOf(box.value);
  pages.hidden = words.length > 0;
  found.replaceChildren();
  if (!words.length) return;
  const hits = load().map(section => [score(section, words), section]).filter(([points]) => points > 0)
    .sort((a, b) => b[0] - a[0]);
  const said = document.createElement("p");
  said.textContent = hits.length ? `${hits.length} section${hits.length === 1 ? "" : "s"}` : "Nothing found.";
  const list = document.createElement("ol");
  for (const [, section] of hits.slice(0, SHOWN)) {
    const link = document.createElement("a");
    link.href = document.body.dataset.root + section.address;
    link.append(section.heading, excerpt(section.text, words));
    if (section.page !== section.heading) link.append(Object.assign(document.createElement("small"), { textContent: section.page }));
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  found.append(said, list);
}

box.addEventListener("input", show);
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
  if (event.key === "Escape" && document.activeElement === box) { box.value = ""; show(); }
});
if (window.matchMedia("(max-width: 1000px)").matches) pages.removeAttribute("open");
