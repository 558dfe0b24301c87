"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const plots = [...document.querySelectorAll(".plot")];

  const two = (n) => String(n).padStart(2, "0");
  const moment = (at) => {
    if (data.origin === null) return new Date(at * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";
    const s = Math.round(Math.abs(at - data.origin)), hours = Math.floor(s / 3600);
    const rest = (hours ? two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ":" + two(s % 60);
    return (at < data.origin ? "-" : "") + (hours ? hours + ":" : "") + rest;
  };
  const number = (v) => v === null ? "not known"
    : Math.abs(v) >= 100 ? Math.round(v).toLocaleString("en") : String(Number(v.toPrecision(3)));
  const lastBefore = (list, at, key) => {  // index of the last element at or before, or -1
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (key(list[middle]) <= at) low = middle + 1; else high = middle;
    }
    return low - 1;
  };
  const line = (text, kind) => {
    const p = document.createElement("p");
    if (kind) p.className = kind;
    p.textContent = text;
    return p;
  };

  function fill(panel, at) {
    const head = document.createElement("b");
    head.textContent = moment(at);
    tip.replaceChildren(head);
    for (const series of data.panels[panel].series) {
      const index = lastBefore(series.points, at, (point) => point[0]);
      if (index < 0) continue;
      tip.append(line(series.label + ": " + number(series.points[index][1]) + " " + data.panels[panel].unit));
    }
    const found = data.decisions[lastBefore(data.decisions, at, (d) => d.at)];
    if (!found) return;
    const step = found.before === found.after ? "stay at " + found.after : found.before + " → " + found.after;
    const move = document.createElement("b");
    move.textContent = moment(found.at) + ", replicas " + step;
    tip.append(document.createElement("hr"), move, line(found.sentence));
    tip.append(line("decided by " + found.binding + (found.flip ? "; otherwise: " + found.flip : ""), "soft"));
  }

  function show(panel, at, x, y) {
    fill(panel, at);
    tip.hidden = false;
    const width = tip.offsetWidth, height = tip.offsetHeight;
    const left = x + 16 + width > innerWidth ? x - width - 16 : x + 16;
    tip.style.left = Math.max(8, Math.min(left, innerWidth - width - 8)) + "px";
    tip.style.top = Math.max(8, Math.min(y + 16, innerHeight - height - 8)) + "px";
    const share = (at - data.start) / (data.end - data.start);
    for (const plot of plots) {
      const cross = plot.querySelector(".cross");
      cross.hidden = false;
      cross.style.left = 100 * share + "%";
    }
  }
  function hide() {
    tip.hidden = true;
    for (const plot of plots) plot.querySelector(".cross").hidden = true;
  }

  for (const plot of plots) {
    const panel = Number(plot.dataset.panel);
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      const dot = event.target.closest(".dot");
      const at = dot ? Number(dot.dataset.at) : data.start + share * (data.end - data.start);
      show(panel, at, event.clientX, event.clientY);
    });
    plot.addEventListener("pointerleave", hide);
    for (const dot of plot.querySelectorAll(".dot")) {
      dot.addEventListener("focus", () => {
        const box = dot.getBoundingClientRect();
        show(panel, Number(dot.dataset.at), box.right, box.bottom);
      });
      dot.addEventListener("blur", hide);
    }
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
