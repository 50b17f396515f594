"use strict";
/* Paired comparison of two networks over the same images, as srbench.stats does it. */

srb.stats = (() => {
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

  const deviation = (values) => {
    if (values.length < 2) return null;
    const m = mean(values);
    return Math.sqrt(values.reduce((s, v) => s + (v - m) ** 2, 0) / (values.length - 1));
  };

  /* Equal where both are infinite. */
  const differences = (a, b) => a.map((v, i) => (v === b[i] ? 0 : v - b[i]));

  /* Twice the rank of each size, so that mean ranks of ties are whole numbers. */
  const doubledRanks = (d) => {
    const n = d.length, sizes = d.map(Math.abs);
    const order = [...sizes.keys()].sort((i, j) => sizes[i] - sizes[j]);
    const doubled = new Array(n);
    for (let i = 0; i < n; ) {
      let j = i;
      while (j < n && sizes[order[j]] === sizes[order[i]]) j++;
      for (let k = i; k < j; k++) doubled[order[k]] = i + j + 1;
      i = j;
    }
    return doubled;
  };

  /* The chance of every sum of ranks that each have either sign. */
  const sums = (ranks) => {
    const chance = new Float64Array(ranks.reduce((a, b) => a + b, 0) + 1);
    chance[0] = 1;
    let reach = 0;
    for (const rank of ranks) {
      for (let k = reach + rank; k >= 0; k--) chance[k] = (chance[k] + (k >= rank ? chance[k - rank] : 0)) / 2;
      reach += rank;
    }
    return chance;
  };

  /* Two-sided p of the Wilcoxon signed-rank test: exact up to 200 images, ties included. */
  const wilcoxon = (difference) => {
    const d = difference.filter((v) => v !== 0);
    const n = d.length;
    if (!n) return 1;
    const doubled = doubledRanks(d);
    const total = doubled.reduce((a, b) => a + b, 0);
    const positive = doubled.reduce((s, r, i) => s + (d[i] > 0 ? r : 0), 0);
    const least = Math.min(positive, total - positive);
    if (n > 200) {
      const z = (total / 2 - least) / Math.sqrt(doubled.reduce((s, r) => s + r * r, 0) / 4);
      return erfc(z / Math.SQRT2);
    }
    const chance = sums(doubled);
    let tail = 0;
    for (let k = 0; k <= least; k++) tail += chance[k];
    return Math.min(1, 2 * tail);
  };

  /* Numerical Recipes' Chebyshev fit, relative error below 1.2e-7. */
  const erfc = (x) => {
    const t = 1 / (1 + 0.5 * Math.abs(x));
    const c = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277];
    const r = t * Math.exp(-x * x + c.reduceRight((s, v) => s * t + v, 0));
    return x >= 0 ? r : 2 - r;
  };

  /* Numbers from 0 to 1, the same ones each time. */
  const random = () => {
    let seed = 0x9e3779b9;
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  };

  /* Which images each resample draws, ``times`` rows of n: those of NumPy's default_rng(0).integers(0, n, (times, n)), so that an
     interval here is the one of srbench compare. PCG64 as it is seeded there, and Lemire's way to a number below n. */
  const TIMES = 1999, drawn = new Map();
  const resamples = (n) => {
    if (drawn.has(n)) return drawn.get(n);
    const low64 = (1n << 64n) - 1n, low128 = (1n << 128n) - 1n;
    const step = 0x2360ed051fc65da44385df649fccf645n, add = 87136372517582989555478159403783844777n;
    let state = 35399562948360463058890781895381311971n, high = -1;
    const next = () => {
      if (high >= 0) { const kept = high; high = -1; return kept; }
      state = (state * step + add) & low128;
      const mixed = ((state >> 64n) ^ state) & low64, turn = state >> 122n;
      const whole = ((mixed >> turn) | (mixed << (64n - turn))) & low64;
      high = Number(whole >> 32n);
      return Number(whole & 0xffffffffn);
    };
    const least = 4294967296 % n, found = new Uint16Array(TIMES * n);
    for (let i = 0; i < found.length; i++) {
      let product;
      do product = next() * n; while (product % 4294967296 < least);
      found[i] = Math.floor(product / 4294967296);
    }
    drawn.set(n, found);
    return found;
  };

  const T975 = [12.706, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622];

  /* 95 % interval of a mean: Student's t below 10 images, the studentised bootstrap from there on. */
  const interval = (values, times = TIMES) => {
    const n = values.length;
    if (n < 3 || !values.every(Number.isFinite)) return null;
    const m = mean(values);
    if (n < 10) {
      const reach = (T975[n - 2] * deviation(values)) / Math.sqrt(n);
      return [m - reach, m + reach];
    }
    const centred = values.map((v) => v - m);
    const variance = mean(centred.map((v) => v * v));
    if (variance <= (1e-12 * Math.max(1, Math.abs(m))) ** 2) return [m, m];
    const ratios = new Float64Array(times);
    const draws = resamples(n);
    for (let r = 0; r < times; r++) {
      let sum = 0, squares = 0;
      for (let i = r * n; i < (r + 1) * n; i++) {
        const v = centred[draws[i]];
        sum += v; squares += v * v;
      }
      const shift = sum / n, spread = squares / n - shift * shift;
      ratios[r] = spread <= 1e-9 * variance ? Math.sign(shift) * Infinity : shift / Math.sqrt(spread / (n - 1));
    }
    ratios.sort();
    const error = Math.sqrt(variance / (n - 1));
    const low = ratios[Math.ceil(0.025 * times) - 1], high = ratios[Math.ceil(0.975 * times) - 1];
    return Number.isFinite(low) && Number.isFinite(high) ? [m - high * error, m - low * error] : null;
  };

  /* How large a difference is beside its spread: the share of the ranks in favour less the share against, and Cohen's d of pairs. */
  const effect = (d) => {
    const apart = d.filter((v) => v !== 0);
    if (!apart.length) return { biserial: 0, standardised: null };
    const ranks = doubledRanks(apart);
    const biserial = ranks.reduce((s, r, i) => s + r * Math.sign(apart[i]), 0) / ranks.reduce((a, b) => a + b, 0);
    if (d.length < 2 || !d.every(Number.isFinite)) return { biserial, standardised: null };
    const m = mean(d), spread = deviation(d);
    return { biserial, standardised: spread <= 1e-12 * Math.max(1, Math.abs(m)) ? Math.sign(m) * Infinity : m / spread };
  };

  const WANTED = 0.8, ALPHA = 0.05, MOST = 1000;

  /* What so many images show of the difference found, and how many it takes for a power of 80 %: simulated from the
     differences image by image, as srbench.power does it. null where that is undefined; needed is null beyond MOST. */
  const power = (d) => {
    if (d.length < 5 || !d.every(Number.isFinite) || mean(d) === 0) return null;
    let low = 5, high = 6; // of five images no p is below .05
    while (shareFound(d, high) < WANTED) {
      low = high;
      if (low === MOST) return { share: shareFound(d, d.length), needed: null };
      high = Math.min(2 * high, MOST);
    }
    while (high - low > Math.max(1, Math.floor(high / 50))) {
      const middle = Math.floor((low + high) / 2);
      if (shareFound(d, middle) >= WANTED) high = middle; else low = middle;
    }
    const step = 10 ** Math.max(0, String(high).length - 2);
    return { share: shareFound(d, d.length), needed: Math.ceil(high / step) * step };
  };

  /* The share of sets of n images, drawn from differences, in which the signed-rank test gives p ≤ .05. */
  const shareFound = (d, n) => {
    const most = critical(n);
    if (most < 0) return 0;
    const sets = n > 100 ? 500 : 1000, draw = random(), m = mean(d);
    // An image drawn twice is two images that are much alike, not a tie: a billionth of the spread parts them.
    const jitter = 2e-9 * (Math.sqrt(mean(d.map((v) => (v - m) ** 2))) || Math.abs(m));
    const up = new Float64Array(n), down = new Float64Array(n);
    let found = 0;
    for (let set = 0; set < sets; set++) {
      let ups = 0, downs = 0;
      for (let i = 0; i < n; i++) {
        const v = d[Math.floor(draw() * d.length)] + (draw() - 0.5) * jitter;
        if (v > 0) up[ups++] = v; else down[downs++] = -v;
      }
      const less = up.subarray(0, ups).sort(), more = down.subarray(0, downs).sort();
      let sum = 0, below = 0;
      for (let i = 0; i < ups; i++) {
        while (below < downs && more[below] < less[i]) below++;
        sum += i + 1 + below;
      }
      if (Math.min(sum, (n * (n + 1)) / 2 - sum) <= most) found++;
    }
    return found / sets;
  };

  /* The greatest sum of ranks of the rarer sign with which the test gives p ≤ .05; −1 where none does. */
  const critical = (n) => {
    if (n > 100) return Math.floor((n * (n + 1)) / 4 - 1.959963984540054 * Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24));
    const chance = sums(Array.from({ length: n }, (_, i) => i + 1));
    let tail = 0, most = -1;
    while (2 * (tail + chance[most + 1]) <= ALPHA) tail += chance[++most];
    return most;
  };

  /* What srbench.reports.comparison says of two rows of scores. */
  const compare = (a, b, higher) => {
    const d = differences(a, b);
    const better = higher ? d : d.map((v) => -v);
    return {
      difference: mean(d), interval: interval(d), p: wilcoxon(d), least: Math.min(1, 2 ** (1 - d.length)), each: d,
      wins: better.filter((v) => v > 0).length, losses: better.filter((v) => v < 0).length, n: d.length,
    };
  };

  return { mean, deviation, differences, wilcoxon, interval, effect, power, compare, MOST };
})();
