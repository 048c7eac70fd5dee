"use strict";
// Progressive enhancement: the page reads whole without this script, which needs no network.
(() => {
  const element = (name, attributes = {}, text = "") => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };
  const svgElement = (name, attributes = {}) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const download = (name, blob) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const data = (id) => {
    const holder = document.getElementById(id);
    return holder ? JSON.parse(holder.textContent) : null;
  };
  document.documentElement.classList.add("scripted");

  // Light, dark, or as the system has it.
  const schemes = ["auto", "light", "dark"];
  const toggle = element("button", { type: "button", class: "tool scheme" }, "Scheme: auto");
  toggle.addEventListener("click", () => {
    const next = schemes[(schemes.indexOf(document.documentElement.dataset.scheme || "auto") + 1) % 3];
    document.documentElement.dataset.scheme = next;
    toggle.textContent = `Scheme: ${next}`;
  });
  document.querySelector("header").append(toggle);

  // Copy buttons.
  for (const code of document.querySelectorAll("pre.code")) {
    const button = element("button", { type: "button", class: "tool copy", "aria-label": "Copy these lines" }, "Copy");
    button.addEventListener("click", async () => {
      const text = code.querySelector("code") ? code.querySelector("code").textContent : code.textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        const range = document.createRange();
        range.selectNodeContents(code);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    code.after(button);
  }

  // Tables: sort by a column, filter rows, save as CSV.
  const cellText = (cell) => (cell.querySelector("span") || cell).childNodes[0]?.textContent.trim() ?? "";
  const numberOf = (text) => {
    const match = text.replace(/−/g, "-").replace(/,/g, "").match(/-?\d+(\.\d+)?/);
    return match ? Number(match[0]) : NaN;
  };
  const rowTexts = (row) => [...row.cells].map((cell) => cell.innerText.replace(/\s+/g, " ").trim());
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
    heads.forEach((head, column) => {
      const button = element("button", { type: "button", class: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const ascending = head.getAttribute("aria-sort") === "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        const rows = [...body.rows].map((row) => [row, row.cells[column] ? cellText(row.cells[column]) : ""]);
        rows.sort(([, a], [, b]) => {
          const [x, y] = [numberOf(a), numberOf(b)];
          if (column === 0 || (Number.isNaN(x) && Number.isNaN(y))) return a.localeCompare(b);
          return (Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : x - y);
        });
        if (!ascending) rows.reverse();
        body.append(...rows.map(([row]) => row));
      });
    });
    const tools = element("p", { class: "tools" });
    if (body.rows.length > 5) {
      const filter = element("input", { type: "search", placeholder: "Filter rows", "aria-label": "Filter rows" });
      filter.addEventListener("input", () => {
        for (const row of body.rows) row.hidden = !row.innerText.toLowerCase().includes(filter.value.toLowerCase());
      });
      tools.append(filter);
    }
    const save = element("button", { type: "button", class: "tool" }, "Save as CSV");
    save.addEventListener("click", () => {
      const quote = (text) => `"${text.replace(/"/g, '""')}"`;
      const lines = [...table.rows].map((row) => rowTexts(row).map(quote).join(","));
      download("table.csv", new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    });
    tools.append(save);
    (table.closest(".scroll") || table).after(tools);
  }

  // Figures: save as SVG or PNG.
  const standalone = (svg) => {
    const copy = svg.cloneNode(true);
    const box = svg.viewBox.baseVal;
    const style = getComputedStyle(document.documentElement);
    const variables = ["--paper", "--ink", "--x", "--y", "--accent", "--muted"];
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", box.width);
    copy.setAttribute("height", box.height);
    const rules = variables.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";");
    copy.setAttribute("style", `${rules};color:${style.getPropertyValue("--ink")}`);
    copy.prepend(svgElement("rect", { width: box.width, height: box.height, style: "fill:var(--paper)" }));
    return [new XMLSerializer().serializeToString(copy), box];
  };
  for (const figure of document.querySelectorAll("figure")) {
    if (!figure.querySelector("svg")) continue;
    const tools = element("p", { class: "tools" });
    const saveSvg = element("button", { type: "button", class: "tool" }, "Save SVG");
    saveSvg.addEventListener("click", () => {
      const [text] = standalone(figure.querySelector("svg"));
      download("figure.svg", new Blob([text], { type: "image/svg+xml" }));
    });
    const savePng = element("button", { type: "button", class: "tool" }, "Save PNG");
    savePng.addEventListener("click", () => {
      const [text, box] = standalone(figure.querySelector("svg"));
      const image = new Image();
      image.onload = () => {
        const canvas = element("canvas");
        [canvas.width, canvas.height] = [3 * box.width, 3 * box.height];
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((blob) => download("figure.png", blob));
      };
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    });
    tools.append(saveSvg, savePng);
    figure.append(tools);
  }

  // Search in the glossary.
  const glossary = document.querySelector(".measures");
  if (glossary) {
    const search = element("input", { type: "search", placeholder: "Search the measures", "aria-label": "Search the measures" });
    const count = element("span", { class: "soft", role: "status" });
    search.addEventListener("input", () => {
      let shown = 0;
      for (const measure of glossary.querySelectorAll(".measure")) {
        measure.hidden = !measure.textContent.toLowerCase().includes(search.value.trim().toLowerCase());
        shown += measure.hidden ? 0 : 1;
      }
      count.textContent = search.value ? ` ${shown} found` : "";
    });
    const line = element("p", { class: "tools" });
    line.append(search, count);
    glossary.before(line);
  }

  // Contents that follow: the entry of the section in view is marked, and a folded section opens when it is chosen.
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) target.closest("details")?.setAttribute("open", "");
  };
  addEventListener("hashchange", open);
  open();
  const links = [...document.querySelectorAll("nav.contents a")];
  const sections = links.map((link) => document.getElementById(link.hash.slice(1))).filter(Boolean);
  if (sections.length) {
    const mark = () => {
      const passed = sections.filter((section) => section.getBoundingClientRect().top < 140);
      const current = (passed.at(-1) || sections[0]).id;
      for (const link of links) {
        if (link.hash === `#${current}`) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    };
    addEventListener("scroll", mark, { passive: true });
    mark();
  }

  // Components of the deficit: what each one means.
  const meaning = document.getElementById("component-meaning");
  for (const button of document.querySelectorAll("button.component")) {
    button.addEventListener("click", () => { meaning.textContent = button.dataset.meaning; });
  }

  // The cosine: precision, recall and percentile of any threshold.
  const calibration = data("calibration-data");
  const slider = document.getElementById("cosine-slider");
  if (calibration && slider) {
    document.getElementById("cosine-tool").hidden = false;
    const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.001 ? 3 : 1)} %`;
    const tell = () => {
      const position = Number(slider.value);
      const precision = calibration.precision[position];
      document.getElementById("cosine-value").textContent = calibration.cosines[position].toFixed(3);
      document.getElementById("cosine-meaning").textContent =
        `At or above it: ${precision === null ? "no candidate" : `${percent(precision)} of the candidates are matches`}` +
        `, ${percent(calibration.recall[position])} of the matches are found, ` +
        `and ${percent(1 - calibration.above[position])} of the non-matching pairs are below.`;
    };
    slider.max = String(calibration.cosines.length - 1);
    slider.addEventListener("input", tell);
    tell();
  }

  // The clouds: a chosen correction, and the row under the pointer with its matching row.
  const clouds = data("clouds-data");
  const views = document.getElementById("cloud-views");
  if (clouds && views) {
    const tip = element("p", { class: "tip", role: "status" }, "Point at a row, or use the arrow keys, to see its match.");
    const label = (row) => {
      const parts = [`row ${clouds.rows[row]}`];
      for (const key of ["ids", "labels", "captions"]) if (clouds[key]) parts.push(clouds[key][row]);
      return parts.join(" · ");
    };
    const draw = (figure, view) => {
      const [width, height] = [400, 340];
      const all = [...view.x, ...view.y];
      const [left, right] = [Math.min(...all.map((p) => p[0])), Math.max(...all.map((p) => p[0]))];
      const [bottom, top] = [Math.min(...all.map((p) => p[1])), Math.max(...all.map((p) => p[1]))];
      const scale = Math.min((width - 24) / (right - left || 1), (height - 24) / (top - bottom || 1));
      const place = ([a, b]) => [
        width / 2 + scale * (a - (left + right) / 2), height / 2 - scale * (b - (bottom + top) / 2),
      ];
      const svg = svgElement("svg", {
        viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0",
        "aria-label": `Rows of both modalities, ${view.name}. The means are ${view.distance.toFixed(2)} apart.`,
      });
      const points = [];
      for (const side of ["x", "y"]) {
        view[side].forEach((point, row) => {
          const [cx, cy] = place(point);
          points.push({ cx, cy, row, side });
          svg.append(svgElement("circle", { cx, cy, r: 2.6, style: `fill:var(--${side});fill-opacity:.55` }));
        });
      }
      const line = svgElement("line", { style: "stroke:currentColor;stroke-width:1.2", visibility: "hidden" });
      const rings = ["x", "y"].map((side) =>
        svgElement("circle", { r: 6, style: `fill:none;stroke:var(--${side});stroke-width:2`, visibility: "hidden" }));
      svg.append(line, ...rings);
      const choose = (row) => {
        const ends = [place(view.x[row]), place(view.y[row])];
        ends.forEach(([cx, cy], i) => {
          rings[i].setAttribute("cx", cx);
          rings[i].setAttribute("cy", cy);
          line.setAttribute(`x${i + 1}`, cx);
          line.setAttribute(`y${i + 1}`, cy);
        });
        for (const mark of [line, ...rings]) mark.setAttribute("visibility", "visible");
        svg.dataset.row = row;
        tip.textContent = label(row);
      };
      svg.addEventListener("pointermove", (event) => {
        const box = svg.getBoundingClientRect();
        const [px, py] = [((event.clientX - box.left) * width) / box.width, ((event.clientY - box.top) * height) / box.height];
        let best = null;
        for (const point of points) {
          const distance = (point.cx - px) ** 2 + (point.cy - py) ** 2;
          if (!best || distance < best.distance) best = { distance, row: point.row };
        }
        if (best && best.distance < 900) choose(best.row);
      });
      svg.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const count = view.x.length;
        choose((Number(svg.dataset.row ?? -step) + step + count) % count);
      });
      figure.querySelector("svg").replaceWith(svg);
      figure.querySelector(".distance").textContent = view.distance.toFixed(2);
    };
    const figures = views.querySelectorAll("figure");
    draw(figures[0], clouds.views[0]);
    if (figures[1] && clouds.views.length > 1) {
      const choice = element("select", { "aria-label": "Correction that is shown" });
      clouds.views.slice(1).forEach((view, i) => choice.append(element("option", { value: i + 1 }, view.name)));
      choice.value = String(clouds.shown);
      choice.addEventListener("change", () => draw(figures[1], clouds.views[Number(choice.value)]));
      const heading = figures[1].querySelector("h3");
      heading.textContent = "After ";
      heading.append(choice);
      draw(figures[1], clouds.views[clouds.shown]);
    }
    views.after(tip);
  }
})();
