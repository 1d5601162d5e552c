// Live updates, the countdown, a livelier chart, copy buttons. Every page works without this file.
"use strict";

(() => {
  const RETRY_MS = 3000;
  const announce = document.getElementById("announce");
  let aheadSeconds = 0; // chain's clock less this machine's
  let loading = false;
  let again = false;
  let chart = null;

  // --- the clock ---

  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function duration(seconds) {
    const parts = [];
    let left = Math.max(0, seconds);
    for (const [size, name] of UNITS) {
      const count = Math.floor(left / size);
      left -= count * size;
      if (count) parts.push(`${count} ${name}`);
    }
    return parts.slice(0, 2).join(" ") || "0 s";
  }

  function chainSeconds() {
    return Math.floor(Date.now() / 1000 + aheadSeconds);
  }

  function setClock(timer) {
    aheadSeconds = Number(timer.dataset.endsAt) - Number(timer.dataset.left) - Date.now() / 1000;
  }

  function tick() {
    const timer = document.querySelector("[data-ends-at]");
    if (!timer) return;
    const left = Number(timer.dataset.endsAt) - chainSeconds();
    const text = duration(left);
    if (timer.textContent !== text) timer.textContent = text;
    if (left < 0 && left % 4 === 0) refresh(); // time alone ended the phase
  }

  function phase() {
    const shown = document.querySelector("[data-phase]");
    return shown ? shown.dataset.phase : "";
  }

  // --- live parts ---

  async function refresh() {
    if (loading) {
      again = true;
      return;
    }
    loading = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok && awaits()) return location.reload(); // what it waited for is there
      if (answer.ok || awaits()) replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // the stream says when the server is away
    }
    loading = false;
    if (again) {
      again = false;
      refresh();
    }
  }

  // A page of something that the mirror has not read yet.
  function awaits() {
    return document.querySelector("[data-again]");
  }

  function lookAgain() {
    if (!awaits()) return;
    setTimeout(async () => {
      await refresh();
      lookAgain();
    }, 1000 * awaits().dataset.again);
  }

  function replaceParts(fresh) {
    const before = phase();
    for (const old of document.querySelectorAll("[data-live]")) {
      const made = fresh.getElementById(old.id);
      if (!made) continue;
      const source = made.outerHTML;
      if (source === sources.get(old.id)) continue;
      sources.set(old.id, source);
      const focused = old.contains(document.activeElement) ? pathTo(old, document.activeElement) : null;
      const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
      const put = document.adoptNode(made);
      old.replaceWith(put);
      [...put.querySelectorAll(".scroll")].forEach((one, index) => { one.scrollLeft = scrolled[index] || 0; });
      if (focused) at(put, focused)?.focus({ preventScroll: true });
      enliven(put);
    }
    if (phase() && phase() !== before) announce.textContent = `The phase is now ${phase()}.`;
  }

  function pathTo(root, node) {
    const path = [];
    for (let one = node; one !== root; one = one.parentElement) path.unshift([...one.parentElement.children].indexOf(one));
    return path;
  }

  function at(root, path) {
    return path.reduce((node, index) => node?.children[index], root);
  }

  const sources = new Map();

  let stream = null;

  // A page that nobody looks at gives its connection back: a browser has few for one server.
  function listenWhileSeen() {
    if (document.hidden) stream?.close();
    else listen();
  }

  function listen() {
    const state = document.querySelector("[data-live-state]");
    stream?.close();
    stream = new EventSource(`/events?since=${document.body.dataset.version}`);
    stream.addEventListener("open", () => {
      document.body.classList.add("is-live");
      state.textContent = "Following live.";
    });
    stream.addEventListener("error", () => {
      document.body.classList.remove("is-live");
      state.textContent = "Not connected; trying again.";
      if (stream.readyState === EventSource.CLOSED) setTimeout(listenWhileSeen, RETRY_MS);
    });
    stream.addEventListener("change", (event) => {
      document.body.dataset.version = event.data;
      refresh();
    });
    stream.addEventListener("head", (event) => {
      const head = JSON.parse(event.data);
      aheadSeconds = Math.max(aheadSeconds, head.timestamp - Date.now() / 1000); // a block is never of the future
      const number = document.querySelector("[data-head]");
      const time = document.querySelector("[data-head-time]");
      number.textContent = String(head.number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
      if (time) time.textContent = `${new Date(head.timestamp * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
    });
  }

  // --- the chart: drawn from the table that stands below it ---

  function series(table, name) {
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const column = heads.indexOf(name);
    const rows = [...table.tBodies[0].rows].reverse();
    const value = (row) => (row.cells[column].textContent.trim() === "–" ? null : Number(row.cells[column].textContent));
    return [rows.map((row) => Number(row.cells[0].textContent)), rows.map(value)];
  }

  function draw(figure) {
    const table = document.getElementById(figure.dataset.chart);
    const plain = figure.querySelector(".plot");
    if (!table || !plain || typeof uPlot === "undefined") return;
    const data = series(table, figure.dataset.series);
    if (data[0].length < 2) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const width = () => figure.clientWidth - parseFloat(getComputedStyle(figure).paddingLeft) * 2;
    const holder = document.createElement("div");
    holder.setAttribute("aria-hidden", "true"); // the table has the numbers
    const options = {
      width: width(),
      height: 240,
      scales: { x: { time: false } },
      cursor: { drag: { x: false, y: false } },
      axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100] }, axis],
      series: [{ label: "round" }, { label: figure.dataset.series, stroke: colour("--accent"), width: 2, points: { size: 7, fill: colour("--accent") } }],
    };
    plain.before(holder);
    plain.classList.add("hidden");
    chart = new uPlot(options, data, holder);
    chart.resizeToFigure = () => chart.setSize({ width: width(), height: 240 });
  }

  function redraw() {
    const figure = document.querySelector("[data-chart]");
    if (!chart || !figure) return;
    chart.root.parentElement.remove();
    chart.destroy();
    draw(figure);
  }

  // --- copy buttons ---

  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      announce.textContent = "Copied.";
    } catch {
      button.textContent = "Can't copy";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  function enliven(root) {
    for (const button of root.querySelectorAll(".copy")) button.hidden = false;
    const timer = root.querySelector("[data-ends-at]");
    if (timer) setClock(timer);
    const figure = root.querySelector("[data-chart]");
    if (figure) draw(figure);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".copy");
    if (button) copy(button);
  });
  addEventListener("resize", () => chart?.resizeToFigure());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  for (const part of document.querySelectorAll("[data-live]")) sources.set(part.id, part.outerHTML);
  enliven(document);
  lookAgain();
  listenWhileSeen();
  document.addEventListener("visibilitychange", listenWhileSeen);
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listenWhileSeen(); });
  setInterval(tick, 1000);
})();
