/* Two directions of KL on two modes; a factorised Gaussian on a correlated pair. */
elboLive.define("blei-2017-live-two-kl", {
  p(separation, {weights, width}) {
    const M = elboMaths, [a, b] = weights.map(Math.log), low = -separation / 2, high = separation / 2;
    return z => { const l = a + M.logNormal(z, low, width), r = b + M.logNormal(z, high, width), top = Math.max(l, r);
      return top + Math.log1p(Math.exp(Math.min(l, r) - top)); };
  },
  over(mean, sd, f) {
    const M = elboMaths;
    return M.integrate(z => { const l = M.logNormal(z, mean, sd); return Math.exp(l) * f(z, l); }, mean - 12 * sd, mean + 12 * sd, Math.max(320, Math.ceil(24 * sd / 0.03)));
  },
  exclusive(mean, sd, separation, c) {
    const p = this.p(separation, c);
    return this.over(mean, sd, (z, l) => l - p(z));
  },
  inclusive(mean, sd, separation, c) {
    const p = this.p(separation, c), M = elboMaths, at = [-separation / 2, separation / 2];
    if (this.forP !== separation) this.forP = separation, this.minusEntropy = M.sum(c.weights.map((w, i) => w * this.over(at[i], c.width, z => p(z))));
    return this.minusEntropy - M.sum(c.weights.map((w, i) => w * (M.logNormal(at[i], mean, sd) - 0.5 * (c.width / sd) ** 2)));
  },
  /* Minimum of KL(q || p) from each mode: half steps to the fixed point of 1/s^2 = -E(log p)'', E(log p)' = 0. */
  seek(separation, c) {
    if (this.at === separation) return this.found;
    const M = elboMaths, p = this.p(separation, c), v = c.width ** 2, high = separation / 2, found = [];
    for (const start of [-high, high]) {
      let mean = start, sd = c.width;
      for (let i = 0; i < 400; i++) {
        let slope = 0, bend = 0;
        const h = sd / 12;
        for (let z = mean - 8 * sd; z <= mean + 8 * sd; z += h) {
          const weight = Math.exp(M.logNormal(z, mean, sd)) * h;
          const right = Math.exp(Math.log(c.weights[1]) + M.logNormal(z, high, c.width) - p(z));
          slope -= weight * (z + high - right * separation) / v;
          bend += weight * (right * (1 - right) * separation ** 2 / v ** 2 - 1 / v);
        }
        const step = 0.5 * sd * sd * slope, next = 1 / Math.sqrt(0.5 / (sd * sd) - 0.5 * bend), moved = Math.abs(step) + Math.abs(next - sd);
        mean += step;
        sd = next;
        if (moved < 1e-13) break;
      }
      found.push({mean, sd, kl: this.exclusive(mean, sd, separation, c)});
    }
    this.at = separation;
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
    const z = M.grid(-6, 6, 301), p = this.p(s.separation, c), curve = (m, d) => z.map(v => Math.exp(M.logNormal(v, m, d)));
    const a = view.frame("a", {box: [38, 24, w - 50, h - 70], x: [-6, 6], y: [0, 0.8], xlabel: "z", title: "Density", yticks: [0, 0.2, 0.4, 0.6, 0.8]});
    a.line("p", z, z.map(v => Math.exp(p(v))), {color: "ink", width: 2.2});
    if (!view.hidden) {
      a.line("seek", z, curve(t.seek_mean, t.seek_sd), {color: "blue", dash: "2 3", width: 1.6});
      a.line("cover", z, curve(t.cover_mean, t.cover_sd), {color: "green", dash: "6 3", width: 1.6});
      a.text("lc", -5.9, 0.69, "least KL(p \u2016 q), dashed", {color: "green", anchor: "start"});
      a.text("ls", -5.9, 0.76, "least KL(q \u2016 p), dotted", {color: "blue", anchor: "start"});
    }
    const q = curve(s.mean, s.sd).map(v => Math.min(v, 0.82));
    a.area("qa", z, q, {color: "blue", opacity: 0.16});
    a.line("q", z, q, {color: "blue", width: 2.4});
    const peak = Math.min(0.78, Math.exp(M.logNormal(0, 0, s.sd)));
    a.text("lq", s.mean + 0.35, peak - 0.005, "q", {color: "blue", bold: true, anchor: "start"});
    a.text("lp", s.separation / 2 + 0.75, 0.2, "p", {anchor: "start", bold: true});
    a.handle("h", s.mean, peak, (x, y) => set({mean: x, sd: Math.exp(-0.5 * M.LOG_2PI) / Math.max(0.1, y)}));
  },
});
