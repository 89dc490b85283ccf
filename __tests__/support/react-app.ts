import { createElement as h, useEffect, useSyncExternalStore, type ReactNode } from 'react';
import type { BearerScheme } from '../../lib/index.js';
import { RequireSession, useAuthSession } from '../../lib/react.js';

/** How often each component was rendered. */
export const renders: Record<string, number> = {};
const count = (name: string): void => void (renders[name] = (renders[name] ?? 0) + 1);

export interface AppProps {
  readonly session: BearerScheme;
  /** `two-snapshots`: reads the session by a wrong recipe, which must fail hydration. */
  readonly kind: 'hook' | 'two-snapshots';
}

/** An app with one protected page and ten components that read the session. Server and page render it. */
export function App({ session, kind }: AppProps): ReactNode {
  if (kind === 'two-snapshots') return h(TwoSnapshots, { session });
  return h(
    'main',
    null,
    h(Whole, { session }),
    Array.from({ length: 10 }, (_, key) => h(StatusOnly, { session, key })),
    h(RequireSession, {
      session,
      loading: h('p', { id: 'loading' }, 'One moment'),
      fallback: (status) => h(SignIn, { status }),
      children: h('h1', { id: 'protected' }, 'Your orders'),
    }),
  );
}

function Whole({ session }: Pick<AppProps, 'session'>): ReactNode {
  count('whole');
  const { status } = useAuthSession(session);
  return h('output', null, status);
}

function StatusOnly({ session }: Pick<AppProps, 'session'>): ReactNode {
  count('status');
  return h(
    'i',
    null,
    useAuthSession(session, ({ status }) => status),
  );
}

/** As the redirect of a router, which replaces the address. */
function SignIn({ status }: { status: string }): ReactNode {
  count('fallback');
  useEffect(() => {
    history.replaceState(null, '', '/login');
  }, []);
  return h('p', { id: 'sign-in' }, status);
}

function TwoSnapshots({ session }: Pick<AppProps, 'session'>): ReactNode {
  const { status } = useSyncExternalStore(session.subscribe, session.getSnapshot, session.getSnapshot);
  return h('output', null, status);
}
