// Reading JSON that a user gave: every fault becomes one line that names the file. Knows no particular format.
import { UserError } from './errors.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Parses JSON text; truncated or broken text is a UserError of one line that names `fileName`. */
export function parseJson(text: string, fileName: string): Json {
  if (text.trim() === '') throw new UserError(`${fileName}: the file is empty, expected JSON`);
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    // The engine's message may quote the text, line breaks included.
    throw new UserError(`${fileName}: not valid JSON: ${oneLine((error as Error).message)}`);
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as an error message shows it: JSON, on one line, cut to `limit` characters. */
export function show(value: unknown, limit = 48): string {
  const text = oneLine(JSON.stringify(value) ?? String(value));
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\s]+/gu, ' ');
}
