// What is fed back in the place of a hidden state, in float64, forward and backward. Naive: every loop is the formula.
import {
  addTo,
  gelu,
  geluBackward,
  layerNorm,
  layerNormBackward,
  linear,
  linearBackward,
  plus,
  softmax,
} from './math.ts';

export type FeedbackForm = 'hidden' | 'linear' | 'mlp' | 'soft' | 'token';

/** A parameter, or its gradient, by its name below `transformer.`. */
type Named = (name: string) => Float64Array;

/** h·wteᵀ [V] */
function scores(h: Float64Array, wte: Float64Array): Float64Array {
  const C = h.length;
  return Float64Array.from({ length: wte.length / C }, (_, v) =>
    h.reduce((dot, value, i) => dot + value * wte[v * C + i]!, 0),
  );
}

/** What the bridge has before its norm. */
function bridged(form: 'linear' | 'mlp', h: Float64Array, w: Named): Float64Array {
  if (form === 'linear') return linear(h, w('bridge.c_proj.weight'), w('bridge.c_proj.bias'));
  const fc = linear(h, w('bridge.c_fc.weight'), w('bridge.c_fc.bias'));
  return plus(h, linear(gelu(fc), w('bridge.c_proj.weight'), w('bridge.c_proj.bias')));
}

/** [C] of a hidden state [C]. */
export function feedback(form: FeedbackForm, h: Float64Array, w: Named, eps: number): Float64Array {
  const C = h.length;
  const wte = w('wte.weight');
  switch (form) {
    case 'hidden':
      return h;
    case 'linear':
    case 'mlp':
      return layerNorm(bridged(form, h, w), w('bridge.ln.weight'), w('bridge.ln.bias'), eps);
    case 'soft': {
      const p = softmax(scores(h, wte));
      return h.map((_, i) => p.reduce((sum, pv, v) => sum + pv * wte[v * C + i]!, 0));
    }
    case 'token': {
      const score = scores(h, wte);
      const best = score.indexOf(Math.max(...score));
      return wte.slice(best * C, (best + 1) * C);
    }
  }
}

/** z = feedback(h): adds into the gradients `d` of the parameters, returns dh. */
export function feedbackBackward(
  form: FeedbackForm,
  h: Float64Array,
  w: Named,
  eps: number,
  dz: Float64Array,
  d: Named,
): Float64Array {
  const C = h.length;
  const wte = w('wte.weight');
  const dWte = d('wte.weight');
  const map = (name: string, x: Float64Array, dy: Float64Array) =>
    linearBackward(x, w(`${name}.weight`), dy, d(`${name}.weight`), d(`${name}.bias`));
  switch (form) {
    case 'hidden':
      return dz;
    case 'linear':
    case 'mlp': {
      const x = bridged(form, h, w);
      // z = ln(x)
      const dx = layerNormBackward(
        x,
        w('bridge.ln.weight'),
        eps,
        dz,
        d('bridge.ln.weight'),
        d('bridge.ln.bias'),
      );
      // x = c_proj(h), or h + c_proj(gelu(c_fc(h)))
      if (form === 'linear') return map('bridge.c_proj', h, dx);
      const fc = linear(h, w('bridge.c_fc.weight'), w('bridge.c_fc.bias'));
      return plus(dx, map('bridge.c_fc', h, geluBackward(fc, map('bridge.c_proj', gelu(fc), dx))));
    }
    case 'soft': {
      const p = softmax(scores(h, wte));
      // z = Σ p[v] wte[v], p = softmax(s), s[v] = wte[v]·h
      const dp = scores(dz, wte);
      const mean = p.reduce((sum, pv, v) => sum + pv * dp[v]!, 0);
      const dh = new Float64Array(C);
      for (let v = 0; v < p.length; v++) {
        const ds = p[v]! * (dp[v]! - mean);
        for (let i = 0; i < C; i++) {
          dWte[v * C + i]! += p[v]! * dz[i]! + ds * h[i]!;
          dh[i]! += ds * wte[v * C + i]!;
        }
      }
      return dh;
    }
    case 'token': {
      // z = wte[best], and best has no slope.
      const score = scores(h, wte);
      const best = score.indexOf(Math.max(...score));
      addTo(dWte.subarray(best * C, (best + 1) * C), dz);
      return new Float64Array(C);
    }
  }
}
