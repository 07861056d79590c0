// The engine as one script for pages without a bundler: `npm run build:web` makes mentalese.js of it. Knows nothing itself.
export * from '../index.ts';
export { openWebGpu } from '../platform/web.ts';
export { fetchSource, pickedSource } from '../platform/web-files.ts';
