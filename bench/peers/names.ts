// The engines by name, in the order of the table. Knows names; loads none of them.

export const ENGINES = ['ours', 'tfjs', 'jax', 'ort'] as const;
export type EngineName = (typeof ENGINES)[number];

export const PEERS = ['tfjs', 'jax', 'ort'] as const satisfies readonly EngineName[];

/** The packages of each peer, as this folder's package.json has them. */
export const PACKAGES = [
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs-layers',
  '@tensorflow/tfjs-backend-webgpu',
  '@jax-js/jax',
  'onnxruntime-node',
] as const;
