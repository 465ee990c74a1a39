/* Two directions of KL on two modes; a factorised Gaussian on a correlated pair. */
elboLive.define("blei-2017-live-two-kl", {
  /* log p(z) = c - (z + h)^2 / 2v + softplus(t), t = log(w1 / w0) + separation z / v: one exponential a point. */
  soft: t => Math.max(t, 0) + Math.log1p(Math.exp(-Math.abs(t))),
  at: (separation, {weights: [u, w], width}) => ({slope: separation / width ** 2, shift: Math.log(w / u)}),
  p(separation, c) {
    const {slope, shift} = this.at(separation, c), one = Math.log(c.weights[0]);
    return z => one + elboMaths.logNormal(z, -separation / 2, c.width) + this.soft(shift + slope * z);
  },
  /* E log p under N(mean, sd^2); the step is fine against sd and against the bend of the softplus. */
  expected(mean, sd, separation, c) {
    const M = elboMaths, {slope, shift} = this.at(separation, c), n = Math.ceil(16 * Math.max(4, sd * slope * 1.8)), h = 16 / n;
    let soft = 0;
    for (let i = 0; i <= n; i++) { const u = i * h - 8; soft += Math.exp(-0.5 * u * u) * this.soft(shift + slope * (mean + sd * u)); }
    return Math.log(c.weights[0]) + M.logNormal(mean, -separation / 2, c.width) - 0.5 * (sd / c.width) ** 2 + soft * h * M.bell(0, 0, 1);
  },
  exclusive(mean, sd, separation, c) { return -0.5 - 0.5 * elboMaths.LOG_2PI - Math.log(sd) - this.expected(mean, sd, separation, c); },
  inclusive(mean, sd, separation, c) {
    const M = elboMaths, at = [-separation / 2, separation / 2];
    if (this.forP !== separation) this.forP = separation, this.minusEntropy = M.sum(c.weights.map((w, i) => w * this.expected(at[i], c.width, separation, c)));
    return this.minusEntropy - M.sum(c.weights.map((w, i) => w * (M.logNormal(at[i], mean, sd) - 0.5 * (c.width / sd) ** 2)));
  },
  /* Minimum of KL(q || p) from each mode: half steps to the fixed point of 1/s^2 = -E(log p)'', E(log p)' = 0. */
  seek(separation, c) {
    if (this.sought === separation) return this.found;
    const M = elboMaths, v = c.width ** 2, high = separation / 2, found = [], {slope, shift} = this.at(separation, c), n = 192;
    const us = M.grid(-8, 8, n + 1), ws = us.map(u => M.bell(u, 0, 1) * 16 / n);
    for (const start of [-high, high]) {
      let mean = start, sd = c.width;
      for (let i = 0; i < 400; i++) {
        let right = 0, bend = 0;
        for (let j = 0; j <= n; j++) {
          const r = 1 / (1 + Math.exp(-shift - slope * (mean + sd * us[j])));
          right += ws[j] * r;
          bend += ws[j] * r * (1 - r);
        }
        const step = 0.5 * sd * sd * (slope * right - (mean + high) / v), next = 1 / Math.sqrt(0.5 / (sd * sd) + 0.5 * (1 / v - slope * slope * bend));
        const moved = Math.abs(step) + Math.abs(next - sd);
        mean += step;
        sd = next;
        if (moved < 1e-13) break;
      }
      found.push({mean, sd, kl: this.exclusive(mean, sd, separation, c)});
    }
    this.sought = separation;
    return this.found = found[1].kl < found[0].kl - 1e-9 ? found[1] : found[0];
  },
  variance(rho, alpha) {
    const b = 2 * alpha - 1, v = alpha * (1 - rho * rho), root = Math.sqrt(b * b + 4 * (1 - alpha) * v);
    return b > 0 ? 2 * v / (b + root) : (root - b) / (2 * (1 - alpha));
  },
  terms(s, c) {
    const [u, w] = c.weights;
    if (s.tab) {
      const variance = this.variance(s.rho, 1 - s.a), a = 1 - s.a;
      const least = elboMaths.sum([1 + s.rho, 1 - s.rho].map(l => a === 1 ? elboMaths.klNormal(0, Math.sqrt(variance), 0, Math.sqrt(l))
        : -0.5 / (a - 1) * (Math.log(a * l + (1 - a) * variance) - (1 - a) * Math.log(variance) - a * Math.log(l))));
      return {variance, conditional: 1 - s.rho * s.rho, least};
    }
    const seek = this.seek(s.separation, c), cover = {mean: s.separation / 2 * (w - u), sd: Math.sqrt(c.width ** 2 + s.separation ** 2 * u * w)};
    return {
      exclusive: this.exclusive(s.mean, s.sd, s.separation, c), inclusive: this.inclusive(s.mean, s.sd, s.separation, c),
      best_exclusive: seek.kl, best_inclusive: this.inclusive(cover.mean, cover.sd, s.separation, c),
      seek_mean: seek.mean, seek_sd: seek.sd, cover_mean: cover.mean, cover_sd: cover.sd,
    };
  },
  draw(view, s, t, c, set) {
    const M = elboMaths, w = view.width, h = view.height;
    if (s.tab) {
      const side = Math.min(w - 120, h - 70), a = view.frame("t", {box: [(w - side) / 2, 24, side, side], x: [-1.7, 1.7], y: [-1.7, 1.7], xlabel: "first", title: "One standard deviation"});
      const turn = M.grid(0, 2 * Math.PI, 121), A = turn.map(v => Math.sqrt(1 + s.rho) * Math.cos(v)), B = turn.map(v => Math.sqrt(1 - s.rho) * Math.sin(v));
      const circle = (name, v, p) => a.line(name, turn.map(u => Math.sqrt(v) * Math.cos(u)), turn.map(u => Math.sqrt(v) * Math.sin(u)), p);
      a.line("p", A.map((v, i) => (v - B[i]) / Math.SQRT2), A.map((v, i) => (v + B[i]) / Math.SQRT2), {color: "ink"});
      circle("cover", 1, {color: "green", dash: "6 3", width: 1.4});
      circle("seek", t.conditional, {color: "blue", dash: "2 3", width: 1.4});
      circle("q", t.variance, {color: "blue", width: 3});
      a.text("lp", -1.05, -1.2, "p", {bold: true});
      a.text("lq", 0, -Math.sqrt(t.variance) - 0.2, "q", {color: "blue", bold: true});
      a.text("lc", 0.8, -0.85, "least KL(p \u2016 q)", {color: "green", anchor: "start"});
      a.handle("h", Math.sqrt((1 + s.rho) / 2), Math.sqrt((1 + s.rho) / 2), (x, y) => set({rho: ((x + y) / 2) ** 2 * 2 - 1}));
      return;
    }
    const z = M.grid(-6, 6, 241), p = this.p(s.separation, c), curve = (m, d) => z.map(v => M.bell(v, m, d));
    const a = view.frame("a", {box: [38, 24, w - 50, h - 70], x: [-6, 6], y: [0, 0.8], xlabel: "z", title: "Density", yticks: [0, 0.2, 0.4, 0.6, 0.8]});
    a.line("p", z, z.map(v => Math.exp(p(v))), {color: "ink", width: 2.2});
    const q = curve(s.mean, s.sd).map(v => Math.min(v, 0.82));
    a.area("qa", z, q, {color: "blue", opacity: 0.16});
    a.line("q", z, q, {color: "blue", width: 3.4, opacity: 0.45});
    if (!view.hidden) {
      /* names on the side that q leaves free */
      const free = s.mean < 0 ? 1 : -1, anchor = free < 0 ? "start" : "end";
      a.line("seek", z, curve(t.seek_mean, t.seek_sd), {color: "blue", dash: "2 3", width: 2});
      a.line("cover", z, curve(t.cover_mean, t.cover_sd), {color: "green", dash: "6 3", width: 1.6});
      a.text("lc", 5.9 * free, 0.68, "least KL(p \u2016 q), dashed", {color: "green", anchor});
      a.text("ls", 5.9 * free, 0.76, "least KL(q \u2016 p), dotted", {color: "blue", anchor});
    }
    const peak = Math.min(0.78, M.bell(0, 0, s.sd));
    a.text("lq", s.mean + 0.35, peak - 0.005, "q", {color: "blue", bold: true, anchor: "start"});
    a.text("lp", s.separation / 2 + 0.75, 0.2, "p", {anchor: "start", bold: true});
    a.handle("h", s.mean, peak, (x, y) => set({mean: x, sd: M.bell(0, 0, 1) / Math.max(0.1, y)}));
  },
});
