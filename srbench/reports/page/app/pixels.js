"use strict";
/* Pixels of the stored images: decoding, error maps, and where networks differ most. */

srb.pixels = (() => {
  const decoded = new Map();

  /* The bitmap of one stored image, decoded once. */
  const bitmap = (id) => {
    if (!decoded.has(id)) {
      const node = document.getElementById(id);
      const blob = new Blob([srb.bytes(node.textContent.trim())], { type: node.dataset.type });
      decoded.set(id, createImageBitmap(blob, { colorSpaceConversion: "none" }));
    }
    return decoded.get(id);
  };

  const samples = new Map();
  const rgba = async (id) => {
    if (!samples.has(id)) {
      const image = await bitmap(id);
      const canvas = new OffscreenCanvas(image.width, image.height);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      samples.set(id, context.getImageData(0, 0, image.width, image.height));
    }
    return samples.get(id);
  };

  /* Five stops of matplotlib's magma, linear between them. */
  const STOPS = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];
  const colour = (t) => {
    const at = Math.min(0.9999, Math.max(0, t)) * 4, i = Math.floor(at), f = at - i;
    return STOPS[i].map((v, k) => v + (STOPS[i + 1][k] - v) * f);
  };
  const PALETTE = Uint8ClampedArray.from({ length: 768 }, (_, i) => colour(Math.floor(i / 3) / 255)[i % 3]);

  /* Mean over R, G and B of |SR − HR|, on the 0–255 scale. */
  const absolute = (a, b) => {
    const out = new Float32Array(a.width * a.height);
    for (let i = 0, k = 0; i < out.length; i++, k += 4) {
      out[i] = (Math.abs(a.data[k] - b.data[k]) + Math.abs(a.data[k + 1] - b.data[k + 1]) + Math.abs(a.data[k + 2] - b.data[k + 2])) / 3;
    }
    return out;
  };

  /* After FLIP (Andersson et al., HPG 2020): colours as the eye's contrast sensitivity leaves them at 67 pixels a degree, their
     HyAB distance in L*a*b*, raised by differing edges. The filters are single Gaussians, hence "like". In 0..1. */
  const flip = (a, b) => {
    const { width, height } = a, n = width * height;
    const [one, two] = [a, b].map((image) => perceived(image));
    const out = new Float32Array(n);
    const edges = [a, b].map((image) => edge(lightness(image), width, height));
    const greatest = 203.5;  // HyAB between green and blue, to the power 0.7 below
    const limit = Math.pow(greatest, 0.7);
    for (let i = 0; i < n; i++) {
      const dl = Math.abs(one[0][i] - two[0][i]);
      const dc = Math.hypot(one[1][i] - two[1][i], one[2][i] - two[2][i]);
      const d = Math.pow(dl + dc, 0.7) / limit;
      const c = d < 0.4 ? (d / 0.4) * 0.95 : 0.95 + ((d - 0.4) / 0.6) * 0.05;
      const f = Math.pow(Math.abs(edges[0][i] - edges[1][i]) / Math.SQRT2, 0.5);
      out[i] = Math.pow(Math.min(1, c), 1 - Math.min(1, f));
      if (c === 0) out[i] = 0;
    }
    return out;
  };

  const linear = Float32Array.from({ length: 256 }, (_, v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : Math.pow((v / 255 + 0.055) / 1.055, 2.4)));

  /* L*, a*, b* after blurring the opponent channels Y, Cx, Cz as far as the eye does. */
  const perceived = (image) => {
    const { width, height, data } = image, n = width * height;
    const y = new Float32Array(n), cx = new Float32Array(n), cz = new Float32Array(n);
    for (let i = 0, k = 0; i < n; i++, k += 4) {
      const [X, Y, Z] = xyz(linear[data[k]], linear[data[k + 1]], linear[data[k + 2]]);
      y[i] = 116 * Y - 16; cx[i] = 500 * (X - Y); cz[i] = 200 * (Y - Z);
    }
    const [by, bx, bz] = [blur(y, width, height, 0.8), blur(cx, width, height, 1.6), blur(cz, width, height, 3.2)];
    const L = new Float32Array(n), A = new Float32Array(n), B = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      const Y = Math.max(0, (by[i] + 16) / 116), X = Math.max(0, bx[i] / 500 + Y), Z = Math.max(0, Y - bz[i] / 200);
      const [fx, fy, fz] = [X, Y, Z].map((t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116));
      L[i] = 116 * fy - 16; A[i] = 500 * (fx - fy) * 0.01 * Math.max(0, L[i]); B[i] = 200 * (fy - fz) * 0.01 * Math.max(0, L[i]);
    }
    return [L, A, B];
  };

  const xyz = (r, g, b) => [
    (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505, 0.2126 * r + 0.7152 * g + 0.0722 * b, (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
  ];

  const lightness = ({ data, width, height }) => {
    const out = new Float32Array(width * height);
    for (let i = 0, k = 0; i < out.length; i++, k += 4) {
      const Y = 0.2126 * linear[data[k]] + 0.7152 * linear[data[k + 1]] + 0.0722 * linear[data[k + 2]];
      out[i] = Y;
    }
    return out;
  };

  const blur = (plane, width, height, sigma) => {
    const reach = Math.ceil(sigma * 3);
    const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma * sigma)));
    const sum = kernel.reduce((s, v) => s + v, 0);
    const middle = new Float32Array(plane.length), out = new Float32Array(plane.length);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      let v = 0;
      for (let k = -reach; k <= reach; k++) v += kernel[k + reach] * plane[y * width + Math.min(width - 1, Math.max(0, x + k))];
      middle[y * width + x] = v / sum;
    }
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      let v = 0;
      for (let k = -reach; k <= reach; k++) v += kernel[k + reach] * middle[Math.min(height - 1, Math.max(0, y + k)) * width + x];
      out[y * width + x] = v / sum;
    }
    return out;
  };

  const edge = (plane, width, height) => {
    const soft = blur(plane, width, height, 1);
    const out = new Float32Array(plane.length);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const dx = soft[y * width + Math.min(width - 1, x + 1)] - soft[y * width + Math.max(0, x - 1)];
      const dy = soft[Math.min(height - 1, y + 1) * width + x] - soft[Math.max(0, y - 1) * width + x];
      out[i] = Math.min(1, Math.hypot(dx, dy));
    }
    return out;
  };

  const MAPS = { abs: { title: "|SR − HR|, mean of R, G, B", most: 64, unit: "of 255", make: absolute }, flip: { title: "FLIP-like, what the eye would notice", most: 0.6, unit: "", make: flip } };

  const made = new Map();
  /* An error map of a stored image against HR, as a canvas in the palette. */
  const errorMap = async (id, hr, kind) => {
    const key = `${id}|${kind}`;
    if (!made.has(key)) {
      const [a, b] = await Promise.all([rgba(id), rgba(hr)]);
      const error = MAPS[kind].make(a, b);
      const image = new ImageData(a.width, a.height);
      for (let i = 0, k = 0; i < error.length; i++, k += 4) {
        const at = 3 * Math.round(255 * Math.min(1, error[i] / MAPS[kind].most));
        image.data[k] = PALETTE[at]; image.data[k + 1] = PALETTE[at + 1]; image.data[k + 2] = PALETTE[at + 2]; image.data[k + 3] = 255;
      }
      const canvas = new OffscreenCanvas(a.width, a.height);
      canvas.getContext("2d").putImageData(image, 0, 0);
      made.set(key, canvas);
    }
    return made.get(key);
  };

  /* The windows in which the greatest and the smallest luma among some images lie furthest apart, best first, none overlapping. */
  const differ = async (ids, size, most = 4) => {
    const images = await Promise.all(ids.map(rgba));
    const { width, height } = images[0];
    const sums = new Float64Array((width + 1) * (height + 1));
    for (let y = 0; y < height; y++) {
      let line = 0;
      for (let x = 0; x < width; x++) {
        const k = 4 * (y * width + x);
        let low = Infinity, high = -Infinity;
        for (const { data } of images) {
          const v = 0.299 * data[k] + 0.587 * data[k + 1] + 0.114 * data[k + 2];
          low = Math.min(low, v); high = Math.max(high, v);
        }
        line += high - low;
        sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + line;
      }
    }
    const w = Math.min(size, width), h = Math.min(size, height), step = 4;
    const found = [];
    for (let y = 0; y + h <= height; y += step) for (let x = 0; x + w <= width; x += step) {
      const at = (yy, xx) => sums[yy * (width + 1) + xx];
      found.push({ x, y, w, h, score: (at(y + h, x + w) - at(y, x + w) - at(y + h, x) + at(y, x)) / (w * h) });
    }
    found.sort((a, b) => b.score - a.score);
    const kept = [];
    for (const f of found) {
      if (kept.length >= most) break;
      if (!kept.some((k) => f.x < k.x + k.w && f.x + f.w > k.x && f.y < k.y + k.h && f.y + f.h > k.y)) kept.push(f);
    }
    return kept;
  };

  return { bitmap, rgba, errorMap, differ, MAPS, PALETTE };
})();
