// The layers of GPT-2 on single vectors in float64, forward and backward. Naive on purpose: every loop is the
// formula. A backward adds into the gradients it is given; each quotes the forward line it differentiates.

/** y = x·W + b, W [in, out] row-major. */
export function linear(x: Float64Array, weight: Float64Array, bias: Float64Array): Float64Array {
  const y = Float64Array.from(bias);
  const N = y.length;
  for (let i = 0; i < x.length; i++) for (let j = 0; j < N; j++) y[j]! += x[i]! * weight[i * N + j]!;
  return y;
}

/** y[j] += x[i] W[i,j], y[j] = b[j]: adds into dWeight and dBias, returns dx. */
export function linearBackward(
  x: Float64Array,
  weight: Float64Array,
  dy: Float64Array,
  dWeight: Float64Array,
  dBias: Float64Array,
): Float64Array {
  const N = dy.length;
  const dx = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) {
    for (let j = 0; j < N; j++) {
      dWeight[i * N + j]! += x[i]! * dy[j]!;
      dx[i]! += weight[i * N + j]! * dy[j]!;
    }
  }
  addTo(dBias, dy);
  return dx;
}

function normalized(x: Float64Array, eps: number): { xhat: Float64Array; rstd: number } {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const rstd = 1 / Math.sqrt(variance + eps);
  return { xhat: x.map(value => (value - mean) * rstd), rstd };
}

/** y = gamma (x - mean) / √(variance + eps) + beta, with the biased variance. */
export function layerNorm(
  x: Float64Array,
  gamma: Float64Array,
  beta: Float64Array,
  eps: number,
): Float64Array {
  return normalized(x, eps).xhat.map((value, i) => gamma[i]! * value + beta[i]!);
}

/** y = gamma xhat + beta, xhat = (x - mean) rstd: adds into dGamma and dBeta, returns dx. */
export function layerNormBackward(
  x: Float64Array,
  gamma: Float64Array,
  eps: number,
  dy: Float64Array,
  dGamma: Float64Array,
  dBeta: Float64Array,
): Float64Array {
  const { xhat, rstd } = normalized(x, eps);
  const C = x.length;
  let mean = 0; // of dxhat
  let meanX = 0; // of dxhat xhat
  for (let i = 0; i < C; i++) {
    dGamma[i]! += dy[i]! * xhat[i]!;
    dBeta[i]! += dy[i]!;
    mean += (dy[i]! * gamma[i]!) / C;
    meanX += (dy[i]! * gamma[i]! * xhat[i]!) / C;
  }
  return xhat.map((value, i) => rstd * (dy[i]! * gamma[i]! - mean - value * meanX));
}

const S = Math.sqrt(2 / Math.PI);

/** gelu_new: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2. */
export function gelu(x: Float64Array): Float64Array {
  return x.map(v => 0.5 * v * (1 + Math.tanh(S * (v + 0.044715 * v ** 3))));
}

/** y = x (1 + tanh u) / 2, u = √(2/π) (x + 0.044715 x³): returns dx. */
export function geluBackward(x: Float64Array, dy: Float64Array): Float64Array {
  return x.map((v, i) => {
    const tanh = Math.tanh(S * (v + 0.044715 * v ** 3));
    return dy[i]! * (0.5 * (1 + tanh) + 0.5 * v * (1 - tanh ** 2) * S * (1 + 3 * 0.044715 * v ** 2));
  });
}

/** softmax(x), shifted by the maximum. */
export function softmax(x: Float64Array): Float64Array {
  const max = x.reduce((a, b) => Math.max(a, b), -Infinity);
  const exp = x.map(value => Math.exp(value - max));
  const sum = exp.reduce((a, b) => a + b, 0);
  return exp.map(value => value / sum);
}

/**
 * Attention of one query over the keys up to and including its own column, head by head:
 * s[j] = q·k[j] / √D, p = softmax(s), y = Σ p[j] v[j]. q and each k[j], v[j] are [C], C = H·D.
 */
export function attention(
  q: Float64Array,
  k: Float64Array[],
  v: Float64Array[],
  H: number,
  keep: Keep = () => 1,
): Float64Array {
  const y = new Float64Array(q.length);
  const D = q.length / H;
  for (let h = 0; h < H; h++) {
    const p = probabilities(q, k, h, D);
    for (let j = 0; j < k.length; j++) {
      for (let i = h * D; i < (h + 1) * D; i++) y[i]! += keep(j, h) * p[j]! * v[j]![i]!;
    }
  }
  return y;
}

/** What the weight of key j in head h is multiplied by: dropout. */
export type Keep = (j: number, h: number) => number;

function probabilities(q: Float64Array, k: Float64Array[], h: number, D: number): Float64Array {
  const s = new Float64Array(k.length);
  for (let j = 0; j < k.length; j++) {
    for (let i = h * D; i < (h + 1) * D; i++) s[j]! += (q[i]! * k[j]![i]!) / Math.sqrt(D);
  }
  return softmax(s);
}

/** y = Σ keep[j] p[j] v[j], p = softmax(s), s[j] = q·k[j] / √D: adds into every dk[j] and dv[j], returns dq. */
export function attentionBackward(
  q: Float64Array,
  k: Float64Array[],
  v: Float64Array[],
  H: number,
  dy: Float64Array,
  dk: Float64Array[],
  dv: Float64Array[],
  keep: Keep = () => 1,
): Float64Array {
  const dq = new Float64Array(q.length);
  const D = q.length / H;
  for (let h = 0; h < H; h++) {
    const p = probabilities(q, k, h, D);
    const dp = new Float64Array(k.length);
    for (let j = 0; j < k.length; j++) {
      for (let i = h * D; i < (h + 1) * D; i++) {
        dv[j]![i]! += keep(j, h) * p[j]! * dy[i]!;
        dp[j]! += keep(j, h) * v[j]![i]! * dy[i]!;
      }
    }
    const mean = p.reduce((sum, pj, j) => sum + pj * dp[j]!, 0);
    for (let j = 0; j < k.length; j++) {
      const ds = p[j]! * (dp[j]! - mean);
      for (let i = h * D; i < (h + 1) * D; i++) {
        dq[i]! += (ds * k[j]![i]!) / Math.sqrt(D);
        dk[j]![i]! += (ds * q[i]!) / Math.sqrt(D);
      }
    }
  }
  return dq;
}

/** target += values. */
export function addTo(target: Float64Array, values: Float64Array): void {
  for (let i = 0; i < values.length; i++) target[i]! += values[i]!;
}

/** a + b as a new vector. */
export function plus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}
