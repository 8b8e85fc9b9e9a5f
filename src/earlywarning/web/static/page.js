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

// A drawing of many links is one stop for the tab key; arrow keys go to the nearest link in their direction.
const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
for (const drawing of document.querySelectorAll("[data-rove]")) {
  const links = [...drawing.querySelectorAll("a")];
  if (links.length < 2) continue;
  const middle = (link) => {
    const box = link.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const marked = document.getElementById(drawing.dataset.rove);
  const said = document.querySelector(`[data-said="${drawing.dataset.rove || "none"}"]`);
  const stop = (link) => {
    for (const other of links) other.setAttribute("tabindex", other === link ? "0" : "-1");
  };
  stop(links[0]);
  if (said) said.hidden = false;
  // Listeners stand around the drawing: an SVG element that listens to focus becomes a stop of its own.
  const around = drawing.parentElement;
  around.addEventListener("focusin", (event) => {
    const link = event.target.closest("a");
    if (!links.includes(link)) return;
    stop(link);
    if (said) said.textContent = link.getAttribute("aria-label");
    // Drawn last, so that no neighbour lies over it, and shown in the enlarged part as well.
    if (marked && link.matches(":focus-visible")) {
      const rings = ["focus under", "focus"].map((kind) => {
        const ring = link.querySelector("path").cloneNode();
        ring.removeAttribute("id");
        ring.setAttribute("class", kind);
        return ring;
      });
      marked.replaceChildren(...rings);
    }
  });
  around.addEventListener("focusout", () => {
    if (marked) marked.replaceChildren();
    if (said) said.textContent = "";
  });
  around.addEventListener("keydown", (event) => {
    if (!links.includes(event.target.closest("a")) || event.ctrlKey || event.altKey || event.metaKey) return;
    let next = { Home: links[0], End: links[links.length - 1] }[event.key];
    const way = ways[event.key];
    if (way) {
      const [x, y] = middle(document.activeElement);
      let least = Infinity;
      for (const link of links) {
        const [dx, dy] = middle(link).map((value, i) => value - [x, y][i]);
        const along = dx * way[0] + dy * way[1];
        const aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
        if (along > 0.5 && along + 2 * aside < least) {
          least = along + 2 * aside;
          next = link;
        }
      }
    }
    if (!next && !way) return;
    event.preventDefault();
    (next ?? document.activeElement).focus({ focusVisible: true });
  });
}
for (const words of document.querySelectorAll("[data-keys]")) words.hidden = false;

// A form that is on its way is not sent again by a second click; after a while, or when the page is shown again, it may be.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => { delete form.dataset.sent; }, 15000);
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// News: when something was kept, the cards are fetched anew, unless somebody is just working in them. When the line is lost the
// page says so, and catches up when it is back.
const place = document.querySelector("[data-live]");
if (place && "EventSource" in window) {
  let waiting = false, lost = false, seen = place.dataset.seen, refreshed = 0, source, silence;
  const busy = () => document.querySelector("#cards")?.contains(document.activeElement);
  const refresh = async () => {
    try {
      const answer = await fetch(window.location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("#cards");
      const old = document.querySelector("#cards");
      if (fresh && old && fresh.innerHTML !== old.innerHTML) old.replaceWith(fresh);
      if (!lost) place.replaceChildren();
    } catch {
      return; // the stream says that the line is lost, and asks again when it is back
    } finally {
      waiting = false;
      refreshed = Date.now();
    }
  };
  const offer = () => {
    const button = document.createElement("button");
    button.textContent = place.dataset.new;
    button.addEventListener("click", refresh);
    place.replaceChildren(button);
  };
  const news = () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => (busy() ? offer() : refresh()), Math.max(300, 3000 + refreshed - Date.now()));
  };
  const lose = () => {
    document.documentElement.dataset.live = "no";
    if (lost) return;
    lost = true;
    const words = document.createElement("p");
    words.className = "card notice bad";
    words.textContent = place.dataset.lost;
    place.replaceChildren(words);
  };
  const begin = () => {
    source?.close();
    source = new EventSource(place.dataset.live);
    source.addEventListener("begun", (event) => {
      document.documentElement.dataset.live = "yes";
      // Kept while the page was on its way, or while the line was lost.
      if (lost || event.data !== seen) {
        if (lost) place.replaceChildren();
        lost = waiting = false;
        news();
      }
      heard(event);
    });
    source.addEventListener("kept", (event) => { heard(event); news(); });
    source.addEventListener("beat", heard);
    source.addEventListener("error", () => {
      lose();
      // The browser tries again by itself unless it was refused.
      if (source.readyState === EventSource.CLOSED) heard({ data: seen });
    });
  };
  // There is a sign of life every 20 seconds; a line that is silent for much longer is begun anew.
  const heard = (event) => {
    seen = event.data;
    clearTimeout(silence);
    silence = setTimeout(() => { lose(); begin(); }, 50000);
  };
  begin();
  window.addEventListener("offline", lose);
  window.addEventListener("online", begin);
  window.addEventListener("pagehide", () => source.close());
  // A page that comes back whole from the browser's memory begins anew.
  window.addEventListener("pageshow", (event) => { if (event.persisted) begin(); });
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
