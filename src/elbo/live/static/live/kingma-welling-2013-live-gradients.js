/* Two estimators of one gradient from the same shipped noise. */
elboLive.define("kingma-welling-2013-live-gradients", {
  each({mean, sd, case: which}, {unit}, sent) {
    const view = new DataView(sent.buffer, sent.byteOffset), n = sent.length / 2, f = which < 2 ? z => z * z : z => Math.cos(3 * z);
    const eps = this.eps || (this.eps = Array.from({length: n}, (_, i) => view.getInt16(2 * i, true) * unit));
    const values = eps.map(e => f(mean + sd * e)), total = elboMaths.sum(values);
    return {
      score: eps.map((e, i) => (values[i] - (which % 2 ? (total - values[i]) / (n - 1) : 0)) * e / sd),
      path: eps.map(e => { const z = mean + sd * e; return which < 2 ? 2 * z : -3 * Math.sin(3 * z); }),
    };
  },
  terms(s, c, sent) {
    const M = elboMaths, {score, path} = this.each(s, c, sent), n = score.length, a = M.variance(score), b = M.variance(path);
    return {exact: s.case < 2 ? 2 * s.mean : -3 * Math.sin(3 * s.mean) * Math.exp(-4.5 * s.sd ** 2),
      score: M.mean(score), score_se: Math.sqrt(a / n), path: M.mean(path), path_se: Math.sqrt(b / n), ratio: a / b};
  },
  draw(view, s, t, c, set, sent) {
    const M = elboMaths, each = this.each(s, c, sent), bins = view.width < 560 ? 31 : 51, w = view.width, h = (view.height - 116) / 2;
    const reach = 3 * Math.sqrt(each.score.length) * Math.max(t.score_se, t.path_se), low = t.exact - reach, step = 2 * reach / bins;
    const all = ["score", "path"].map(k => {
      const counts = new Array(bins).fill(0);
      for (const v of each[k]) counts[Math.min(bins - 1, Math.max(0, Math.floor((v - low) / step)))]++;
      return counts;
    });
    [["score", "Score function", "red"], ["path", "Through the draw", "blue"]].forEach(([k, name, color], i) => {
      const top = Math.max(...all[i]) * 1.12, f = view.frame(k, {box: [44, 24 + i * (h + 46), w - 60, h - (i ? 0 : 0)], x: [low, low + 2 * reach], y: [0, top],
        title: M.fill(`${name}: {m:.3f} \u00b1 {e:.3f}`, {m: t[k], e: t[k + "_se"]}), xlabel: i ? "gradient from one draw" : "", yticks: []});
      let d = "";
      all[i].forEach((n, j) => { if (n) d += `M${(f.X(low + j * step) + 0.5).toFixed(1)} ${f.Y(0).toFixed(1)}V${f.Y(n).toFixed(1)}H${(f.X(low + (j + 1) * step) - 0.5).toFixed(1)}V${f.Y(0).toFixed(1)}Z`; });
      view.node(k + ".bars", "path", {d, style: `fill:var(--live-${color})`});
      f.vline("exact", t.exact, {color: "ink", width: 1.5});
      if (!i) view.text("lex", f.X(t.exact) + 6, f.top + 12, "exact", {anchor: "start"});
    });
  },
});
