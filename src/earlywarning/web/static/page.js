// Islands: the pages work without this file; with it they spare clicks. No library, nothing from elsewhere.
"use strict";

// Forms of choice are sent as soon as a choice changes; the button stays for the keyboard.
for (const form of document.querySelectorAll("form[data-choice]")) {
  for (const field of form.querySelectorAll("select")) {
    let by = "";
    field.addEventListener("keydown", () => { by = "key"; });
    field.addEventListener("pointerdown", () => { by = ""; });
    // A list that is walked through with arrow keys changes at every step: then Enter or the button sends.
    field.addEventListener("change", () => { if (by !== "key") form.requestSubmit(); });
  }
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
  });
}

// Where days run beyond the edge, the newest are seen first.
for (const place of document.querySelectorAll("[data-newest]")) place.scrollLeft = place.scrollWidth;

// The slider of days stands where the page has put an empty place for it.
for (const place of document.querySelectorAll("[data-slider]")) {
  const form = place.closest("form");
  const day = form.querySelector("[name=day]");
  const days = Number(place.dataset.days);
  if (!days) continue;
  const newest = Date.parse(day.max + "T00:00:00Z");
  const label = document.createElement("label");
  label.className = "field";
  const words = document.createElement("span");
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = String(-Math.min(days, 730));
  slider.max = "0";
  slider.value = String(-Number(place.dataset.back));
  const say = () => {
    const at = new Date(newest + Number(slider.value) * 86400000).toISOString().slice(0, 10);
    day.value = at;
    words.textContent = `${place.dataset.label}: ${at}`;
    slider.setAttribute("aria-valuetext", at);
  };
  slider.addEventListener("input", say);
  slider.addEventListener("change", () => form.requestSubmit());
  words.textContent = place.dataset.label;
  label.append(words, slider);
  place.append(label);
}

// News: when something was kept, the cards are fetched anew, unless somebody is just working in them.
const place = document.querySelector("[data-live]");
if (place && "EventSource" in window) {
  let waiting = false;
  const busy = () => document.querySelector("#cards")?.contains(document.activeElement);
  const refresh = async () => {
    const answer = await fetch(window.location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("#cards");
    const old = document.querySelector("#cards");
    if (fresh && old && fresh.innerHTML !== old.innerHTML) old.replaceWith(fresh);
    waiting = false;
    place.replaceChildren();
  };
  const offer = () => {
    const button = document.createElement("button");
    button.textContent = place.dataset.new;
    button.addEventListener("click", refresh);
    place.replaceChildren(button);
  };
  const source = new EventSource(place.dataset.live);
  source.addEventListener("begun", () => { document.documentElement.dataset.live = "yes"; });
  source.addEventListener("kept", () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => (busy() ? offer() : refresh()), 300);
  });
  window.addEventListener("pagehide", () => source.close());
}

// Keys in the list: j and k go from card to card, / to the search.
const links = () => [...document.querySelectorAll("[data-card] h3 a")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const all = links();
  if (!all.length) return;
  if (event.key === "/") {
    document.querySelector("#q")?.focus();
    event.preventDefault();
  } else if (event.key === "j" || event.key === "k") {
    const at = all.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(at + 1, all.length - 1) : Math.max(at - 1, 0);
    all[next].focus();
    all[next].scrollIntoView({ block: "nearest" });
  }
});

// What was said to be saved is not said again when the page is loaded anew.
if (new URLSearchParams(window.location.search).has("saved")) {
  window.history.replaceState(null, "", window.location.pathname);
}
