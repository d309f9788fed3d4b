// The console's script. Pages work without it; with it, they follow the ledger, commands can be
// copied, and forms are sent once. It loads nothing from other sites and writes no HTML of its own.
"use strict";

(() => {
  const EVENTS = document.body.dataset.events;
  const CHANNEL = "callsheet-console";
  const RETRY_MS = 2000;
  const connection = document.getElementById("connection");

  // --- Styles of drawings: the content policy forbids them in the page, not in the document.
  function applyStyles(root) {
    for (const element of root.querySelectorAll("[data-style]")) {
      element.style.cssText = element.dataset.style;
    }
  }

  // --- Live pages.
  let isLoading = false;
  let isStale = false;

  function isEdited(region) {
    const active = document.activeElement;
    const isTyping = region.contains(active) && /^(INPUT|TEXTAREA|SELECT)$/.test(active.tagName);
    const isOpen = region.querySelector("details[open]:not(.commands), dialog[open]") !== null;
    const isPlaying = [...region.querySelectorAll("video")].some((video) => !video.paused);
    return isTyping || isOpen || isPlaying;
  }

  // Returns a path to the focused element that its successor has as well.
  function focusPath(region) {
    const active = document.activeElement;
    if (!active || active === document.body || !region.contains(active)) return null;
    if (active.id) return { id: active.id };
    const all = [...region.querySelectorAll("a, button, summary, [tabindex]")];
    return { href: active.getAttribute("href"), index: all.indexOf(active) };
  }

  function restoreFocus(region, path) {
    if (!path) return;
    const all = [...region.querySelectorAll("a, button, summary, [tabindex]")];
    const same = path.id
      ? document.getElementById(path.id)
      : all.find((one) => path.href && one.getAttribute("href") === path.href) || all[path.index];
    if (same) same.focus({ preventScroll: true });
  }

  function replaceRegions(next) {
    for (const region of document.querySelectorAll("[data-live][id]")) {
      const fresh = next.getElementById(region.id);
      if (!fresh || fresh.innerHTML === region.innerHTML || isEdited(region)) continue;
      // A player that shows the same videos stays, with its place in them.
      const sources = (root) => [...root.querySelectorAll("video")].map((v) => v.getAttribute("src")).join();
      if (sources(region) !== "" && sources(region) === sources(fresh)) continue;
      const path = focusPath(region);
      const scroll = [...region.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
      const open = [...region.querySelectorAll("details.commands")].map((one) => one.open);
      region.replaceChildren(...document.importNode(fresh, true).childNodes);
      region.querySelectorAll("details.commands").forEach((one, index) => { one.open = open[index] || false; });
      region.querySelectorAll(".scroll").forEach((one, index) => { one.scrollLeft = scroll[index] || 0; });
      applyStyles(region);
      restoreFocus(region, path);
    }
  }

  async function refresh() {
    if (document.hidden) { isStale = true; return; }
    if (isLoading) { isStale = true; return; }
    isLoading = true;
    isStale = false;
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (response.redirected && new URL(response.url).pathname !== location.pathname) {
        location.reload();
        return;
      }
      if (response.ok) {
        replaceRegions(new DOMParser().parseFromString(await response.text(), "text/html"));
        showConnected(true);
      }
    } catch {
      showConnected(false);
    } finally {
      isLoading = false;
      if (isStale && !document.hidden) setTimeout(refresh, 250);
    }
  }

  function showConnected(isConnected) {
    if (!connection) return;
    connection.hidden = isConnected;
    connection.textContent = isConnected ? "" : "Not connected; trying again";
  }

  // One tab of the browser holds the stream and passes its events on: a browser opens only six
  // connections to a host. A hidden tab gives the stream to a visible one.
  function follow() {
    const channel = new BroadcastChannel(CHANNEL + EVENTS);
    channel.onmessage = (message) => { if (message.data === "change") refresh(); };
    let release = null;
    let isWaiting = false;

    function listen() {
      return new Promise((done) => {
        const source = new EventSource(EVENTS);
        let retry = null;
        const end = () => { clearTimeout(retry); source.close(); release = null; done(); };
        release = end;
        source.addEventListener("hello", () => { showConnected(true); refresh(); });
        source.addEventListener("change", () => { channel.postMessage("change"); refresh(); });
        source.onerror = () => {
          // The browser connects again by itself, unless the console refused the stream.
          if (source.readyState === EventSource.CLOSED) {
            showConnected(false);
            retry = setTimeout(() => { end(); refresh(); }, RETRY_MS);
          }
        };
      });
    }

    async function lead() {
      if (isWaiting || release) return;
      isWaiting = true;
      if (navigator.locks) {
        await navigator.locks.request(CHANNEL + EVENTS, async () => {
          isWaiting = false;
          if (!document.hidden) await listen();
        });
      } else {
        isWaiting = false;
        await listen();
      }
      isWaiting = false;
      if (!document.hidden) setTimeout(lead, RETRY_MS);
    }

    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        if (release) release();
      } else {
        refresh();
        lead();
      }
    });
    window.addEventListener("pageshow", (event) => { if (event.persisted) { refresh(); lead(); } });
    window.addEventListener("pagehide", () => { if (release) release(); });
    lead();
  }

  // --- Commands that are copied with a click.
  function copyOnClick(event) {
    const code = event.target.closest("code[data-copy]");
    if (!code || !navigator.clipboard || String(getSelection())) return;
    navigator.clipboard.writeText(code.textContent).then(() => {
      code.classList.add("copied");
      setTimeout(() => code.classList.remove("copied"), 1200);
    }, () => {});
  }

  // --- An address that is copied with its button.
  function copyField(event) {
    const button = event.target.closest("[data-copy-of]");
    if (!button) return;
    const field = document.getElementById(button.dataset.copyOf);
    field.select();
    navigator.clipboard.writeText(field.value).then(() => { button.textContent = "Copied"; }, () => {});
  }

  // --- A pasted template is the one that is meant.
  function chooseOwnTemplate(event) {
    if (!event.target.matches("textarea[name=own]") || event.target.value.trim() === "") return;
    event.target.closest(".choice").querySelector("input[type=radio]").checked = true;
  }

  // --- What is not saved is not lost without a question.
  function noteUnsaved(event) {
    const form = event.target.form;
    if (form && "unsaved" in form.dataset) form.dataset.unsaved = "yes";
  }

  function warnOfUnsaved(event) {
    if (!document.querySelector("form[data-unsaved=yes]:not([data-sent])")) return;
    event.preventDefault();
    // After an answer of "stay", the other form can be sent later.
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  }

  // --- A form is sent once, however often its button is pressed.
  function sendOnce(event) {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
  }

  // --- A select of a filter applies at once.
  function applyFilter(event) {
    if (event.target.matches("form.filter select")) event.target.form.requestSubmit();
  }

  const TYPING_MS = 300;
  let typing = null;

  function filterWhileTyping(event) {
    if (!EVENTS || !event.target.matches("form.filter input[type=search]")) return;
    clearTimeout(typing);
    typing = setTimeout(() => {
      const form = event.target.form;
      const fields = [...new FormData(form)].filter(([, value]) => value !== "");
      const query = new URLSearchParams(fields).toString();
      history.replaceState(null, "", form.action + (query ? "?" + query : ""));
      refresh();
    }, TYPING_MS);
  }

  // --- "/" goes to the search field.
  function focusSearch(event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const field = document.querySelector("form[role=search] input[type=search]");
    if (field) { event.preventDefault(); field.focus(); }
  }

  // --- Review with the keyboard: J next, K before, A approve, R reason, U undo, the space bar plays,
  // Ctrl+Enter sends the reason. A key presses the element with its `data-key`. It can be switched off.
  const KEYS_OFF = "callsheet-review-keys-off";
  const review = document.querySelector("[data-review]");
  const areKeysOff = () => { try { return localStorage.getItem(KEYS_OFF) === "yes"; } catch { return false; } };

  function showKeys() {
    const hints = document.querySelector(".keys");
    if (!hints) return;
    hints.hidden = false;
    hints.classList.toggle("off", areKeysOff());
    hints.querySelector("[data-toggle-keys]").textContent = areKeysOff() ? "Keys are off: switch on" : "Switch off";
  }

  function toggleKeys(event) {
    if (!event.target.closest("[data-toggle-keys]")) return;
    try { localStorage.setItem(KEYS_OFF, areKeysOff() ? "no" : "yes"); } catch { /* not kept */ }
    showKeys();
  }

  function pressKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea[data-key]")) {
      event.preventDefault();
      event.target.form.requestSubmit(event.target.form.querySelector("[data-sends]"));
      return;
    }
    if (areKeysOff() || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const player = document.getElementById("player");
    if (event.key === " " && player && !/^(BUTTON|A|VIDEO|SUMMARY)$/.test(event.target.tagName)) {
      event.preventDefault();
      if (player.paused) player.play().catch(() => {}); else player.pause();
      return;
    }
    const target = review.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!target) return;
    event.preventDefault();
    if (target.tagName === "TEXTAREA") target.focus(); else target.click();
  }

  // --- A verdict is about a video that was seen: what is sent before its first picture, or a moment
  // after it, was meant for the video before. The page says that it does not count.
  const SEEN_MS = 1200;

  function guardVerdicts(player) {
    const hint = document.querySelector("[data-guard-hint]");
    const release = () => { delete review.dataset.guarded; };
    const releaseSoon = () => setTimeout(release, SEEN_MS);
    review.dataset.guarded = "yes";
    document.addEventListener("submit", (event) => {
      if (!review.dataset.guarded || !event.target.matches("form.verdict")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (hint) hint.hidden = false;
    }, true);
    if (player.readyState > 1) releaseSoon();
    player.onloadeddata = player.onerror = releaseSoon;
    // A phone may load a video only when it is played.
    setTimeout(release, 3000);
  }

  if (review) {
    document.addEventListener("keydown", pressKey);
    document.addEventListener("click", toggleKeys);
    showKeys();
    const player = document.getElementById("player");
    if (player) {
      guardVerdicts(player);
      player.play().catch(() => {});
    }
  }

  document.documentElement.classList.add("js");
  applyStyles(document);
  document.addEventListener("click", copyOnClick);
  if (navigator.clipboard) {
    document.addEventListener("click", copyField);
    document.querySelectorAll("[data-copy-of]").forEach((button) => { button.hidden = false; });
  }
  document.addEventListener("input", chooseOwnTemplate);
  document.addEventListener("input", noteUnsaved);
  document.addEventListener("input", filterWhileTyping);
  window.addEventListener("beforeunload", warnOfUnsaved);
  document.addEventListener("submit", sendOnce);
  document.addEventListener("change", applyFilter);
  document.addEventListener("keydown", focusSearch);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });
  if (EVENTS && window.EventSource && window.BroadcastChannel) follow();
  const once = document.querySelector("form[data-submit=once]");
  if (once) once.requestSubmit();
})();
