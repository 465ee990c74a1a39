/* Live figures: one element, its controls, its address, its drawing. A figure is {terms(state, constants, payload), draw(view, ...)}. */
(function (root) {
  "use strict";
  const NS = "http://www.w3.org/2000/svg", figures = {}, payloads = {}, waiting = {}, mounted = {};
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const clip = (v, a, b) => Math.min(Math.max(v, a), b);
  /* JupyterLab keeps its shortcuts away from what is marked so: the arrow keys belong to the controls */
  const OWN_KEYS = {"data-lm-suppress-shortcuts": "true"};
  const minus = text => text.replace("-", "\u2212");

  function el(tag, props, ...children) {
    const node = document.createElement(tag);
    for (const [k, v] of Object.entries(props || {})) k in node && k !== "list" ? node[k] = v : node.setAttribute(k, v);
    node.append(...children);
    return node;
  }

  /* ---- the state: names and numbers, never anything else ---- */
  function clean(control, value) {
    const number = typeof value === "number" ? value : parseFloat(value);
    if (!Number.isFinite(number)) return control.default;
    const allowed = control.values || (control.options && control.options.map((_, i) => i));
    if (allowed) return allowed.reduce((a, b) => Math.abs(b - number) < Math.abs(a - number) ? b : a);
    const steps = Math.round((clip(number, control.low, control.high) - control.low) / control.step);
    return +(control.low + steps * control.step).toFixed(6);
  }
  function cleaned(spec, given) {
    const state = {};
    for (const c of spec.controls) state[c.name] = clean(c, given && Object.hasOwn(given, c.name) ? given[c.name] : c.default);
    return state;
  }
  const written = (spec, state) => spec.controls.map(c => c.name + ":" + state[c.name]).join(",");
  function parsed(text) {
    const state = {};
    for (const part of String(text || "").slice(0, 400).split(",")) {
      const [name, value] = part.split(":");
      if (/^[a-z]\w*$/.test(name) && /^-?\d+(\.\d+)?$/.test(value || "")) state[name] = parseFloat(value);
    }
    return state;
  }
  const fromAddress = id => parsed(new URLSearchParams(location.search).get(id));
  function address(id, text) {
    const rest = [...new URLSearchParams(location.search)].filter(([k]) => k !== id)
      .map(([k, v]) => encodeURIComponent(k) + "=" + encodeURIComponent(v).replace(/%3A/g, ":").replace(/%2C/g, ","));
    return location.href.split(/[?#]/)[0] + "?" + [...rest, id + "=" + text].join("&") + "#" + id;
  }

  /* ---- drawing: nodes are kept by name, so that a frame only changes attributes ---- */
  class View {
    constructor(svg) { this.svg = svg; this.nodes = new Map(); this.texts = "\u2013"; }
    start(width, height) {
      this.width = width; this.height = height; this.used = new Set(); this.last = null;
      const box = `0 0 ${width} ${height}`;
      if (this.svg.getAttribute("viewBox") !== box) { this.svg.setAttribute("viewBox", box); this.svg.setAttribute("height", height); }
    }
    node(key, tag, attributes, text) {
      let held = this.nodes.get(key);
      if (!held) {
        held = {node: document.createElementNS(NS, tag), was: {}};
        this.nodes.set(key, held);
        this.svg.append(held.node);
      }
      this.used.add(key);
      for (const k in attributes) if (held.was[k] !== attributes[k]) {
        held.was[k] = attributes[k];
        k === "style" ? held.node.style.cssText = attributes[k] : held.node.setAttribute(k, attributes[k]);
      }
      if (text !== undefined && held.text !== text) { held.text = text; held.node.textContent = text; }
      return held.node;
    }
    end() { for (const [key, held] of this.nodes) if (!this.used.has(key)) { held.node.remove(); this.nodes.delete(key); } }
    text(key, x, y, text, o = {}) {
      const color = o.color ? `var(--live-${o.color}-text)` : "var(--live-ink-text)";
      return this.node(key, "text", {x: x.toFixed(1), y: y.toFixed(1), "text-anchor": o.anchor || "middle",
        style: `fill:${color};font-size:${o.size || 12}px;font-weight:${o.bold ? 600 : 400};paint-order:stroke;stroke:var(--live-ground);stroke-width:3px;stroke-linejoin:round`}, text);
    }
    /* One line of words in colours: [text, colour] each, all from the figure's own code. */
    words(key, x, y, parts) {
      const text = parts.map(p => p[0]).join(""), node = this.text(key, x, y, undefined, {anchor: "start"});
      if (node.words !== text) {
        node.words = text;
        node.innerHTML = parts.map(([t, color]) => `<tspan style="fill:var(--live-${color}-text)">${t}</tspan>`).join("");
      }
    }
    frame(key, o) {
      const [left, top, width, height] = o.box, [x0, x1] = o.x, [y0, y1] = o.y;
      const X = v => left + (v - x0) / (x1 - x0) * width, Y = v => top + height - (v - y0) / (y1 - y0) * height;
      const ix = px => x0 + (px - left) / width * (x1 - x0), iy = py => y0 + (top + height - py) / height * (y1 - y0);
      const view = this, k = name => key + "." + name, n = v => v.toFixed(1);
      const bounded = (v, a, b) => clip(v, Math.min(a, b), Math.max(a, b));
      const axis = "stroke:var(--live-axis);stroke-width:1;fill:none";
      view.node(k("ax"), "path", {d: `M${n(left)} ${n(top + height)}h${n(width)}`, style: axis});
      const ticks = (o.xticks || nice(x0, x1, Math.max(2, Math.floor(width / 70))));
      for (const v of ticks) {
        const label = o.xnames ? o.xnames(v) : minus(String(+v.toFixed(6)));
        view.node(k("xt" + v), "path", {d: `M${n(X(v))} ${n(top + height)}v4`, style: axis});
        view.text(k("xl" + v), X(v), top + height + 17, label, {color: "axis"});
      }
      for (const v of o.yticks || nice(y0, y1, Math.max(2, Math.floor(height / 45)))) {
        view.node(k("yt" + v), "path", {d: `M${n(left)} ${n(Y(v))}h-4`, style: axis});
        view.text(k("yl" + v), left - 7, Y(v) + 4, minus(String(+v.toFixed(6))), {color: "axis", anchor: "end"});
      }
      if (o.xlabel) view.text(k("xn"), left + width / 2, top + height + 35, o.xlabel, {color: "axis"});
      if (o.title) view.text(k("tt"), left, top - 9, o.title, {anchor: "start", bold: true, size: 13});
      const path = (xs, ys) => {
        let d = "";
        for (let i = 0; i < xs.length; i++) if (Number.isFinite(ys[i])) d += (d ? "L" : "M") + n(X(xs[i])) + " " + n(clip(Y(ys[i]), top - 2, top + height + 2));
        return d;
      };
      return {
        X, Y, ix, iy, left, top, width, height,
        line: (name, xs, ys, p) => view.node(k(name), "path", {d: path(xs, ys), style:
          `fill:none;stroke:var(--live-${p.color});stroke-width:${p.width || 2};stroke-dasharray:${p.dash || "none"};opacity:${p.opacity || 1};stroke-linejoin:round`}),
        area: (name, xs, ys, p, base) => view.node(k(name), "path", {d: `${path(xs, ys)}L${n(X(xs[xs.length - 1]))} ${n(Y(base || 0))}L${n(X(xs[0]))} ${n(Y(base || 0))}Z`,
          style: `fill:var(--live-${p.color});opacity:${p.opacity || 0.2};stroke:none`}),
        bar: (name, a, b, y, h, p) => {
          const from = clip(X(Math.min(a, b)), left, left + width), to = clip(X(Math.max(a, b)), left, left + width);
          const low = Math.min(Y(y), Y(y + h)), high = Math.max(Y(y), Y(y + h));
          return view.node(k(name), "rect", {x: n(from), y: n(low), width: n(Math.max(to - from, 1)), height: n(high - low), rx: 1.5,
            style: `fill:var(--live-${p.color});opacity:${p.opacity || 1}`});
        },
        dot: (name, x, y, p) => view.node(k(name), "circle", {cx: n(X(bounded(x, x0, x1))), cy: n(Y(bounded(y, y0, y1))), r: p.r || 4,
          style: `fill:${p.hollow ? "var(--live-ground)" : `var(--live-${p.color})`};stroke:var(--live-${p.color});stroke-width:1.5;opacity:${p.opacity || 1}`}),
        vline: (name, x, p) => view.node(k(name), "path", {d: `M${n(clip(X(x), left, left + width))} ${n(top)}V${n(top + height)}`,
          style: `stroke:var(--live-${p.color});stroke-width:${p.width || 1};stroke-dasharray:${p.dash || "none"}`}),
        hline: (name, y, p) => view.node(k(name), "path", {d: `M${n(left)} ${n(clip(Y(y), top, top + height))}H${n(left + width)}`,
          style: `stroke:var(--live-${p.color});stroke-width:${p.width || 1};stroke-dasharray:${p.dash || "none"}`}),
        text: (name, x, y, text, p) => view.text(k(name), X(x), Y(y), text, p),
        handle: (name, x, y, moved) => view.handle(k(name), clip(X(x), left, left + width), clip(Y(y), top, top + height), (px, py) => moved(ix(px), iy(py))),
      };
    }
    /* A dot of 7 pixels with room for a finger; the sliders below say the same to the keyboard. */
    handle(key, x, y, moved) {
      const at = {cx: x.toFixed(1), cy: y.toFixed(1)};
      this.node(key + ".o", "circle", {...at, r: 7, style: "fill:var(--live-ground);stroke:var(--live-blue);stroke-width:3"});
      const hit = this.node(key + ".h", "circle", {...at, r: 22, class: "elbo-live-handle", style: "fill:transparent"});
      hit.moved = moved;
      if (hit.ready) return;
      hit.ready = true;
      let held = null;
      const place = event => {
        const box = this.svg.getBoundingClientRect();
        return [(event.clientX - box.left) * this.width / box.width, (event.clientY - box.top) * this.height / box.height];
      };
      hit.addEventListener("pointerdown", event => {
        const [px, py] = place(event);
        held = [px - hit.getAttribute("cx"), py - hit.getAttribute("cy")];
        hit.setPointerCapture(event.pointerId);
        event.preventDefault();
      });
      hit.addEventListener("pointermove", event => {
        if (!held) return;
        const [px, py] = place(event);
        hit.moved(px - held[0], py - held[1]);
      });
      for (const name of ["pointerup", "pointercancel"]) hit.addEventListener(name, () => { if (held) { held = null; this.settled(); } });
    }
  }
  function nice(low, high, count) {
    const a = Math.min(low, high), b = Math.max(low, high), rough = (b - a) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find(m => m * power >= rough * 0.999) * power, ticks = [];
    for (let v = Math.ceil(a / step - 1e-9) * step; v <= b + 1e-9 * step; v += step) ticks.push(+v.toFixed(9));
    return ticks;
  }

  /* ---- one figure: controls, sentence, tools ---- */
  function mount(host, spec, {state: given, changed, payload, cite}) {
    const figure = figures[spec.id], M = root.elboMaths, svg = document.createElementNS(NS, "svg"), view = new View(svg);
    let state = cleaned(spec, given), guessing = false, asked = 0, terms, tween = 0, inputs = {};
    svg.setAttribute("role", "img");
    const sentence = el("p", {className: "elbo-live-text"}), aside = el("p", {className: "elbo-aside", role: "status"});
    const plot = el("div", {className: "elbo-live-plot"}, svg), panel = el("div", {className: "elbo-live-panel", hidden: true});
    const controls = el("div", {className: "elbo-live-controls"}), tools = el("div", {className: "elbo-live-tools"});
    const shown = (c, v) => (c.options ? c.options[v] : c.names ? c.names[c.values.indexOf(v)] : minus(v.toFixed(c.digits || 0)) + (c.unit ? " " + c.unit : ""));

    for (const c of spec.controls) controls.append(c.options ? choice(c) : slider(c));
    function slider(c, listen) {
      const id = spec.id + "-" + c.name, out = el("output", {htmlFor: id}), stops = c.values;
      const input = el("input", {type: "range", id, min: stops ? 0 : c.low, max: stops ? stops.length - 1 : c.high, step: stops ? 1 : c.step, ...OWN_KEYS});
      input.addEventListener("input", () => {
        const v = clean(c, stops ? stops[+input.value] : +input.value);
        listen ? listen(v) : set({[c.name]: v});
      });
      input.addEventListener("change", settle);
      inputs[c.name] = v => {
        input.value = stops ? stops.indexOf(v) : v;
        out.value = shown(c, v);
        input.setAttribute("aria-valuetext", out.value);
      };
      return el("div", {className: "elbo-live-control", "data-name": c.name}, el("label", {htmlFor: id}, c.label), input, out);
    }
    function choice(c) {
      const name = spec.id + "-" + c.name;
      const radios = c.options.map((word, i) => {
        const input = el("input", {type: "radio", name, value: i, ...OWN_KEYS});
        input.addEventListener("change", () => { set({[c.name]: i}); settle(); });
        return el("label", {}, input, el("span", {}, word));
      });
      inputs[c.name] = v => { radios[v].firstChild.checked = true; };
      const wide = c.options.join("").length > 26 ? " elbo-live-wide" : "";
      return el("fieldset", {className: "elbo-live-choice" + wide, "data-name": c.name}, el("legend", {}, c.label), ...radios);
    }
    const tool = (word, title, act) => {
      const button = el("button", {type: "button", title}, word);
      button.addEventListener("click", () => act(button));
      tools.append(button);
      return button;
    };
    if (figure.buttons) for (const [word, title, act] of figure.buttons) tool(word, title, () => { moveTo({...state, ...act(state, terms, spec.constants)}); });
    if (spec.predict) predictor(spec.predict);
    tool("Reset", "Back to the first state", () => { guessing = false; asked = 0; moveTo(cleaned(spec, {})); });
    const here = () => address(spec.id, written(spec, state));
    tool("Link", "The address of this state", button => offer(button, "Address of this state", here()));
    tool("Cite", "BibTeX of this state", button => offer(button, "BibTeX of this state", cite ? cite.replace("@URL@", here()) : here()));
    tool("Python", "The line of Python that prints this sentence", button => offer(button, "Python that prints this sentence",
      `from elbo import live; print(live.say("${spec.id}", ${spec.controls.map(c => c.name + "=" + state[c.name]).join(", ")}))`));
    tool("CSV", "The numbers of this state", () => {
      const rows = figure.table ? figure.table(state, terms, spec.constants) : Object.entries({...state, ...terms}).filter(([, v]) => typeof v !== "object");
      save("csv", new Blob([(figure.table ? "" : "name,value\n") + rows.map(r => r.join(",")).join("\n") + "\n"], {type: "text/csv"}));
    });
    tool("SVG", "The drawing as SVG", () => save("svg", new Blob([drawing()], {type: "image/svg+xml"})));
    tool("PNG", "The drawing as PNG", () => {
      const image = new Image();
      image.onload = () => {
        const canvas = el("canvas", {width: view.width * 2, height: view.height * 2});
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob(blob => save("png", blob));
      };
      image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(drawing());
    });

    function save(suffix, blob) {
      const link = el("a", {href: URL.createObjectURL(blob), download: `${spec.id}.${suffix}`});
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 5000);
    }
    function drawing() {
      const copy = svg.cloneNode(true), live = svg.querySelectorAll("*");
      copy.querySelectorAll("*").forEach((node, i) => {
        const look = getComputedStyle(live[i]);
        node.style.cssText = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-weight", "paint-order"].map(p => `${p}:${look.getPropertyValue(p)}`).join(";");
      });
      copy.querySelectorAll(".elbo-live-handle").forEach(node => node.remove());
      copy.setAttribute("xmlns", NS);
      copy.setAttribute("width", view.width);
      copy.style.cssText = `font-family:sans-serif;background:${getComputedStyle(host).getPropertyValue("--live-ground")}`;
      return new XMLSerializer().serializeToString(copy);
    }
    function offer(button, name, text) {
      const again = !panel.hidden && panel.dataset.name === name;
      panel.hidden = again;
      panel.dataset.name = name;
      if (again) return;
      const shownText = el("pre", {tabIndex: 0}, text), copy = el("button", {type: "button"}, "Copy");
      shownText.setAttribute("aria-label", name);
      shownText.setAttribute("role", "region");
      copy.addEventListener("click", async () => {
        try { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; say(name + " copied"); }
        catch (error) { getSelection().selectAllChildren(shownText); copy.textContent = "Selected"; }
      });
      panel.replaceChildren(el("p", {}, name + " ", copy), shownText);
    }
    function predictor(p) {
      const ask = tool("Predict", "Guess before you look", () => {
        if (!guessing) { guessing = true; asked = 0; set(cleaned(spec, {...state, ...p.start})); say(p.prompt); }
        else { guessing = false; asked = 1; update(); say(sentence.textContent); }
      });
      inputs.predict = () => { ask.textContent = guessing ? "Reveal" : "Predict"; if (row) row.hidden = !guessing; };
      let row = null, guess = p.control ? p.control.default : 0;
      if (p.control) {
        row = slider(p.control, v => { guess = v; update(); });
        controls.append(row);
        delete inputs[p.control.name + "!"];
      }
      spec.guess = () => guess;
    }
    let timer = 0;
    function say(text) { clearTimeout(timer); timer = setTimeout(() => { aside.textContent = text; }, 500); }
    function settle() {
      if (due) { cancelAnimationFrame(due); due = 0; update(); }
      say(sentence.textContent);
      if (changed) changed(state);
    }
    let due = 0;
    function set(part) {
      const next = {...state};
      for (const c of spec.controls) if (Object.hasOwn(part, c.name)) next[c.name] = clean(c, part[c.name]);
      state = next;
      if (!due) due = requestAnimationFrame(() => { due = 0; update(); });
    }
    function moveTo(target) {
      cancelAnimationFrame(tween);
      const from = {...state}, began = performance.now();
      const sliding = spec.controls.filter(c => !c.options && !c.values && from[c.name] !== target[c.name]);
      if (calm() || !sliding.length) { state = target; update(); settle(); return; }
      const step = now => {
        const f = clip((now - began) / 350, 0, 1), e = f * f * (3 - 2 * f);
        state = {...target};
        if (f < 1) for (const c of sliding) state[c.name] = clean(c, from[c.name] + e * (target[c.name] - from[c.name]));
        update();
        f < 1 ? tween = requestAnimationFrame(step) : settle();
      };
      tween = requestAnimationFrame(step);
    }
    view.settled = settle;
    function update() {
      try {
        terms = figure.terms(state, spec.constants, payload);
        const p = spec.predict, guess = p && p.control ? spec.guess() : 0;
        const values = {...state, ...terms, guess};
        const template = spec.texts[spec.text_by ? state[spec.text_by] : 0];
        sentence.textContent = guessing ? p.prompt : asked ? M.fill(p.revealed, values) : M.fill(template, values);
        for (const c of spec.controls) inputs[c.name](state[c.name]);
        if (p && p.control) inputs[p.control.name](guess);
        if (inputs.predict) inputs.predict();
        for (const c of spec.controls) if (c.tab !== undefined)
          controls.querySelector(`[data-name="${c.name}"]`).hidden = c.tab !== state.tab;
        const width = Math.max(280, Math.floor(plot.clientWidth || 640)), height = spec.height[width < 560 ? 1 : 0];
        view.start(width, height);
        view.hidden = guessing;
        view.guess = guessing && p.control ? guess : asked && p.control ? guess : undefined;
        figure.draw(view, state, terms, spec.constants, set, payload);
        view.end();
        svg.setAttribute("aria-label", spec.question + " " + sentence.textContent);
      } catch (error) { fail(); }
    }
    function fail() { host.classList.remove("elbo-live-on"); ui.remove(); host.dataset.failed = "1"; }
    const ui = el("div", {className: "elbo-live-ui"}, plot, sentence, controls, tools, panel, aside);
    host.append(ui);
    update();
    if (host.dataset.failed) return null;
    host.classList.add("elbo-live-on");
    update();  // the width is known now
    let seen = plot.clientWidth;
    if (typeof ResizeObserver === "function") new ResizeObserver(() => {
      if (plot.clientWidth !== seen) { seen = plot.clientWidth; update(); }
    }).observe(plot);
    return {moveTo: target => { guessing = false; asked = 0; moveTo(cleaned(spec, target)); }, set: part => { set(part); }, get state() { return state; },
      get terms() { return terms; }, redraw: update, time: () => { const t = performance.now(); update(); return performance.now() - t; }};
  }

  /* ---- payloads: a script that calls elboLive.payload, so that a folder serves as well as a server ---- */
  function fetchPayload(base, name) {
    if (!waiting[name]) waiting[name] = new Promise((done, lost) => {
      const script = el("script", {src: base + name});
      script.onload = () => payloads[name.split(".")[0]] ? done(payloads[name.split(".")[0]]) : lost();
      script.onerror = lost;
      document.head.append(script);
    });
    return waiting[name];
  }

  const api = root.elboLive = {
    figures, mount, mounted, clean: cleaned, parsed,
    define(id, figure) { figures[id] = figure; },
    payload(id, text) { payloads[id] = root.elboMaths.bytes(text); },
    /* anywidget's contract: render({model, el}); the model holds `spec` and `state`. */
    widget(id) {
      return {render({model, el: target}) {
        const host = el("div", {className: "elbo-live"});
        target.append(host);
        const sent = model.get("payload");
        const one = mount(host, model.get("spec"), {state: model.get("state"), payload: sent ? root.elboMaths.bytes(sent) : null,
          changed: state => { model.set("state", state); model.save_changes(); }});
        model.on("change:state", () => one && one.set(model.get("state")));
      }};
    },
  };

  if (typeof customElements === "undefined" || customElements.get("elbo-live")) return;
  customElements.define("elbo-live", class extends HTMLElement {
    connectedCallback() {
      const go = () => this.start();
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.wait(go));
      else this.wait(go);
    }
    wait(go) {
      if (typeof IntersectionObserver !== "function") return go();
      const watch = new IntersectionObserver(found => { if (found.some(f => f.isIntersecting)) { watch.disconnect(); go(); } }, {rootMargin: "600px"});
      watch.observe(this);
    }
    start() {
      if (this.begun) return this.begun;
      return this.begun = (async () => {
        try {
          const spec = JSON.parse(this.dataset.spec), id = spec.id;
          if (!figures[id]) throw 0;
          const payload = spec.payload ? await fetchPayload(this.dataset.base, spec.payload) : null;
          this.figure = mounted[id] = mount(this, spec, {
            state: fromAddress(id), payload, cite: this.dataset.cite,
            changed: state => { try { history.replaceState(history.state, "", address(id, written(spec, state))); } catch (error) { /* a sandboxed page */ } },
          });
        } catch (error) { this.dataset.failed = "1"; }
        this.classList.remove("elbo-live-wait");
        return this.figure;
      })();
    }
  });
  document.addEventListener("click", async event => {
    const link = event.target.closest && event.target.closest("a.elbo-live-set");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const host = document.querySelector(`elbo-live[data-id="${link.dataset.figure}"]`);
    if (!host || host.dataset.failed) return;
    event.preventDefault();
    const figure = await host.start();
    if (!figure) { location.href = link.href; return; }
    figure.moveTo(parsed(link.dataset.state));
    host.closest("figure").scrollIntoView({behavior: calm() ? "auto" : "smooth", block: "nearest"});
  });
})(globalThis);
