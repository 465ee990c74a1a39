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
      title: "q(z) over p(z)", xlabel: "code z"});
    a.area("qa", z, q, {color: "blue", opacity: 0.22});
    a.line("q", z, q, {color: "blue", width: 1.6});
    a.line("p", z, z.map(v => Math.exp(M.logNormal(v, 0, 1))), {color: "ink", dash: "5 3", width: 1.5});
    a.text("ql", -3.9, top * 0.92, "q(z), " + s.n + " codes", {color: "blue", anchor: "start"});
    a.text("pl", -3.9, top * (narrow ? 0.78 : 0.85), "p(z), dashed", {anchor: "start"});
    a.handle("h", means[s.n - 1], 0, x => set({spread: x / c.codes[s.n][s.n - 1]}));
    const left = narrow ? 36 : half + 60, width = w - left - 14;
    const b = view.frame("b", {box: [left, narrow ? 226 : 24, width, narrow ? view.height - 272 : view.height - 70], x: [Math.log10(0.02), Math.log10(1.5)], y: [0, 6],
      xticks: [0.02, 0.05, 0.1, 0.2, 0.5, 1].map(Math.log10), xnames: v => String(+(10 ** v).toFixed(2)), title: "Where the KL goes, in nats", xlabel: "standard deviation of a code"});
    const at = Math.log10(s.sd);
    if (!view.hidden) {
      const {sds, rows} = this.sweep(s, c);
      b.line("av", sds, rows.map(r => r.average_kl), {color: "purple", dash: "8 3 2 3"});
      b.line("in", sds, rows.map(r => r.information), {color: "blue"});
      b.line("mk", sds, rows.map(r => r.marginal_kl), {color: "red", dash: "6 3"});
      b.hline("ln", t.log_n, {color: "grey", dash: "2 3", width: 1.5});
      b.text("lnl", Math.log10(1.5), t.log_n + 0.12, "log " + s.n, {color: "grey", anchor: "end"});
    }
    b.vline("at", at, {color: "axis"});
    b.dot("d1", at, t.average_kl, {color: "purple"});
    b.dot("d2", at, t.information, {color: "blue"});
    b.dot("d3", at, t.marginal_kl, {color: "red", hollow: true});
    const room = b.X(at) - b.left > 90, right = s.sd < 0.35, side = right ? "start" : "end", step = right ? 9 : -9;
    view.text("l1", b.X(at) + step, b.Y(Math.min(t.average_kl, 6)) - 9, "average KL", {color: "purple", anchor: side});
    view.text("l2", b.X(at) + (room ? -9 : 9), b.Y(t.information) + 19, "information", {color: "blue", anchor: room ? "end" : "start"});
    view.text("l3", b.X(at) + step, b.Y(Math.min(t.marginal_kl, 6)) - 9, "marginal KL", {color: "red", anchor: side});
    if (view.guess !== undefined) {
      b.hline("g", view.guess, {color: "green", width: 2});
      b.text("gl", Math.log10(0.021), view.guess + 0.12, "your guess", {color: "green", anchor: "start"});
    }
  },
});
