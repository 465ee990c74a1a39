/* The gap of the family and the gap of the encoder; x = exp(z) + noise. */
elboLive.define("kingma-welling-2013-live-amortisation", {
  bound(x, m, s, noise) {
    const M = elboMaths, first = Math.exp(m + s * s / 2), second = Math.exp(2 * m + 2 * s * s);
    return -0.5 * (M.LOG_2PI + Math.log(noise) + (x * x - 2 * x * first + second) / noise) - M.klNormal(m, s, 0, 1);
  },
  joint: (x, z, noise) => elboMaths.logNormal(x, Math.exp(z), Math.sqrt(noise)) + elboMaths.logNormal(z, 0, 1),
  /* For a given width the bound rises, then falls with the mean. */
  best(x, noise) {
    const M = elboMaths, at = l => { const s = Math.exp(l); return M.golden(m => -this.bound(x, m, s, noise), -4, 2.5, 44); };
    const l = M.golden(l => -this.bound(x, at(l), Math.exp(l), noise), -3, 0.5, 40);
    return {mean: at(l), sd: Math.exp(l)};
  },
  gaps(x, {noise, encoder: [a, b, c, d]}) {
    const M = elboMaths, whole = Math.log(M.integrate(z => Math.exp(this.joint(x, z, noise)), -9, 4, 1600)), q = this.best(x, noise);
    const h = Math.log1p(Math.log1p(Math.exp(2 * x)) / 2), mean = a + b * h, sd = Math.exp(c + d * h), best = this.bound(x, q.mean, q.sd, noise), encoder = this.bound(x, mean, sd, noise);
    return {evidence: whole, best, encoder, approximation: whole - best, amortisation: best - encoder, q, own: {mean, sd}};
  },
  terms(s, c) { return this.gaps(s.x, c); },
  table(s, t, c) {
    const rows = this.curve(c);
    return [["x", "evidence", "approximation", "amortisation"], ...rows.map(r => [r.x, r.evidence, r.approximation, r.amortisation]), [s.x, t.evidence, t.approximation, t.amortisation]];
  },
  curve(c) { return this.kept || (this.kept = elboMaths.grid(-1, 5, 41).map(x => ({x, ...this.gaps(x, c)}))); },
  draw(view, s, t, c, set) {
    const M = elboMaths, narrow = view.width < 560, W = view.width, z = M.grid(-3.5, 2.5, 181), joint = z.map(v => Math.exp(this.joint(s.x, v, c.noise) - t.evidence));
    const bell = q => z.map(v => Math.exp(M.logNormal(v, q.mean, q.sd))), top = Math.max(...joint, ...bell(t.q)) * 1.1;
    const a = view.frame("a", {box: narrow ? [8, 24, W - 16, 180] : [8, 24, W * 0.46, view.height - 70], x: [-3.5, 2.5], y: [0, top], title: "Codes of this datum", xlabel: "code z", yticks: []});
    a.line("p", z, joint, {color: "ink", width: 2.2});
    a.line("q", z, bell(t.q), {color: "blue"});
    a.line("e", z, bell(t.own).map(v => Math.min(v, top)), {color: "red", dash: "7 3"});
    [["posterior", "ink"], ["best Gaussian", "blue"], ["the encoder's, dashed", "red"]].forEach(([n, color], i) => view.text("l" + i, s.x < 1 ? a.left + a.width : a.left + 4, a.top + 14 + 17 * i, n, {color, anchor: s.x < 1 ? "end" : "start"}));
    const rows = this.curve(c), xs = rows.map(r => r.x), left = narrow ? 40 : W * 0.46 + 70;
    const b = view.frame("b", {box: [left, narrow ? 266 : 24, W - left - 14, narrow ? view.height - 312 : view.height - 70], x: [-1, 5], y: [0, 0.6], title: "The two gaps, in nats", xlabel: "datum x"});
    b.area("both", xs, rows.map(r => Math.min(0.6, r.approximation + r.amortisation)), {color: "red", opacity: 0.75});
    b.area("one", xs, rows.map(r => r.approximation), {color: "blue", opacity: 1});
    b.vline("at", s.x, {color: "ink", dash: "2 2"});
    b.text("la", 0.4, 0.55, "amortisation", {color: "red", anchor: "start"});
    b.text("lb", 0.4, 0.5, "approximation", {color: "blue", anchor: "start"});
    b.handle("h", s.x, Math.min(0.6, t.approximation + t.amortisation), x => set({x}));
  },
});
