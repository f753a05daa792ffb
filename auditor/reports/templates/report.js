// The list of all findings. The page holds them as blocks of JSON, written by auditor/reports/html.py:
//   rows     [context, outcome, id, resource id, resource name, message, waiver id?]
//   details  [advice, [[file, first line, last line, pointer, origins?, quote?, bytes of the whole if cut?], …], waiver?]
// A context is [claim, test, check, target, severity, basis, resource type, region]; an origin, a line and the facts that
// the template of an origin names, or none where the line is no answer. Where a context, message, file, origin, fact or
// advice stood before, a number gives its place among the first occurrences (of details: within the block). Only one page
// of rows is ever in the DOM. Details follow after this script, and a block of them is read when one of its findings is
// opened. Text enters as text, never as markup.
"use strict";
(() => {
  const PAGE = 50;
  const ALL_ORIGINS = "evidence.csv, which “auditor report RUN -f evidence -o FOLDER” writes";
  const [CLAIM, TEST, CHECK, TARGET, SEVERITY, BASIS, TYPE, REGION] = [0, 1, 2, 3, 4, 5, 6, 7];
  const FIELDS = { claim: CLAIM, test: TEST, check: CHECK, target: TARGET, severity: SEVERITY };
  const SEVERITIES = ["critical", "high", "medium", "low", "info"];
  const element = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString("en-US");
  const form = document.querySelector(".filters");
  const outcomes = [...form.elements.outcome].map((box) => box.value);
  const words = outcomes.map((name) => element(`badge-${name}`).content.textContent.trim());

  /** Text whose control and formatting characters are written out, as the page's own names are. */
  const visible = (text) =>
    text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => {
      const code = char.codePointAt(0);
      if (code === 0x200c || code === 0x200d) return char;
      return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
    });
  const prose = (text) => text.split(/([\n\t])/).map((part) => (/[\n\t]/.test(part) ? part : visible(part))).join("");

  /** A reader of one table of first occurrences. */
  const once = () => {
    const seen = [];
    const read = (value) => (typeof value === "number" ? seen[value] : (seen.push(value), value));
    return { seen, read };
  };

  const rows = [];
  const contexts = once();
  const messages = once();
  for (const block of document.querySelectorAll("script.rows")) {
    for (const row of JSON.parse(block.textContent)) {
      row[0] = contexts.read(row[0]);
      row[5] = messages.read(row[5]);
      rows.push(row);
    }
  }
  const complete = new Promise((resolve) => {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve, { once: true });
    else resolve();
  });
  const haystacks = [];
  let matches = [];
  let page = 0;

  async function details(index) {
    await complete;
    const block = [...document.querySelectorAll("script.details")].findLast((one) => one.dataset.first <= index);
    const [texts, lines, facts] = [once(), once(), once()];
    const origin = (value) => lines.read(Array.isArray(value) ? [value[0], ...value.slice(1).map(facts.read)] : value);
    const entries = JSON.parse(block.textContent).map(([advice, places, waiver]) => ({
      // In the order they were written: advice comes last.
      places: places.map(([file, first, last, pointer, origins, ...quoted]) =>
        [texts.read(file), first, last, pointer, origins?.map(origin), ...quoted]),
      advice: texts.read(advice),
      waiver,
    }));
    return entries[index - block.dataset.first];
  }

  function haystack(index) {
    const [of, , id, resource, name, text, waiver] = rows[index];
    return (haystacks[index] ??= `${of.joined ??= of.join("\n")}\n${id}\n${resource}\n${name}\n${text}\n${
      waiver ? `waived ${waiver}` : ""
    }`.toLowerCase());
  }

  /** Find what the filters let through, exceptions first, and show its first page. */
  function apply() {
    const wanted = Object.entries(FIELDS).filter(([name]) => form.elements[name].value);
    const chosen = new Set([...form.elements.outcome].flatMap((box, place) => (box.checked ? [place] : [])));
    const terms = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = outcomes.map(() => []);
    rows.forEach((row, index) => {
      if (!wanted.every(([name, place]) => row[0][place] === form.elements[name].value)) return;
      if (terms.length && !terms.every((term) => haystack(index).includes(term))) return;
      found[row[1]].push(index);
    });
    form.querySelectorAll(".found").forEach((count, place) => (count.textContent = number(found[place].length)));
    matches = found.flatMap((indices, place) => (chosen.size && !chosen.has(place) ? [] : indices));
    show(0);
  }

  function show(next) {
    const pages = Math.max(1, Math.ceil(matches.length / PAGE));
    page = Math.min(Math.max(next, 0), pages - 1);
    const shown = matches.slice(page * PAGE, (page + 1) * PAGE);
    element("list").replaceChildren(...shown.map(item));
    element("list").start = page * PAGE + 1;
    const range = shown.length ? `${number(page * PAGE + 1)} to ${number(page * PAGE + shown.length)} of ` : "";
    const all = matches.length < rows.length ? `, out of ${number(rows.length)}` : "";
    element("shown").textContent = `${range}${number(matches.length)} ${matches.length === 1 ? "finding" : "findings"}${all}`;
    element("page").textContent = `Page ${number(page + 1)} of ${number(pages)}`;
    document.querySelector(".pager").hidden = pages === 1;
    document.querySelector('[data-step="-1"]').disabled = page === 0;
    document.querySelector('[data-step="1"]').disabled = page === pages - 1;
  }

  function item(index) {
    const [of, outcome, id, resource, name, text, waiver] = rows[index];
    const copy = element("finding-template").content.cloneNode(true);
    const fill = (selector, value) => (copy.querySelector(selector).textContent = value);
    copy.querySelector("li").dataset.finding = id;
    copy.querySelector(".slot").replaceWith(element(`badge-${outcomes[outcome]}`).content.cloneNode(true));
    fill(".id", visible(resource));
    fill(".called", visible(name));
    fill(".message", prose(text));
    fill(".of-test", visible(of[TEST]) + (waiver ? " · waived" : ""));
    const box = copy.querySelector("details");
    box.addEventListener("toggle", async () => {
      const body = box.lastElementChild;
      if (!box.open || body.hasChildNodes()) return;
      const detail = await details(index);
      if (!body.hasChildNodes()) body.append(opened(index, detail));
    });
    return copy;
  }

  function opened(index, { advice, places, waiver }) {
    const [of, outcome, id, resource, name, text] = rows[index];
    const copy = element("opened-template").content.cloneNode(true);
    const fill = (selector, value) => {
      if (value) copy.querySelector(`${selector} bdi`).textContent = prose(value);
      else copy.querySelector(selector).remove();
    };
    fill(".message", text);
    fill(".advice", advice);
    fill(".waiver", waiver && `Accepted by waiver ${waiver.id}, approved by ${waiver.approved_by}, until ${waiver.expires}. It remains a fail.`);
    const facts = copy.querySelector("dl");
    const fact = (term, value, link) => {
      if (!value) return;
      const [dt, dd, bdi] = ["dt", "dd", "bdi"].map((tag) => document.createElement(tag));
      dt.textContent = term;
      bdi.textContent = visible(value);
      dd.append(link ? Object.assign(document.createElement("a"), { href: link }) : "");
      (dd.querySelector("a") ?? dd).append(bdi);
      facts.append(dt, dd);
    };
    fact("Outcome", `${words[outcome]}, by ${of[BASIS]}`);
    fact("Resource", `${resource}${name ? ` (${name})` : ""}`);
    fact("Type", of[TYPE]);
    fact("Target", of[REGION] && of[REGION] !== of[TARGET] ? `${of[TARGET]}, ${of[REGION]}` : of[TARGET]);
    fact("Claim", of[CLAIM], `#claim-${encodeURIComponent(of[CLAIM])}`);
    fact("Test", of[TEST], `#test-${encodeURIComponent(of[TEST])}`);
    fact("Check", of[CHECK]);
    fact("Severity", of[SEVERITY]);
    fact("Finding", id, `#finding-${encodeURIComponent(id)}`);
    copy.querySelector(".evidence").append(...places.map(citation));
    if (!places.length) copy.querySelector(".label").textContent = "Cites no evidence";
    return copy;
  }

  function citation([file, first, last, pointer, origins, quote, whole]) {
    const copy = element("citation-template").content.cloneNode(true);
    copy.querySelector(".file").textContent = visible(file);
    copy.querySelector(".lines").textContent = first === last ? `line ${first}` : `lines ${first}–${last}`;
    copy.querySelector(".pointer").textContent = visible(pointer);
    if (!pointer) copy.querySelector(".pointer").parentNode.remove();
    const pre = copy.querySelector("pre");
    const note = copy.querySelector(".note");
    if (quote) pre.firstChild.textContent = prose(quote);
    else pre.remove();
    if (quote === undefined) note.textContent = `Not quoted here: of each test only the first passes are. It stands at the place named; where it comes from, in ${ALL_ORIGINS}.`;
    else if (quote === null) note.textContent = "Nothing to quote: the value is null, not there, or too large. Look at the place named.";
    else if (whole) note.textContent = `Cut: the value is ${number(whole)} bytes long. The whole of it stands at the place named.`;
    else note.remove();
    if (origins) copy.querySelector(".origins").append(...origins.map((one) => from(one, first !== last)));
    const others = origins ? last - first + 1 - origins.length : 0;
    if (others > 0) copy.querySelector(".origins").append(aside(`Where the other ${number(others)} lines come from stands in ${ALL_ORIGINS}.`));
    const place = `${file}:${first === last ? first : `${first}-${last}`}${pointer && ` ${pointer}`}`;
    const button = copy.querySelector(".copy");
    button.setAttribute("aria-label", `Copy ${visible(place)}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(place);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(button.parentNode);
        button.textContent = "Selected";
      }
    });
    return copy;
  }

  /** Where the answer on one line comes from. */
  function from([line, ...facts], isOneOfSeveral) {
    if (!facts.length) return aside(`Line ${line} is no answer of a system: it holds what the settings declare.`);
    const copy = element("origin-template").content.cloneNode(true);
    copy.querySelector("summary").textContent = `Where ${isOneOfSeveral ? `line ${line}` : "this answer"} comes from`;
    copy.querySelectorAll("bdi").forEach((bdi, index) => (bdi.textContent = visible(facts[index])));
    return copy;
  }

  function aside(text) {
    return Object.assign(document.createElement("p"), { className: "note soft", textContent: text });
  }

  /** Go where the address says: to one finding, or to the findings of some filter. */
  function route() {
    const [name, query = ""] = location.hash.slice(1).split("?");
    if (name === "findings") {
      if (query) restore(new URLSearchParams(query));
      element("findings").scrollIntoView();
      return;
    }
    let id;
    try {
      id = decodeURIComponent(location.hash.slice(1));
    } catch {
      return;
    }
    const isBare = !id.startsWith("finding-");
    if (!id || (isBare && element(id))) return;
    const index = rows.findIndex((row) => row[2] === (isBare ? id : id.slice("finding-".length)));
    if (index >= 0) open(index);
    else if (!isBare) element("shown").textContent = "The finding that was linked to is not in this report.";
  }

  function open(index) {
    if (!matches.includes(index)) restore(new URLSearchParams());
    const place = matches.indexOf(index);
    show(Math.floor(place / PAGE));
    const box = element("list").children[place % PAGE].firstElementChild;
    box.open = true;
    box.scrollIntoView({ block: "center" });
    box.firstElementChild.focus({ preventScroll: true });
  }

  function restore(state) {
    form.elements.q.value = state.get("q") ?? "";
    const chosen = (state.get("outcome") ?? "").split(",");
    for (const box of form.elements.outcome) box.checked = chosen.includes(box.value);
    for (const name of Object.keys(FIELDS)) form.elements[name].value = state.get(name) ?? "";
    form.querySelector(".by").open ||= Object.keys(FIELDS).some((name) => state.get(name));
    apply();
  }

  /** Keep the filters in the address, so that what is seen can be passed on. */
  function remember() {
    const state = new URLSearchParams();
    const chosen = [...form.elements.outcome].filter((box) => box.checked).map((box) => box.value);
    if (form.elements.q.value) state.set("q", form.elements.q.value);
    if (chosen.length) state.set("outcome", chosen.join(","));
    for (const name of Object.keys(FIELDS)) if (form.elements[name].value) state.set(name, form.elements[name].value);
    try {
      history.replaceState(null, "", `#findings${state.size ? `?${state}` : ""}`);
    } catch {
      // a frame without an address of its own: nothing to keep
    }
  }

  for (const [name, place] of Object.entries(FIELDS)) {
    const values = [...new Set(contexts.seen.map((context) => context[place]))];
    values.sort(name === "severity" ? (a, b) => SEVERITIES.indexOf(a) - SEVERITIES.indexOf(b) : undefined);
    form.elements[name].append(...values.map((value) => new Option(visible(value).slice(0, 100), value)));
  }
  form.reset(); // browsers keep what was typed over a reload, but the address says what holds
  let waiting;
  const changed = () => {
    apply();
    remember();
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(changed, 60);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(changed));
  document.querySelector(".pager").addEventListener("click", ({ target }) => {
    if (!target.dataset.step) return;
    show(page + Number(target.dataset.step));
    element("shown").scrollIntoView();
  });
  document.addEventListener("click", ({ target }) => {
    const link = target.closest('a[href^="#finding"]');
    if (link && link.hash === location.hash) route();
  });
  addEventListener("hashchange", route);
  addEventListener("beforeprint", () => document.querySelectorAll(".more").forEach((box) => (box.open = true)));
  document.documentElement.classList.add("js");
  element("explorer").hidden = false;
  apply();
  route();
})();
