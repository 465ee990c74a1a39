/* Codes on a line: information under its ceiling, marginal KL without one. */
elboLive.define("hoffman-johnson-2016-live-surgery", {
  terms({sd, spread, n}, {codes}) {
    return {...elboMaths.surgery(codes[n].map(c => spread * c), sd), log_n: Math.log(n)};
  },
  /* The three terms over the standard deviation, kept while only that moves; coarse enough to follow a finger. */
  sweep({spread, n}, {codes}) {
    const key = spread + "/" + n;
    if (this.key !== key) {
      const M = elboMaths, sds = M.grid(Math.log10(0.02), Math.log10(1.5), 25);
      const rows = sds.map(l => M.surgery(codes[n].map(c => spread * c), 10 ** l, 3, 5));
      Object.assign(this, {key, curve: {sds, rows}});
    }
    return this.curve;
  },
  table(s, t, c) {
    const {sds, rows} = this.sweep(s, c);
    return [["sd", "average_kl", "information", "marginal_kl"], ...sds.map((l, i) => [10 ** l, rows[i].average_kl, rows[i].information, rows[i].marginal_kl]),
      [s.sd, t.average_kl, t.information, t.marginal_kl]];
  },
  draw(view, s, t, c, set) {
    const M = elboMaths, narrow = view.width < 560, w = view.width, half = narrow ? w - 16 : w * 0.44;
    const means = c.codes[s.n].map(v => s.spread * v), z = M.grid(-4, 4, 401);
    const q = z.map(v => M.mean(means.map(m => Math.abs(v - m) > 8 * s.sd ? 0 : Math.exp(M.logNormal(v, m, s.sd)))));
    const top = Math.max(0.45, ...q) * 1.08;
    const a = view.frame("a", {box: narrow ? [8, 24, w - 16, 140] : [8, 24, half, view.height - 70], x: [-4, 4], y: [0, top], yticks: [],
      title: "q\u0304(z) over p(z)", xlabel: "code z"});
    a.area("qa", z, q, {color: "blue", opacity: 0.22});
    a.line("q", z, q, {color: "blue", width: 1.6});
    a.line("p", z, z.map(v => Math.exp(M.logNormal(v, 0, 1))), {color: "ink", dash: "5 3", width: 1.5});
    a.text("ql", -3.9, top * 0.92, "q\u0304(z), " + s.n + " codes", {color: "blue", anchor: "start"});
    a.text("pl", -3.9, top * (narrow ? 0.78 : 0.85), "p(z), dashed", {anchor: "start"});
    a.handle("h", means[s.n - 1], 0, x => set({spread: x / c.codes[s.n][s.n - 1]}));
    const left = narrow ? 36 : half + 60, width = w - left - 14;
    const b = view.frame("b", {box: [left, narrow ? 226 : 24, width, narrow ? view.height - 272 : view.height - 70], x: [Math.log10(0.02), Math.log10(1.5)], y: [0, 6],
      xticks: [0.02, 0.05, 0.1, 0.2, 0.5, 1].map(Math.log10), xnames: v => String(+(10 ** v).toFixed(2)), title: "Where the KL goes, in nats", xlabel: "standard deviation of a code"});
    /* stacked: what is information lies under the ceiling, the marginal KL on top of it makes up the average KL */
    const at = Math.log10(s.sd), wide = 0.035;
    if (!view.hidden) {
      const {sds, rows} = this.sweep(s, c), whole = rows.map(r => Math.min(6, r.average_kl)), known = rows.map(r => r.information);
      b.area("mk", [...sds, ...sds.slice().reverse()], [...whole, ...known.slice().reverse()], {color: "red", opacity: 0.3}, known[0]);
      b.area("in", sds, known, {color: "blue", opacity: 0.3});
      b.line("inl", sds, known, {color: "blue"});
      b.line("av", sds, whole, {color: "purple", dash: "8 3 2 3"});
      b.hline("ln", t.log_n, {color: "ink", dash: "2 3", width: 1.5});
    }
    b.bar("bi", at - wide, at + wide, 0, Math.min(6, t.information), {color: "blue"});
    b.bar("bm", at - wide, at + wide, t.information, Math.max(0, Math.min(6, t.average_kl) - t.information), {color: "red"});
    if (!view.hidden) b.text("lnl", Math.log10(1.48), t.log_n + 0.12, M.fill("ceiling log {n} = {l:.3f}", {n: s.n, l: t.log_n}), {anchor: "end"});
    ["purple:average_kl:average KL, dashed", "red:marginal_kl:marginal KL", "blue:information:information"].forEach((line, i) => {
      const [color, key, name] = line.split(":");
      view.text("k" + i, b.left + b.width, b.top + 12 + 17 * i, M.fill(name + " {v:.3f}", {v: t[key]}), {color, anchor: "end"});
    });
    if (view.guess !== undefined) {
      b.hline("g", view.guess, {color: "green", width: 2});
      b.text("gl", Math.log10(0.021), view.guess + 0.12, "your guess", {color: "green", anchor: "start"});
    }
  },
});
