/* A quantised decoder on its plane of codes: one byte a weight, a scale for every output. */
elboLive.define("kingma-welling-2013-live-latent-walk", {
  unpack({widths, codes, unit}, sent) {
    if (this.net) return this.net;
    const view = new DataView(sent.buffer, sent.byteOffset);
    let at = 0;
    const floats = n => Float64Array.from({length: n}, () => { const v = view.getFloat32(at, true); at += 4; return v; });
    const layers = widths.slice(1).map((outputs, i) => {
      const scale = floats(outputs), bias = floats(outputs), weight = Float64Array.from(new Int8Array(sent.buffer, sent.byteOffset + at, widths[i] * outputs));
      at += weight.length;
      return {scale, bias, weight, inputs: widths[i], outputs};
    });
    const numbers = () => Float64Array.from({length: 2 * codes}, () => { const v = view.getInt16(at, true) * unit; at += 2; return v; });
    const mean = numbers(), logVar = numbers();
    /* log N(z; mean, var) = scale - precision (z - mean)^2 / 2, for two latents together */
    const precision = logVar.map(l => Math.exp(-l)), scale = Array.from({length: codes}, (_, n) => -elboMaths.LOG_2PI - (logVar[2 * n] + logVar[2 * n + 1]) / 2);
    return this.net = {layers, mean, precision, scale};
  },
  decode(z, net) {
    let x = z;
    net.layers.forEach(({scale, bias, weight, inputs, outputs}, l) => {
      const y = new Float64Array(outputs);
      for (let i = 0; i < inputs; i++) for (let o = 0, v = x[i], w = i * outputs; o < outputs; o++) y[o] += v * weight[w + o];
      for (let o = 0; o < outputs; o++) { const v = y[o] * scale[o] + bias[o]; y[o] = l < net.layers.length - 1 ? Math.tanh(v) : 1 / (1 + Math.exp(-v)); }
      x = y;
    });
    return x;
  },
  terms({z1, z2}, c, sent) {
    const M = elboMaths, net = this.unpack(c, sent), pixels = this.pixels = this.decode([z1, z2], net), {mean, precision} = net;
    const logs = net.scale.map((s, n) => s - 0.5 * (precision[2 * n] * (z1 - mean[2 * n]) ** 2 + precision[2 * n + 1] * (z2 - mean[2 * n + 1]) ** 2));
    let ink = 0, doubt = 0;
    for (const p of pixels) { ink += p; if (p > 0 && p < 1) doubt -= p * Math.log2(p) + (1 - p) * Math.log1p(-p) / Math.LN2; }
    return {log_prior: M.logNormal(z1, 0, 1) + M.logNormal(z2, 0, 1), log_aggregate: M.logSumExp(logs) - Math.log(c.codes), ink: ink / 784, doubt: doubt / 784};
  },
  table() { return [["row", "column", "ink"], ...Array.from(this.pixels, (p, i) => [Math.floor(i / 28), i % 28, p])]; },
  draw(view, s, t, c, set, sent) {
    const M = elboMaths, net = this.unpack(c, sent), narrow = view.width < 560, W = view.width, side = narrow ? W - 60 : view.height - 70;
    const f = view.frame("a", {box: [38, 24, side, side], x: [-3.5, 3.5], y: [-3.5, 3.5], title: "Codes of 400 images", xlabel: "first latent"});
    let dots = this.side === side ? this.dots : "";
    if (!dots) for (let n = 0; n < c.codes; n++) {
      const x = net.mean[2 * n], y = net.mean[2 * n + 1];
      if (Math.abs(x) < 3.5 && Math.abs(y) < 3.5) dots += `M${f.X(x).toFixed(1)} ${f.Y(y).toFixed(1)}h0`;
    }
    Object.assign(this, {side, dots});
    view.node("dots", "path", {d: dots, style: "stroke:var(--live-blue);stroke-width:4.5;stroke-linecap:round;opacity:.65;fill:none"});
    const turn = M.grid(0, 2 * Math.PI, 73);
    [1, 2].forEach(r => f.line("r" + r, turn.map(a => r * Math.cos(a)), turn.map(a => r * Math.sin(a)), {color: "ink", width: 1, dash: "4 3"}));
    view.text("pl", f.X(0), f.Y(2) - 5, "p(z): 2 sd", {});
    view.text("yl", 38, 40, "second latent \u2191", {color: "axis", anchor: "start"});
    f.handle("h", s.z1, s.z2, (x, y) => set({z1: x, z2: y}));
    const left = narrow ? (W - 150) / 2 : side + 38 + (W - side - 38 - 220) / 2 + 20, size = narrow ? 150 : Math.min(220, W - side - 80), top = narrow ? side + 86 : (view.height - size) / 2;
    const canvas = this.canvas || (this.canvas = Object.assign(document.createElement("canvas"), {width: 28, height: 28})), pen = canvas.getContext("2d"), image = pen.createImageData(28, 28);
    this.pixels.forEach((p, i) => { const v = 255 * (1 - p); image.data.set([v, v, v, 255], 4 * i); });
    pen.putImageData(image, 0, 0);
    view.text("tt", left, top - 9, "Decoded there", {anchor: "start", bold: true, size: 13});
    view.node("image", "image", {x: left.toFixed(1), y: top.toFixed(1), width: size, height: size, href: canvas.toDataURL(), style: "image-rendering:pixelated"});
    view.node("edge", "rect", {x: left.toFixed(1), y: top.toFixed(1), width: size, height: size, style: "fill:none;stroke:var(--live-axis)"});
  },
});
