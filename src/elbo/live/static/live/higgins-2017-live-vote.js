/* Committed scores of seven representations over the steps of a classifier. */
elboLive.define("higgins-2017-live-vote", {
  terms({steps, seed}, {scores, keys, stops, ticks}) {
    const at = stops.indexOf(steps), found = Object.fromEntries(Object.values(scores).map((all, i) => [keys[i], all[seed][at]])), gap = found.pca - found.vae;
    return {...found, words: `PCA is ${gap > 0 ? "ahead of" : gap < 0 ? "behind" : "level with"} the VAE`, stop: steps ? `after ${ticks[at]} steps` : "at its end"};
  },
  table(s, t, {scores, stops}) { return [["representation", ...stops.map(n => n || "end")], ...Object.entries(scores).map(([n, all]) => [n, ...all[s.seed]])]; },
  draw(view, s, t, {scores, keys, stops, ticks}, set) {
    const names = Object.keys(scores), narrow = view.width < 560, room = narrow ? 138 : 190, colors = ["ink", "ink", "green", "purple", "grey", "red", "blue"];
    const places = stops.map((_, i) => i), at = stops.indexOf(s.steps);
    const f = view.frame("a", {box: [34, 24, view.width - room - 44, view.height - 70], x: [0, stops.length - 1], y: [15, 102], xticks: places.filter(i => !narrow || i % 2),
      xnames: i => narrow || i === stops.length - 1 ? ticks[i].replace("the ", "").replace(",000", "k") : ticks[i].replace(",000", "k"), title: "Percent correct", xlabel: "steps of the classifier"});
    f.hline("chance", 25, {color: "axis", dash: "2 3"});
    f.text("cl", stops.length - 1, 20, "chance", {color: "axis", anchor: "end"});
    names.forEach((name, i) => {
      const main = keys[i] === "vae" || keys[i] === "pca";
      scores[name].forEach((line, seed) => { if (seed !== s.seed && main) f.line("o" + i + seed, places, line, {color: colors[i], width: 1, opacity: 0.4}); });
      f.line("l" + i, places, scores[name][s.seed], {color: colors[i], width: main ? 3 : 1.6, dash: ["none", "6 3", "none", "8 3 2 3", "2 3", "none", "none"][i]});
    });
    f.vline("at", at, {color: "ink", dash: "2 2"});
    names.forEach((name, i) => f.dot("d" + i, at, t[keys[i]], {color: colors[i], r: 4}));
    /* the ranking at this stop */
    const left = f.left + f.width + 14;
    names.map((_, i) => i).sort((a, b) => t[keys[b]] - t[keys[a]]).forEach((i, rank) => {
      const y = f.top + 14 + rank * 24, bold = keys[i] === "vae" || keys[i] === "pca";
      view.text("n" + i, left, y, names[i].replace(/ \(beta = \d\)/, narrow ? "" : "$&"), {anchor: "start", color: colors[i], bold});
      view.text("v" + i, view.width - 4, y, t[keys[i]].toFixed(1), {anchor: "end", color: colors[i], bold});
    });
    f.handle("h", at, 15, x => set({steps: stops[Math.max(0, Math.min(stops.length - 1, Math.round(x)))]}));
  },
});
