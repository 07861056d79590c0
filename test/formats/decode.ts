// All tensors of a safetensors file in memory, read at once: for tests, which look at small files.
import { openBytes } from '../../src/files.ts';
import { openSafetensors, type SafetensorsFile, type StoredTensor } from '../../src/model/safetensors.ts';

export async function decodeSafetensors(
  bytes: Uint8Array,
  path: string,
): Promise<SafetensorsFile<StoredTensor>> {
  const { tensors, metadata } = await openSafetensors(openBytes(bytes), path);
  const read = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) read.set(name, { shape: tensor.shape, data: await tensor.read() });
  return { tensors: read, metadata };
}
