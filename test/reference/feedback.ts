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

/** Parameters, or their gradients. */
export interface Named {
  /** By its name below `transformer.`. */
  w(name: string): Float64Array;
  /** The head [V, C]: the token embedding, or its own. */
  readonly head: Float64Array;
}

/** x·tableᵀ [V] */
function scores(x: Float64Array, table: Float64Array): Float64Array {
  const C = x.length;
  return Float64Array.from({ length: table.length / C }, (_, v) =>
    x.reduce((dot, value, i) => dot + value * table[v * C + i]!, 0),
  );
}

/** What the bridge has before its norm. */
function bridged(form: 'linear' | 'mlp', h: Float64Array, { w }: Named): Float64Array {
  if (form === 'linear') return linear(h, w('bridge.c_proj.weight'), w('bridge.c_proj.bias'));
  const fc = linear(h, w('bridge.c_fc.weight'), w('bridge.c_fc.bias'));
  return plus(h, linear(gelu(fc), w('bridge.c_proj.weight'), w('bridge.c_proj.bias')));
}

/** [C] of a hidden state [C]. */
export function feedback(form: FeedbackForm, h: Float64Array, values: Named, eps: number): Float64Array {
  const { w, head } = values;
  const C = h.length;
  const wte = w('wte.weight');
  switch (form) {
    case 'hidden':
      return h;
    case 'linear':
    case 'mlp':
      return layerNorm(bridged(form, h, values), w('bridge.ln.weight'), w('bridge.ln.bias'), eps);
    case 'soft': {
      const p = softmax(scores(h, head));
      return h.map((_, i) => p.reduce((sum, pv, v) => sum + pv * wte[v * C + i]!, 0));
    }
    case 'token': {
      const score = scores(h, head);
      const best = score.indexOf(Math.max(...score));
      return wte.slice(best * C, (best + 1) * C);
    }
  }
}

/** z = feedback(h): adds into the gradients of the parameters, returns dh. */
export function feedbackBackward(
  form: FeedbackForm,
  h: Float64Array,
  values: Named,
  eps: number,
  dz: Float64Array,
  gradients: Named,
): Float64Array {
  const { w, head } = values;
  const { w: d, head: dHead } = gradients;
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
      const x = bridged(form, h, values);
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
      const p = softmax(scores(h, head));
      // z = Σ p[v] wte[v], p = softmax(s), s[v] = head[v]·h
      const dp = scores(dz, wte);
      const mean = p.reduce((sum, pv, v) => sum + pv * dp[v]!, 0);
      const dh = new Float64Array(C);
      for (let v = 0; v < p.length; v++) {
        const ds = p[v]! * (dp[v]! - mean);
        for (let i = 0; i < C; i++) {
          dWte[v * C + i]! += p[v]! * dz[i]!;
          dHead[v * C + i]! += ds * h[i]!;
          dh[i]! += ds * head[v * C + i]!;
        }
      }
      return dh;
    }
    case 'token': {
      // z = wte[best], and best has no slope.
      const score = scores(h, head);
      const best = score.indexOf(Math.max(...score));
      addTo(dWte.subarray(best * C, (best + 1) * C), dz);
      return new Float64Array(C);
    }
  }
}
