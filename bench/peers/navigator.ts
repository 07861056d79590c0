// Browsers have `navigator.gpu`, and engines made for them look for it. Knows the global; knows no engine.

/** Gives this process a `navigator` whose `gpu` is the one given. */
export function globalNavigator(gpu: object): void {
  Object.defineProperty(globalThis, 'navigator', {
    value: { gpu, userAgent: 'node', platform: 'node' },
    configurable: true,
  });
}
