"use strict";
// Adds videos to the gallery and rows to the table on demand. Everything from outside is inserted as text, never as markup.
// A row is [row, key, state, version, attempts, length, credits, message, file, project, cells,
// timing, variant]; a timing is [submitted, rendered, done] in milliseconds since the start of the run.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const body = document.querySelector("#table tbody");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const search = document.getElementById("search");
  const tiles = [...document.querySelectorAll(".tile")];
  const gallery = document.getElementById("gallery");
  const moreVideos = document.getElementById("more-videos");
  // States that are read under another name.
  const words = { ready: "waiting", fetching: "downloading" };
  const STEP = 100, PRINTED = 2000, CARDS = 12;
  let state = "", sort = "0", down = false, found = data.rows, shown = 0, films = [], cards = 0;

  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };
  const span = (ms) => {
    const s = ms / 1000;
    return s < 10 ? s.toFixed(1) + " s" : s < 90 ? s.toFixed(0) + " s"
      : s < 5400 ? (s / 60).toFixed(1) + " min" : (s / 3600).toFixed(1) + " h";
  };
  const render = (row) => (row[11] && row[11][1] !== null ? row[11][1] - row[11][0] : null);
  const cell = (label, text, kind) => {
    const empty = text === null || text === undefined || text === "";
    const td = make("td", { class: (kind || "") + (empty ? " empty" : "") });
    if (label && !empty) td.dataset.label = label;
    td.textContent = empty ? "" : String(text);
    return td;
  };

  // All texts of a row in one, built at the first search.
  const haystacks = new Map();
  const haystack = (row) => {
    if (!haystacks.has(row)) {
      haystacks.set(row, [row[0], row[1], row[7], row[8], row[9], row[10].flat().join("\n")]
        .join("\n").toLowerCase());
    }
    return haystacks.get(row);
  };
  const value = (row) => (sort === "render" ? render(row) : row[Number(sort)]);
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === y) return a[0] - b[0];
    if (x === null) return 1;
    if (y === null) return -1;
    const way = typeof x === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return down ? -way : way;
  };
  // The count of "rendering" includes stalled rows.
  const fits = (row) => state === "" || row[2] === state || (state === "rendering" && row[2] === "stalled");

  const bar = (way) => {
    const td = make("td", { class: "way" + (way ? "" : " empty") });
    if (!way) return td;
    const [paid, rendered, done] = way, length = Math.max(1, data.length);
    const end = rendered === null ? length : rendered;
    const parts = [["w", 0, paid], ["r", paid, end]];
    if (rendered !== null) parts.push(["f", rendered, done === null ? length : done]);
    const strip = make("div", { class: "bar", role: "img" });
    const steps = ["waited " + span(paid), rendered === null ? "rendering" : "rendered in " + span(end - paid)];
    if (done !== null) steps.push("downloaded in " + span(done - rendered));
    strip.setAttribute("aria-label", steps.join(", "));
    strip.title = steps.join(", ");
    for (const [kind, from, to] of parts) {
      const part = make("i", { class: kind });
      part.style.left = (100 * from) / length + "%";
      part.style.width = (100 * Math.max(0, to - from)) / length + "%";
      strip.append(part);
    }
    td.append(strip);
    return td;
  };
  const path = (file) => {
    const inside = file.split("/").map(encodeURIComponent).join("/");
    return data.videos ? data.videos.split("/").map(encodeURIComponent).join("/") + "/" + inside : "./" + inside;
  };
  // The first frame is the thumbnail.
  const player = (row) => make("video", {
    controls: "", preload: "metadata", playsinline: "", src: path(row[8]), "aria-label": "Video of " + row[1],
  });
  const variants = new Set(data.rows.map((row) => row[12]).filter(Boolean));
  // The columns that the batch file gives to a variant alone, such as that of its script.
  const own = new Map(Object.entries(data.own));
  const ownColumns = (row) => own.get(row[12]) || [];
  // Columns of another variant, by the batch file or by name, such as "Script (EN)" in a Korean video.
  const isOfOther = (row, column) => {
    if (ownColumns(row).includes(column)) return false;
    if ([...own.values()].some((columns) => columns.includes(column))) return true;
    const words = (data.headings[column] || "").toLowerCase().split(/[^\p{L}\p{N}]+/u);
    return [...variants].some((name) => name !== row[12] && words.includes(name.toLowerCase()));
  };
  const isAddress = (cell) => /^(https?:)?\//.test(cell);
  // A title is short text that neither identifies the row nor is a number.
  const isTitle = (row, cell) => cell.length > 2 && cell.length <= 80 && !String(row[1]).startsWith(cell)
    && /\p{L}/u.test(cell);
  const card = (row) => {
    const cells = row[10].flatMap((all) => all.filter((cell, column) => !isAddress(cell) && !isOfOther(row, column)));
    // Of a variant's own cells, or of all, the longest is what is spoken, or the next best description.
    const mine = row[10].flatMap((all) => ownColumns(row).map((column) => all[column] || "")).filter((cell) => !isAddress(cell));
    const text = (mine.some(Boolean) ? mine : cells)
      .reduce((longest, cell) => (cell.length > longest.length ? cell : longest), "");
    const title = cells.find((cell) => cell !== text && isTitle(row, cell));
    const facts = [row[12], row[5] === null ? null : row[5] + " s", row[3] > 1 ? "version " + row[3] : null];
    return make("figure", { class: "card" }, player(row),
      make("figcaption", null, make("strong", null, title || String(row[1])),
        title ? make("span", { class: "muted key" }, String(row[1])) : null,
        make("p", { class: "muted text" }, text),
        make("p", { class: "facts" }, make("span", { class: "muted" }, facts.filter(Boolean).join(" · ")),
          make("a", { href: path(row[8]), download: "" }, "Download"))));
  };
  const showVideosUpTo = (number) => {
    const next = films.slice(cards, number);
    gallery.querySelector(".gallery").append(...next.map(card));
    cards += next.length;
    moreVideos.hidden = cards >= films.length;
    moreVideos.textContent = "Show " + Math.min(CARDS, films.length - cards) + " more of " + (films.length - cards);
  };
  const drawVideos = () => {
    films = found.filter((row) => row[8]);
    gallery.querySelector(".gallery").replaceChildren();
    cards = 0;
    showVideosUpTo(CARDS);
    gallery.hidden = films.length === 0;
  };
  const detail = (row) => {
    const list = make("dl");
    const add = (name, text) => {
      if (text === null || text === undefined || text === "") return;
      list.append(make("dt", null, String(name)), make("dd", null, String(text)));
    };
    add("version", row[3]);
    add("submissions", row[4]);
    add("project", row[9]);
    if (row[11]) {
      add("waited", span(row[11][0]));
      add("rendered in", render(row) === null ? null : span(render(row)));
    }
    for (const cells of row[10]) cells.forEach((text, place) => add(data.headings[place] || "column " + (place + 1), text));
    const box = make("div", { class: "detail" });
    if (row[8]) {
      const link = make("a", { href: path(row[8]) }, row[8]);
      list.append(make("dt", null, "file"), make("dd", null, link));
      box.append(player(row));
    }
    box.append(list);
    return make("tr", { class: "more-of" }, make("td", { colspan: "8" }, box));
  };
  const again = (row) => (row[4] > 1 ? make("span", { class: "muted" }, ", submitted " + row[4] + " times") : null);
  const line = (row) => {
    const open = make("button", { type: "button", "aria-expanded": "false" }, row[1] === null ? "row " + row[0] : row[1]);
    const key = make("td", { class: "key" }, open);
    const dot = make("span", { class: "dot " + row[2] });
    const tr = make("tr", null,
      cell("Row", row[0], "n"), key, make("td", { class: "state" }, dot, words[row[2]] || row[2], again(row)), bar(row[11]),
      cell("Render", render(row) === null ? "" : span(render(row)), "n"),
      cell("Plays", row[5] === null ? "" : row[5] + " s", "n"),
      cell("Credits", row[6], "n"), cell("", row[7], "said"));
    open.addEventListener("click", () => {
      const is = open.getAttribute("aria-expanded") === "true";
      open.setAttribute("aria-expanded", String(!is));
      if (is) tr.nextSibling.remove(); else tr.after(detail(row));
    });
    return tr;
  };
  const showUpTo = (number) => {
    const next = found.slice(shown, number);
    body.append(...next.map(line));
    shown += next.length;
    more.hidden = shown >= found.length;
    more.textContent = "Show " + Math.min(STEP, found.length - shown) + " more of " + (found.length - shown);
  };
  const draw = () => {
    const query = search.value.trim().toLowerCase();
    found = data.rows.filter((row) => fits(row) && (query === "" || haystack(row).includes(query)));
    if (sort !== "0" || down) found = [...found].sort(order);
    body.replaceChildren();
    shown = 0;
    showUpTo(STEP);
    drawVideos();
    const noun = found.some((row) => row[2] === "skipped") ? " row" : " video";
    count.textContent = found.length + noun + (found.length === 1 ? "" : "s")
      + (data.left_out > 0 ? "; " + data.left_out + " more are only in results.csv" : "");
  };

  // Columns in which no row has anything.
  for (const [column, name] of [[6, "no-credits"], [7, "no-reason"]]) {
    const isEmpty = data.rows.every((row) => row[column] === null || row[column] === "");
    document.getElementById("table").classList.toggle(name, isEmpty);
  }
  search.addEventListener("input", draw);
  more.addEventListener("click", () => showUpTo(shown + STEP));
  moreVideos.addEventListener("click", () => showVideosUpTo(cards + CARDS));
  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      state = tile.dataset.state;
      for (const other of tiles) other.setAttribute("aria-pressed", String(other === tile));
      draw();
    });
  }
  for (const button of document.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      down = sort === button.dataset.sort ? !down : false;
      sort = button.dataset.sort;
      for (const th of document.querySelectorAll("#table thead th")) th.removeAttribute("aria-sort");
      button.parentNode.setAttribute("aria-sort", down ? "descending" : "ascending");
      draw();
    });
  }
  if ("IntersectionObserver" in window) {
    new IntersectionObserver((seen) => {
      // Only after scrolling: an opened page shows its first rows at once.
      if (seen.some((entry) => entry.isIntersecting) && window.scrollY > 0) showUpTo(shown + STEP);
    }, { rootMargin: "400px" }).observe(more);
  }
  window.addEventListener("beforeprint", () => {
    showUpTo(PRINTED);
    if (found.length > shown) count.textContent = shown + " of " + found.length + " videos; all are in results.csv";
  });
  draw();
  // After two frames the page is painted; the time is recorded for measurements.
  requestAnimationFrame(() => requestAnimationFrame(() => {
    document.body.dataset.painted = String(Math.round(performance.now()));
  }));
})();
