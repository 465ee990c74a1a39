/* Jensen's inequality on five weights, and averages of k draws, summed exactly. */
elboLive.define("blei-2017-live-jensen", {
  weights({spread, skew}, {shape}) {
    const M = elboMaths, square = M.mean(shape.map(a => a * a)), raw = shape.map(a => Math.exp(spread * (a + skew * (a * a - square)))), m = M.mean(raw);
    return raw.map(v => v / m);
  },
  /* Averages of k draws with their chances: multisets, by how often each weight occurs. */
  averages(w, k) {
    const out = [], fact = n => n < 2 ? 1 : n * fact(n - 1), walk = (i, left, total, ways) => {
      if (i === w.length - 1) { out.push([(total + left * w[i]) / k, ways / fact(left) / w.length ** k]); return; }
      for (let n = 0; n <= left; n++) walk(i + 1, left - n, total + n * w[i], ways / fact(n));
    };
    walk(0, k, 0, fact(k));
    return out;
  },
  bound(w, k) { return elboMaths.sum(this.averages(w, k).map(([v, p]) => p * Math.log(v))); },
  terms(s, c) {
    const w = this.weights(s, c), top = Math.log(elboMaths.mean(w)), bound = this.bound(w, s.k);
    return {log_mean: top, one: this.bound(w, 1), bound, gap: top - bound};
  },
  draw(view, s, t, c) {
    const M = elboMaths, w = this.weights(s, c), narrow = view.width < 560, W = view.width, low = Math.min(...w), high = Math.max(...w, 1.5);
    const bottom = Math.min(-1, Math.log(low) * 1.1), a = view.frame("a", {box: narrow ? [40, 24, W - 52, 210] : [40, 24, W * 0.56, view.height - 70], x: [0, high * 1.05],
      y: [bottom, Math.max(1, Math.log(high) * 1.1)], title: "log of the average weight, in nats", xlabel: "average weight"});
    const x = M.grid(Math.exp(bottom), high * 1.05, 161);
    a.line("log", x, x.map(Math.log), {color: "ink", width: 1.4});
    const dots = (name, k, color) => {
      const all = this.averages(w, k), path = {};
      for (const [v, p] of all) { const r = Math.max(5, Math.round(24 * Math.sqrt(p))); path[r] = (path[r] || "") + `M${a.X(v).toFixed(1)} ${a.Y(Math.log(v)).toFixed(1)}h0`; }
      for (const r in path) view.node(name + r, "path", {d: path[r], style: `stroke:var(--live-${color});stroke-width:${r};stroke-linecap:round;fill:none;opacity:.75`});
      a.hline(name + "l", this.bound(w, k), {color, width: 1.6, dash: k === 1 ? "6 3" : "none"});
    };
    dots("one", 1, "red");
    if (s.k > 1) dots("k", s.k, "blue");
    a.hline("zero", 0, {color: "ink", dash: "2 3"});
    a.text("z", high * 1.05, 0.06, "log E w = 0", {anchor: "end"});
    view.text("l1", a.left + a.width - 4, a.top + a.height - 26, "single draws; mean log, dashed", {color: "red", anchor: "end"});
    if (s.k > 1) view.text("l2", a.left + a.width - 4, a.top + a.height - 8, `averages of ${s.k}; mean log`, {color: "blue", anchor: "end"});
    const ks = M.grid(1, c.most, c.most), L = ks.map(k => this.bound(w, k)), left = narrow ? 40 : W * 0.56 + 100;
    const b = view.frame("b", {box: [left, narrow ? 296 : 24, W - left - 14, narrow ? view.height - 342 : view.height - 70], x: [0.6, c.most + 0.4], y: [Math.min(-0.2, t.one * 1.1), 0],
      xticks: ks, title: "The bound over k, in nats", xlabel: "draws averaged first, k"});
    b.line("L", ks, L, {color: "blue", width: 1.6});
    ks.forEach((k, i) => b.dot("d" + k, k, L[i], {color: k === 1 ? "red" : "blue", r: k === s.k ? 6 : 3.5}));
  },
});
