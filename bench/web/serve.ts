// The bench's page as a site of this machine: bundled in memory, on a port that the system gives. Knows the bundler and
// HTTP; knows nothing of what the page does.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

export interface Site {
  readonly address: string;
  close(): void;
}

const TYPES: Readonly<Record<string, string>> = { html: 'text/html; charset=utf-8', js: 'text/javascript' };

/** Bundles bench/web/index.html and serves it until `close`. */
export async function servePage(): Promise<Site> {
  const files = await bundle();
  const server = createServer((request, response) => {
    const name = request.url === '/' ? 'index.html' : request.url!.slice(1);
    const file = files.get(name);
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'Content-Type': TYPES[name.split('.').at(-1)!] ?? 'application/octet-stream',
      // Isolated from other sites: its clock then steps by 5 µs, else by 100.
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    });
    response.end(file);
  });
  // By number: where "localhost" leads first differs between systems. It is a secure context just the same.
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}/`,
    close() {
      server.close();
      server.closeAllConnections(); // A browser keeps its own open.
    },
  };
}

/** Contents by file name. */
async function bundle(): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const built = await build({
    root: fileURLToPath(new URL('.', import.meta.url)),
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    // Not minified, so that a stack trace tells something.
    build: { write: false, target: 'es2023', minify: false, modulePreload: { polyfill: false } },
  });
  if (!('output' in built)) throw new Error('the bundler gave more than one bundle');
  return new Map(built.output.map(file => [file.fileName, file.type === 'chunk' ? file.code : file.source]));
}
