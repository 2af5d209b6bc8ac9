// Search, copying and the mark of where the reader is. Everything else works without.
"use strict";

const search = document.querySelector(".search");
const menu = document.getElementById("menu");
const none = document.querySelector("nav .none");
const groups = [...document.querySelectorAll("nav [data-group]")];
const links = [...document.querySelectorAll("nav li a")];

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const link of links) {
    const text = (link.dataset.words + " " + link.textContent).toLowerCase();
    link.parentElement.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of groups) {
    group.hidden = ![...group.querySelectorAll("li")].some((item) => !item.hidden);
  }
  none.hidden = groups.some((group) => !group.hidden);
  menu.checked = words.length > 0 && search === document.activeElement;
}

search.hidden = false;
search.addEventListener("input", filter);
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    const first = links.find((link) => !link.parentElement.hidden);
    if (first) {
      first.click();
      search.blur();
    }
  } else if (event.key === "Escape") {
    search.value = "";
    filter();
    search.blur();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    search.focus();
  }
});
for (const link of links) {
  link.addEventListener("click", () => { menu.checked = false; });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) {
    return;
  }
  const panel = button.closest(".panel");
  const shown = [...panel.querySelectorAll("pre")].find((pre) => pre.offsetParent !== null);
  await navigator.clipboard.writeText(shown.textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
}

// A choice of language holds for every example.
document.addEventListener("change", (event) => {
  if (!event.target.name?.startsWith("lang-")) {
    return;
  }
  const before = event.target.getBoundingClientRect().top;
  for (const input of document.querySelectorAll(event.target.classList.contains("second") ? ".second" : ".first")) {
    input.checked = true;
  }
  window.scrollBy(0, event.target.getBoundingClientRect().top - before);
});

const byID = new Map(links.map((link) => [link.hash.slice(1), link]));
const visible = new Set();
const sections = [...document.querySelectorAll("main section[id]")].filter((section) => byID.has(section.id));
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    entry.isIntersecting ? visible.add(entry.target) : visible.delete(entry.target);
  }
  const current = sections.find((section) => visible.has(section));
  for (const link of links) {
    link.removeAttribute("aria-current");
  }
  const link = current && byID.get(current.id);
  if (link) {
    link.setAttribute("aria-current", "true");
    if (!menu.checked && document.activeElement !== search) {
      link.scrollIntoView({ block: "nearest" });
    }
  }
}, { rootMargin: "-15% 0px -70% 0px" });
for (const section of sections) {
  observer.observe(section);
}
