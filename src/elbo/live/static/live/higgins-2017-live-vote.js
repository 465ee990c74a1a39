/* Committed scores of seven representations under two classifiers. */
elboLive.define("higgins-2017-live-vote", {
  terms(s, {scores, keys}) {
    const found = Object.fromEntries(Object.values(scores).map((all, i) => [keys[i], all[s.classifier][s.network][s.draw]])), gap = found.pca - found.vae;
    return {...found, words: gap > 0 ? "PCA is ahead of the VAE" : gap < 0 ? "PCA is behind the VAE" : "PCA and the VAE are level"};
  },
  table(s, t, {scores}) { return [["representation", "percent"], ...Object.entries(scores).map(([n, all]) => [n, all[s.classifier][s.network][s.draw]])]; },
  draw(view, s, t, {scores, keys}) {
    const names = Object.keys(scores), left = view.width < 560 ? 128 : 160, colors = ["ink", "ink", "green", "purple", "grey", "red", "blue"];
    const f = view.frame("a", {box: [left, 24, view.width - left - 52, view.height - 70], x: [20, 100], y: [names.length - 0.5, -0.5], yticks: [],
      title: s.classifier ? "Classifier stopped early" : "Classifier fitted to its end", xlabel: "percent correct"});
    f.vline("chance", 25, {color: "axis", dash: "2 3"});
    f.text("cl", 25.8, -0.36, "chance", {color: "axis", anchor: "start"});
    names.forEach((name, i) => {
      const score = t[keys[i]];
      view.text("n" + i, left - 8, f.Y(i) + 4, name, {anchor: "end", color: colors[i], bold: keys[i] === "vae" || keys[i] === "pca"});
      f.hline("l" + i, i, {color: "axis", width: 0.4});
      let d = "";
      for (const v of scores[name][s.classifier].flat()) d += `M${f.X(v).toFixed(1)} ${f.Y(i).toFixed(1)}h0`;
      view.node("all" + i, "path", {d, style: `stroke:var(--live-${colors[i]});stroke-width:8;stroke-linecap:round;opacity:.3;fill:none`});
      f.dot("d" + i, score, i, {color: colors[i], r: 6});
      view.text("v" + i, view.width - 4, f.Y(i) + 4, score.toFixed(1), {anchor: "end", color: colors[i]});
    });
  },
});
