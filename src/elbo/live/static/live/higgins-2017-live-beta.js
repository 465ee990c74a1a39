/* Two paths of posteriors: a tempered likelihood, and another prior. */
elboLive.define("higgins-2017-live-beta", {
  tempered: (w, beta, x) => ({mean: w * x / (beta + w * w), sd: Math.sqrt(beta / (beta + w * w))}),
  imitated: (w, t, x) => ({mean: w * x / (1 / t + w * w), sd: 1 / Math.sqrt(1 / t + w * w)}),
  terms({beta, t, w}, {datum}) {
    const M = elboMaths, star = this.tempered(w, beta, datum), dot = this.imitated(w, t, datum);
    const away = p => M.klNormal(p.mean, p.sd, star.mean, star.sd);
    const least = away(this.imitated(w, Math.exp(M.golden(l => away(this.imitated(w, Math.exp(l), datum)), -6, 6)), datum));
    const same = 1 + w * w / beta - w * w;
    const off = same > 0 ? this.imitated(w, 1 / same, datum).mean / star.mean : Infinity;
    return {mean: star.mean, sd: star.sd, mean_t: dot.mean, sd_t: dot.sd, distance: away(dot), least,
      variance: star.sd ** 2, variance_t: dot.sd ** 2, off, same: same > 0 ? M.fill("One of the right variance has its mean off by the factor {off:.2f}.", {off})
        : "No prior is wide enough for the variance."};
  },
  draw(view, s, t, {datum}, set) {
    const M = elboMaths, w = view.width, f = view.frame("a", {box: [44, 24, w - 60, view.height - 70], x: [0, 2.2], y: [0, 1.12],
      title: "Every posterior is a point", xlabel: "mean of the posterior"});
    view.text("yl", 44, 40, "its variance \u2191", {color: "axis", anchor: "start"});
    const path = (name, all, look) => {
      const list = all.filter(p => p.mean <= 2.2 && p.sd ** 2 <= 1.12);
      f.line(name, list.map(p => p.mean), list.map(p => p.sd ** 2), look);
    };
    const logs = (a, b) => M.grid(Math.log(a), Math.log(b), 81).map(Math.exp);
    path("beta", logs(0.02, 60).map(v => this.tempered(s.w, v, datum)), {color: "blue", width: 2.4});
    path("prior", logs(0.002, 300).map(v => this.imitated(s.w, v, datum)), {color: "green", dash: "8 3 2 3", width: 2.4});
    const one = this.tempered(s.w, 1, datum), star = [];
    f.dot("one", one.mean, one.sd ** 2, {color: "ink", r: 4.5});
    const side = f.X(one.mean) - f.left > 150 ? -1 : 1;
    view.text("onel", f.X(one.mean) + 12 * side, f.Y(one.sd ** 2) + 4, "exact: \u03b2 = 1, t = 1", {anchor: side < 0 ? "end" : "start"});
    for (let i = 0; i < 10; i++) {
      const r = i % 2 ? 4.5 : 11, a = i * Math.PI / 5 - Math.PI / 2;
      star.push((f.X(t.mean) + r * Math.cos(a)).toFixed(1) + " " + (f.Y(t.sd ** 2) + r * Math.sin(a)).toFixed(1));
    }
    view.node("star", "path", {d: "M" + star.join("L") + "Z", style: "fill:var(--live-blue);stroke:var(--live-ground);stroke-width:1"});
    view.text("starl", f.X(t.mean), f.Y(t.sd ** 2) - 15, "\u03b2 = " + s.beta, {color: "blue", bold: true});
    f.dot("dot", t.mean_t, t.sd_t ** 2, {color: "green", r: 6});
    view.text("dotl", f.X(Math.min(t.mean_t, 2.2)), f.Y(Math.min(t.sd_t ** 2, 1.1)) + (t.sd_t ** 2 < 0.16 ? -16 : 30), "prior variance t = " + s.t,
      {color: "green", bold: true, anchor: t.mean_t > 1.3 ? "end" : "start"});
    f.handle("h", t.mean_t, t.sd_t ** 2, x => {
      const precision = s.w * datum / Math.max(x, 0.005) - s.w * s.w;
      set({t: precision > 0.0625 ? 1 / precision : 16});
    });
  },
});
