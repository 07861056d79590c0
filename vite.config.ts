// The page's development server (`npm run web`) and its build (`npm run build:web`): src/web becomes a folder of static
// files, dist/web, that any host serves. Beside the page stands mentalese.js, the engine for pages of others.
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/**
 * Nothing but the page's own files: no inline script or style, no other origin. As a tag, so that it holds on hosts that
 * set no headers; the development server has to put scripts of its own in.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const policy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY },
      injectTo: 'head-prepend',
    },
  ],
};

/** The page, and with `--mode library` the engine as one script for other pages. */
export default defineConfig(({ mode }) => ({
  root: path('src/web'),
  // Relative addresses: the folder may be served from anywhere.
  base: './',
  plugins: mode === 'library' ? [] : [policy],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  server: { host: 'localhost', port: 5173 },
  preview: { host: 'localhost', port: 4173 },
  worker: { format: 'es' },
  build: {
    outDir: path('dist/web'),
    target: 'es2023',
    ...(mode === 'library'
      ? {
          emptyOutDir: false,
          copyPublicDir: false,
          lib: { entry: path('src/web/library.ts'), formats: ['es'], fileName: () => 'mentalese.js' },
        }
      : { emptyOutDir: true, modulePreload: { polyfill: false } }),
  },
}));
