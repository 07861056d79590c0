// Reads safetensors fixtures as float64 (the product's reader narrows F64 to float32). Knows F32 and F64, and
// trusts its input: the reference shares no code with what it judges.
import { readFileSync } from 'node:fs';

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** The tensors of an F32 or F64 safetensors file by name, widened to float64. */
export function readSafetensors(path: string): Map<string, StoredTensor> {
  const raw = readFileSync(path);
  const bodyStart = 8 + Number(raw.readBigUInt64LE(0));
  const header = JSON.parse(raw.toString('utf8', 8, bodyStart));
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets } = entry as {
      dtype: string;
      shape: number[];
      data_offsets: [number, number];
    };
    // Copied first: typed arrays need an aligned start.
    const body = new Uint8Array(raw.subarray(bodyStart + data_offsets[0], bodyStart + data_offsets[1]))
      .buffer;
    if (dtype !== 'F32' && dtype !== 'F64') throw new Error(`${path}: ${name} has dtype ${dtype}`);
    const data = dtype === 'F64' ? new Float64Array(body) : Float64Array.from(new Float32Array(body));
    tensors.set(name, { dtype, shape, data });
  }
  return tensors;
}
