import type { guardRedirects as guardInNode } from './platform.node.js';

/** See platform.node.ts. axios's http adapter exists in Node alone, where this build does not guard its redirects. */
export const guardRedirects: typeof guardInNode = () => () => false;

/** @throws TypeError for the http adapter. */
export function assertTransport(transport: string): void {
  if (transport === 'http')
    throw new TypeError(
      "axios-attach-auth: its browser build was loaded, but this call uses axios's http adapter, whose redirects that build does not " +
        "guard. Let the bundler or test runner resolve the condition 'node' or 'default', or use the fetch or xhr adapter.",
    );
}
