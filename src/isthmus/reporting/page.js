"use strict";
// Progressive enhancement: the page is complete without this script, which needs no network.
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
  // The name of a file that is saved, from the heading above.
  const fileName = (place, suffix) => {
    const heading = place.closest("figure")?.querySelector("h3") || place.closest("section, details")?.querySelector("h2, h3");
    const choice = heading?.querySelector("select"); // a heading that ends with a choice
    const text = choice ? `${heading.firstChild.textContent} ${choice.selectedOptions[0].textContent}` : heading?.textContent;
    const words = (text || document.title).toLowerCase().match(/[a-z0-9]+/g) || ["table"];
    return words.slice(0, 6).join("-") + suffix;
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
    const block = element("div", { class: "code-block" });
    code.before(block);
    block.append(code, button);
  }

  // Tables: sort by a column, filter rows, save as CSV.
  const lines = (cell) => {
    const copy = cell.cloneNode(true);
    for (const extra of copy.querySelectorAll("details, .tag, img")) extra.remove();
    const small = [...copy.querySelectorAll("small")].map((line) => { line.remove(); return line.textContent; });
    return [copy.textContent, ...small].map((text) => text.replace(/\u200b/g, "").replace(/\s+/g, " ").trim());
  };
  const cellText = (cell) => lines(cell)[0];
  const numberOf = (text) => {
    const match = text.replace(/−/g, "-").replace(/,/g, "").match(/-?\d+(\.\d+)?/);
    return match ? Number(match[0]) : NaN;
  };
  // A cell that begins like a formula is quoted, because spreadsheets run formulas. Numbers with a sign stay numbers.
  const csvCell = (text) => {
    const risky = /^[=@+\-\t]/.test(text) && !/^[+\-]?[\d.]/.test(text);
    return `"${(risky ? `'${text}` : text).replace(/"/g, '""')}"`;
  };
  // The small lines of a cell, such as intervals, become columns of their own.
  const csv = (table) => {
    const rows = [...table.rows].map((row) => [...row.cells].map(lines));
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 1)));
    return rows.map((row, i) => row.flatMap((cell, column) =>
      Array.from({ length: widths[column] }, (_, k) => cell[k] ?? (i || !k ? "" : `${cell[0]} (${k + 1})`)),
    ).map(csvCell).join(",")).join("\n") + "\n";
  };
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
    heads.forEach((head, column) => {
      if (!head.textContent.trim() || body.rows.length < 2) return;
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
        for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(filter.value.toLowerCase());
      });
      tools.append(filter);
    }
    const save = element("button", { type: "button", class: "tool" }, "Save as CSV");
    save.addEventListener("click", () => {
      download(fileName(table, ".csv"), new Blob([csv(table)], { type: "text/csv" }));
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
      download(fileName(figure, ".svg"), new Blob([text], { type: "image/svg+xml" }));
    });
    const savePng = element("button", { type: "button", class: "tool" }, "Save PNG");
    savePng.addEventListener("click", () => {
      const [text, box] = standalone(figure.querySelector("svg"));
      const image = new Image();
      image.onload = () => {
        const canvas = element("canvas");
        [canvas.width, canvas.height] = [3 * box.width, 3 * box.height];
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((blob) => download(fileName(figure, ".png"), blob));
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

  // Components of the deficit: what each one means. The bars are for the pointer, the buttons also for the keyboard.
  const meaning = document.getElementById("component-meaning");
  const bars = document.querySelectorAll(".stack span");
  document.querySelectorAll("button.component").forEach((button, i) => {
    const explain = () => { meaning.textContent = button.dataset.meaning; };
    button.addEventListener("click", explain);
    bars[i]?.addEventListener("click", explain);
  });

  // The cosine: precision, recall and percentile of any threshold.
  const calibration = data("calibration-data");
  const slider = document.getElementById("cosine-slider");
  if (calibration && slider) {
    document.getElementById("cosine-tool").hidden = false;
    const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.001 ? 3 : 1)} %`;
    const tell = () => {
      const position = Number(slider.value);
      const cosine = calibration.cosines[position].toFixed(3);
      slider.setAttribute("aria-valuetext", cosine);
      document.getElementById("cosine-value").textContent = cosine;
      document.getElementById("cosine-meaning").textContent = (calibration.recall[position]
        ? `Recall: ${percent(calibration.recall[position])} of the matching pairs have this cosine or more. ` +
          (calibration.precision[position] === null ? "These are too few pairs to judge the precision. "
            : `Precision: ${percent(calibration.precision[position])} of the candidates there are matches. `)
        : "No matching pair has this cosine or more. ") +
        `${percent(1 - calibration.above[position])} of the non-matching pairs have less.`;
    };
    slider.max = String(calibration.cosines.length - 1);
    // The threshold with the best balance (F1) of precision and recall comes first.
    const balance = calibration.recall.map((r, i) => (r ? (r * calibration.precision[i]) / (r + calibration.precision[i]) : 0));
    slider.value = String(balance.indexOf(Math.max(...balance)));
    slider.addEventListener("input", tell);
    tell();
  }

  // The clouds: a chosen correction, and the row under the pointer with its matching row. Both pictures have one scale.
  const clouds = data("clouds-data");
  const views = document.getElementById("cloud-views");
  if (clouds && views) {
    const [width, height, top] = [480, 280, 26];
    const tip = element("div", { class: "tip", role: "status" }, "Point at a row, or use the arrow keys, to see its match.");
    const tell = (row) => {
      const parts = [`row ${clouds.rows[row]}`];
      for (const key of ["ids", "labels", "captions"]) if (clouds[key]) parts.push(clouds[key][row]);
      tip.textContent = "";
      const picture = clouds.images && clouds.images[row];
      if (picture) tip.append(element("img", { class: "thumb", src: picture, alt: "" }));
      tip.append(element("span", {}, parts.join(" · ")));
    };
    const view = (i) => ({ ...clouds.views[clouds.views[i].same ?? i], ...clouds.views[i] });
    const extent = (shown) => {
      const all = shown.flatMap((v) => [...v.x, ...v.y, ...v.means]);
      return [0, 1].map((axis) => {
        const values = all.map((point) => point[axis]);
        return [Math.min(...values), Math.max(...values)];
      });
    };
    const shape = { x: ([a, b]) => `M${a - 2.6} ${b}a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0 -5.2 0`,
      y: ([a, b]) => `M${a} ${b - 3.1}l3 5.4h-6z` };
    const draw = (figure, shown, [[left, right], [bottom, high]]) => {
      const scale = Math.min((width - 24) / (right - left || 1), (height - top - 40) / (high - bottom || 1));
      const place = ([a, b]) => [
        width / 2 + scale * (a - (left + right) / 2), top + (height - top - 30) / 2 - scale * (b - (bottom + high) / 2),
      ].map((value) => Math.round(10 * value) / 10);
      const svg = svgElement("svg", {
        viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0",
        "aria-label": `Rows of both modalities, ${shown.name}. The means are ${shown.distance.toFixed(2)} apart.`,
      });
      const text = (content, attributes, style) => {
        const size = Math.max(13, (13 * width) / (figure.clientWidth || width));
        const made = svgElement("text", { ...attributes, style: `font-size:${size}px;${style}` });
        made.textContent = content;
        svg.append(made);
      };
      text(`● ${clouds.names[0]}`, { x: 4, y: 15 }, "fill:var(--x);font-weight:bold");
      text(`${clouds.names[1]} ▲`, { x: width - 4, y: 15, "text-anchor": "end" }, "fill:var(--y);font-weight:bold");
      text("along the difference of the means →", { x: width / 2, y: height - 6, "text-anchor": "middle" }, "fill:currentColor");
      const step = Math.max(1, Math.floor(shown.x.length / 48));
      const joined = shown.x.map((point, row) => [point, shown.y[row]]).filter((_, row) => row % step === 0);
      svg.append(svgElement("path", {
        d: joined.map(([a, b]) => `M${place(a).join(" ")}L${place(b).join(" ")}`).join(""),
        style: "stroke:currentColor;stroke-opacity:.22;stroke-width:.6;fill:none",
      }));
      const points = [];
      for (const side of ["x", "y"]) {
        shown[side].forEach((point, row) => {
          const [cx, cy] = place(point);
          points.push({ cx, cy, row });
          svg.append(svgElement("path", { class: "row", d: shape[side]([cx, cy]), style: `fill:var(--${side});fill-opacity:.55` }));
        });
      }
      const [[ax, ay], [bx, by]] = shown.means.map(place);
      svg.append(svgElement("path", { d: `M${ax} ${ay}L${bx} ${by}`, style: "stroke:var(--paper);stroke-width:5" }));
      svg.append(svgElement("path", { d: `M${ax} ${ay}L${bx} ${by}`, style: "stroke:currentColor;stroke-width:2" }));
      svg.append(svgElement("circle", { cx: ax, cy: ay, r: 6, style: "fill:var(--x);stroke:var(--paper);stroke-width:1.5" }));
      svg.append(svgElement("path", { d: `M${bx} ${by - 7}l7 12h-14z`, style: "fill:var(--y);stroke:var(--paper);stroke-width:1.5" }));
      const line = svgElement("line", { style: "stroke:currentColor;stroke-width:1.5", visibility: "hidden" });
      const rings = ["x", "y"].map((side) =>
        svgElement("circle", { r: 7, style: `fill:none;stroke:var(--${side});stroke-width:2.5`, visibility: "hidden" }));
      svg.append(line, ...rings);
      const choose = (row) => {
        [place(shown.x[row]), place(shown.y[row])].forEach(([cx, cy], i) => {
          rings[i].setAttribute("cx", cx);
          rings[i].setAttribute("cy", cy);
          line.setAttribute(`x${i + 1}`, cx);
          line.setAttribute(`y${i + 1}`, cy);
        });
        for (const mark of [line, ...rings]) mark.setAttribute("visibility", "visible");
        svg.dataset.row = row;
        tell(row);
      };
      const point = (event) => {
        const box = svg.getBoundingClientRect();
        const drawn = Math.min(box.width / width, box.height / height);
        const px = (event.clientX - box.left - (box.width - drawn * width) / 2) / drawn;
        const py = (event.clientY - box.top - (box.height - drawn * height) / 2) / drawn;
        let best = null;
        for (const { cx, cy, row } of points) {
          const distance = (cx - px) ** 2 + (cy - py) ** 2;
          if (!best || distance < best.distance) best = { distance, row };
        }
        if (best && best.distance < 400) choose(best.row);
      };
      svg.addEventListener("pointermove", point);
      svg.addEventListener("pointerdown", point);
      svg.addEventListener("keydown", (event) => {
        const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!move) return;
        event.preventDefault();
        const count = shown.x.length;
        choose((Number(svg.dataset.row ?? -move) + move + count) % count);
      });
      figure.querySelector("svg").replaceWith(svg);
      figure.querySelector(".distance").textContent = shown.distance.toFixed(2);
      const note = figure.querySelector(".view-note");
      if (note) note.textContent = shown.note;
    };
    const figures = views.querySelectorAll("figure");
    const show = (i) => {
      const both = [view(0), view(figures[1] ? i : 0)];
      const limits = extent(both);
      figures.forEach((figure, k) => draw(figure, both[k], limits));
    };
    if (figures[1] && clouds.views.length > 1) {
      const choice = element("select", { "aria-label": "Correction that is shown" });
      clouds.views.forEach(({ name }, i) => choice.append(element("option", { value: i }, name)));
      choice.value = String(clouds.shown);
      choice.addEventListener("change", () => show(Number(choice.value)));
      const heading = figures[1].querySelector("h3");
      heading.textContent = "After ";
      heading.append(choice);
    }
    show(clouds.shown);
    views.after(tip);
  }
})();
