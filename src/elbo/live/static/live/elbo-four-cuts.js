/* One number, four cuts. */
elboLive.define("elbo-four-cuts", {
  terms({mean, sd}, {data, noise}) {
    const M = elboMaths, each = f => M.mean(data.map(f)), at = x => mean * x / data[data.length - 1];
    const spread = Math.sqrt(noise), exact = Math.sqrt(noise / (1 + noise));
    const reconstruction = each(x => M.logNormal(x, at(x), spread) - sd * sd / (2 * noise));
    const energy = -reconstruction - each(x => M.logNormal(at(x), 0, 1) - sd * sd / 2);
    const evidence = each(x => M.logNormal(x, 0, Math.sqrt(1 + noise)));
    const gap = each(x => M.klNormal(at(x), sd, x / (1 + noise), exact));
    const split = M.surgery(data.map(at), sd);
    return {
      elbo: evidence - gap, evidence, posterior_kl: gap, energy, entropy: 0.5 * (1 + M.LOG_2PI) + Math.log(sd),
      reconstruction, prior_kl: split.average_kl, information: split.information, marginal_kl: split.marginal_kl,
    };
  },
  /* name, shorter name, term, sign, colour */
  cuts: [
    [["log p(x)", "log p(x)", "evidence", 1, "ink"], ["KL(q \u2016 posterior)", "KL(q \u2016 posterior)", "posterior_kl", -1, "purple"]],
    [["energy", "energy", "energy", -1, "brown"], ["entropy", "entropy", "entropy", 1, "violet"]],
    [["reconstruction", "reconstruction", "reconstruction", 1, "green"], ["KL(q \u2016 prior)", "KL(q \u2016 prior)", "prior_kl", -1, "purple"]],
    [["reconstruction", "rec.", "reconstruction", 1, "green"], ["information", "information", "information", -1, "blue"], ["marginal KL", "marg. KL", "marginal_kl", -1, "red"]],
  ],
  draw(view, s, t, {data, noise}, set) {
    const M = elboMaths, narrow = view.width < 560, w = view.width;
    const a = view.frame("a", {box: narrow ? [8, 24, w - 16, 130] : [8, 24, w * 0.3, view.height - 70], x: [-3.2, 3.2], y: [0, 1.1],
      title: "Codes of four data", xlabel: "code z", yticks: []});
    const z = M.grid(-3.2, 3.2, 161), exact = Math.sqrt(noise / (1 + noise)), last = data[data.length - 1];
    data.forEach((x, i) => {
      a.line("p" + i, z, z.map(v => Math.exp(M.logNormal(v, x / (1 + noise), exact))), {color: "ink", dash: "4 3", width: 1.2});
      a.line("q" + i, z, z.map(v => Math.min(1.1, Math.exp(M.logNormal(v, s.mean * x / last, s.sd)))), {color: "blue"});
    });
    a.text("lp", -3.1, 1.03, "posterior, dashed", {color: "ink", anchor: "start"});
    a.text("lq", -3.1, narrow ? 0.85 : 0.96, "q", {color: "blue", anchor: "start"});
    const peak = Math.min(1.05, Math.exp(M.logNormal(0, 0, s.sd)));
    a.handle("h", s.mean, peak, (x, y) => set({mean: x, sd: Math.exp(-0.5 * M.LOG_2PI) / Math.max(0.26, y)}));
    const b = view.frame("b", {box: narrow ? [8, 224, w - 16, view.height - 268] : [w * 0.3 + 36, 24, w * 0.7 - 50, view.height - 70],
      x: [-5.6, 0.1], y: [3.9, 0], title: M.fill("ELBO {elbo:.3f}, cut four ways", t), xlabel: "nats per datum", yticks: []});
    const tops = [0.02, 0.02, 0.02, 0.02].map((v, i) => 0.9 * i + v + (i > s.cut ? 0.18 : 0));
    this.cuts.forEach((pieces, row) => {
      const on = row === s.cut, lane = (on ? 0.6 : 0.42) / pieces.length;
      let from = 0;
      pieces.forEach(([, , term, sign, color], i) => {
        const to = from + sign * t[term];
        b.bar(row + "b" + i, from, to, tops[row] + 0.3 + i * lane, lane - 0.03, {color, opacity: on ? 1 : 0.5});
        from = to;
      });
    });
    b.vline("elbo", t.elbo, {color: "ink", dash: "2 2", width: 1.4});
    this.cuts.forEach((pieces, row) => view.words("t" + row, b.left, b.Y(tops[row] + 0.22), pieces.map(([long, short, term, sign, color], i) =>
      [M.fill(`${sign < 0 ? " \u2212 " : i ? " + " : ""}${narrow ? short : long} {v:.3f}`, {v: t[term]}), color])));
  },
});
