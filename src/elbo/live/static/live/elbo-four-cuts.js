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
  cuts: [
    ["evidence \u2212 gap", ["log p(x)", "evidence", 1, "ink"], ["KL(q \u2016 posterior)", "posterior_kl", -1, "purple"]],
    ["entropy \u2212 energy", ["energy", "energy", -1, "brown"], ["entropy", "entropy", 1, "violet"]],
    ["reconstruction \u2212 penalty", ["reconstruction", "reconstruction", 1, "green"], ["KL(q \u2016 prior)", "prior_kl", -1, "purple"]],
    ["reconstruction \u2212 information \u2212 marginal KL", ["reconstruction", "reconstruction", 1, "green"],
      ["information", "information", -1, "blue"], ["marginal KL", "marginal_kl", -1, "red"]],
  ],
  draw(view, s, t, {data, noise}, set) {
    const M = elboMaths, narrow = view.width < 560, w = view.width;
    const a = view.frame("a", {box: narrow ? [8, 24, w - 16, 130] : [8, 24, w * 0.34, view.height - 70], x: [-3.2, 3.2], y: [0, 1.1],
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
    const b = view.frame("b", {box: narrow ? [8, 224, w - 16, view.height - 268] : [w * 0.34 + 40, 24, w * 0.66 - 56, view.height - 70],
      x: [-5.6, 1.6], y: [3.72, 0], title: "The same bar, cut four ways", xlabel: "nats per datum", yticks: []});
    let top = 0;
    this.cuts.forEach(([title, ...pieces], row) => {
      const on = row === s.cut, lane = on ? 0.27 : 0.13;
      b.text("t" + row, -5.55, top + 0.24, title, {anchor: "start", bold: on, color: on ? "ink" : "axis"});
      let from = 0;
      pieces.forEach(([name, term, sign, color], i) => {
        const to = from + sign * t[term], y = top + 0.34 + i * lane, left = b.X(Math.min(from, to)), label = `${name} ${M.fill(`{v:.3f}`, {v: t[term]})}`;
        b.bar(row + "b" + i, from, to, y, lane - 0.03, {color, opacity: on ? 1 : 0.5});
        const room = label.length * 6.9, right = b.X(Math.max(from, to, 0)) + 6;
        if (on) view.text("n" + i, left - b.left > room ? left - 6 : b.left + b.width - right > room ? right : b.left, b.Y(y + lane * 0.68), label,
          {color, anchor: left - b.left > room ? "end" : "start"});
        from = to;
      });
      top += 0.42 + pieces.length * lane + (on ? 0.12 : 0.08);
    });
    b.vline("elbo", t.elbo, {color: "ink", dash: "2 2", width: 1.4});
    view.text("now", b.X(t.elbo) - 6, b.top + b.height - 6, M.fill("ELBO {elbo:.3f}", t), {anchor: "end", bold: true});
  },
});
