/* Coordinate ascent for two unit-variance components on a line. */
elboLive.define("blei-2017-live-cavi", {
  logits: (x, q, M) => q.mean.map((m, k) => -0.5 * ((x - m) ** 2 + q.var[k] + M.LOG_2PI) - Math.log(2)),
  bound(q, {data, sd}) {
    const M = elboMaths, kl = M.sum(q.mean.map((m, k) => M.klNormal(m, Math.sqrt(q.var[k]), 0, sd)));
    return M.sum(data.map(x => M.logSumExp(this.logits(x, q, M)))) - kl;
  },
  step(q, {data, sd}) {
    const M = elboMaths, n = [0, 0], s = [0, 0];
    for (const x of data) {
      const l = this.logits(x, q, M), top = M.logSumExp(l);
      l.forEach((v, k) => { const r = Math.exp(v - top); n[k] += r; s[k] += r * x; });
    }
    const vars = n.map(v => 1 / (1 / sd ** 2 + v));
    return {mean: s.map((v, k) => v * vars[k]), var: vars};
  },
  path({left, right}, c) {
    const key = left + "/" + right;
    if (this.key !== key) {
      const v = 1 / (1 / c.sd ** 2 + c.data.length / 2);
      let q = {mean: [left, right], var: [v, v]};
      this.key = key;
      this.kept = [];
      for (let i = 0; i <= c.most; i++) { this.kept.push({...q, elbo: this.bound(q, c)}); q = this.step(q, c); }
    }
    return this.kept;
  },
  terms(s, c) {
    const path = this.path(s, c), now = path[s.step];
    return {elbo: now.elbo, end: path[c.most].elbo, first: now.mean[0], second: now.mean[1], start: path[0].elbo};
  },
  table(s, t, c) { return [["step", "elbo", "mean_1", "mean_2"], ...this.path(s, c).map((q, i) => [i, q.elbo, ...q.mean])]; },
  buttons: [
    ["Step", "One step of coordinate ascent", s => ({step: Math.min(20, s.step + 1)})],
    ["Run", "On to the end", () => ({step: 20})],
  ],
  draw(view, s, t, c, set) {
    const M = elboMaths, narrow = view.width < 560, W = view.width, path = this.path(s, c), q = path[s.step], z = M.grid(-9, 9, 161);
    const a = view.frame("a", {box: narrow ? [8, 24, W - 16, 190] : [8, 24, W * 0.56, view.height - 70], x: [-9, 9], y: [-0.1, 0.24], title: "Data and two components", xlabel: "x", yticks: []});
    q.mean.forEach((m, k) => {
      const color = k ? "green" : "blue";
      a.line("c" + k, z, z.map(v => Math.exp(M.logNormal(v, m, 1)) / 2), {color, width: 2.2, dash: k ? "6 3" : "none"});
      const other = q.mean[1 - k], anchor = Math.abs(m - other) > 3 ? "middle" : m < other ? "end" : "start";
      a.text("cl" + k, Math.min(Math.max(m, -6.5), 6.5), 0.213, k ? "second" : "first", {color, bold: true, anchor});
    });
    /* every datum as a bar, divided as the two components share it */
    let first = "", second = "";
    for (const x of c.data) {
      const l = this.logits(x, q, M), r = Math.exp(l[0] - M.logSumExp(l)), top = a.Y(-0.005), high = 22;
      first += `M${a.X(x).toFixed(1)} ${top.toFixed(1)}v${(high * r).toFixed(1)}`;
      second += `M${a.X(x).toFixed(1)} ${(top + high * r).toFixed(1)}v${(high * (1 - r)).toFixed(1)}`;
    }
    view.node("r0", "path", {d: first, style: "stroke:var(--live-blue);stroke-width:4;fill:none"});
    view.node("r1", "path", {d: second, style: "stroke:var(--live-green);stroke-width:4;fill:none"});
    a.text("sl", (s.left + s.right) / 2, -0.092, Math.abs(s.left - s.right) > 4.5 ? "starts" : "", {color: "axis"});
    a.handle("h0", s.left, -0.085, x => set({left: x, step: 0}));
    a.handle("h1", s.right, -0.085, x => set({right: x, step: 0}));
    const steps = path.map((_, i) => i), bounds = path.map(p => p.elbo), high = bounds[c.most], low = Math.min(high - 5, bounds[1]), left = narrow ? 50 : W * 0.56 + 80;
    const b = view.frame("b", {box: [left, narrow ? 276 : 24, W - left - 14, narrow ? view.height - 322 : view.height - 70], x: [0, c.most], y: [low - 0.05 * (high - low), high + 0.1 * (high - low)],
      title: "The bound, in nats", xlabel: "step"});
    b.line("all", steps, bounds, {color: "axis", width: 1.2, dash: "2 3"});
    b.line("done", steps.slice(0, s.step + 1), bounds.slice(0, s.step + 1), {color: "ink", width: 2.2});
    b.dot("now", s.step, t.elbo, {color: "ink", r: 5});
  },
});
