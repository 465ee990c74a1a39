/* Mathematics of the live figures: pure functions, no page. In nats. tests/live holds them to the Python package. */
(function (root) {
  "use strict";
  const LOG_2PI = Math.log(2 * Math.PI);
  const sum = list => { let s = 0; for (const v of list) s += v; return s; };
  const mean = list => sum(list) / list.length;
  const variance = list => { const m = mean(list); return sum(list.map(v => (v - m) ** 2)) / (list.length - 1); };
  const logNormal = (z, m, s) => -0.5 * (((z - m) / s) ** 2 + LOG_2PI) - Math.log(s);
  const bell = (z, m, s) => Math.exp(-0.5 * ((z - m) / s) ** 2 - 0.5 * LOG_2PI) / s;
  const klNormal = (mq, sq, mp, sp) => {
    const r = 2 * Math.log(sq / sp);
    return 0.5 * (Math.expm1(r) - r + ((mq - mp) / sp) ** 2);
  };
  const logSumExp = list => {
    const top = Math.max(...list);
    return top === -Infinity ? top : top + Math.log(sum(list.map(v => Math.exp(v - top))));
  };
  const grid = (low, high, n) => Array.from({length: n}, (_, i) => low + (high - low) * i / (n - 1));
  /* Trapezoid rule; for what has died away at both ends it converges faster than any power of the step. */
  const integrate = (f, low, high, n) => {
    const h = (high - low) / n;
    let s = (f(low) + f(high)) / 2;
    for (let i = 1; i < n; i++) s += f(low + i * h);
    return s * h;
  };
  /* Average KL of N(means[n], sd) from N(0, 1), and its parts: Hoffman and Johnson (2016). means ascend. */
  function surgery(means, sd, perSd = 12, sds = 9) {
    const n = means.length, h = sd / perSd, reach = sds * sd;
    const low = means[0] - reach, points = Math.ceil((means[n - 1] + reach - low) / h) + 1;
    const q = new Float64Array(points), own = new Float64Array(points);
    for (const m of means) {
      const to = Math.min(points - 1, Math.floor((m + reach - low) / h));
      for (let i = Math.max(0, Math.ceil((m - reach - low) / h)); i <= to; i++) {
        const l = logNormal(low + i * h, m, sd), p = Math.exp(l) / n;
        q[i] += p;
        own[i] += p * l;
      }
    }
    let information = 0, marginal = 0;
    for (let i = 0; i < points; i++) if (q[i] > 0) {
      const log = Math.log(q[i]);
      information += own[i] - q[i] * log;
      marginal += q[i] * (log - logNormal(low + i * h, 0, 1));
    }
    return {average_kl: mean(means.map(m => klNormal(m, sd, 0, 1))), information: information * h, marginal_kl: marginal * h};
  }
  /* Minimum of a function of one number that falls, then rises. */
  function golden(f, low, high, steps = 90) {
    const g = (Math.sqrt(5) - 1) / 2;
    let a = low, b = high, c = b - g * (b - a), d = a + g * (b - a), fc = f(c), fd = f(d);
    for (let i = 0; i < steps; i++) {
      if (fc < fd) { b = d; d = c; fd = fc; c = b - g * (b - a); fc = f(c); }
      else { a = c; c = d; fc = fd; d = a + g * (b - a); fd = f(d); }
    }
    return (a + b) / 2;
  }
  const bytes = text => Uint8Array.from(typeof atob === "function" ? atob(text) : decode64(text), c => typeof c === "string" ? c.charCodeAt(0) : c);
  function decode64(text) {
    const code = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", out = [];
    let bits = 0, held = 0;
    for (const c of text.replace(/=+$/, "")) {
      held = (held << 6 | code.indexOf(c)) & 0xffffff;
      if ((bits += 6) >= 8) out.push(held >> (bits -= 8) & 255);
    }
    return out;
  }
  /* A template's {name} and {name:.3f}, as elbo.live.spec.fill has it. */
  function fill(template, values) {
    return template.replace(/\{(\w+)(?::\.(\d)f)?\}/g, (whole, name, digits) => {
      if (!Object.hasOwn(values, name)) return whole;
      const value = values[name];
      if (typeof value === "string") return value;
      if (!Number.isFinite(value)) return "infinite";
      const text = value.toFixed(digits || 0);
      return +text === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
    });
  }
  root.elboMaths = {LOG_2PI, sum, mean, variance, logNormal, bell, klNormal, logSumExp, grid, integrate, surgery, golden, bytes, fill};
})(globalThis);
