import { attachAuth, bearer, type TokenResponse } from 'axios-attach-auth';
import { attachFlagPair, attachQueueingPair } from './pair.js';
import { run, type Attach, type Trace } from './run.js';
import type { Settings } from './settings.js';

/** The answer to `Settings`. */
export type Answer = { readonly ours: Trace; readonly pair: Trace } | { readonly error: string };

// #region ours
const attachPackage: Attach = (api, _plain, tokens) => {
  const session = bearer({
    tokens,
    async refresh({ client, refreshToken }) {
      const { data } = await client.post<TokenResponse>('/auth/refresh', { refreshToken });
      return data;
    },
  });
  attachAuth(api, { scheme: session });
};
// #endregion ours

async function answer(settings: Settings): Promise<Answer> {
  try {
    const ours = await run(settings, attachPackage);
    const pair = await run(settings, settings.pair === 'queue' ? attachQueueingPair : attachFlagPair);
    return { ours, pair };
  } catch (error) {
    return { error: String(error) };
  }
}

// A worker's own postMessage: the types here are those of a page.
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Settings>) => void;
  postMessage(answer: Answer): void;
};
scope.onmessage = ({ data }) => {
  void answer(data).then((each) => {
    scope.postMessage(each);
  });
};
