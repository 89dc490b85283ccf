/**
 * A session in React components.
 *
 * @module axios-attach-auth/react
 */

'use client';

import { useMemo, useSyncExternalStore, type ReactNode } from 'react';
import { hasBrand } from './auth-error-brand.js';
import { systemClock, type Cancel } from './clock.js';
import { exchangeOf } from './call/report.js';
import type { BearerScheme } from './schemes/bearer-scheme.js';
import type { SessionSnapshot } from './session/snapshot.js';

type Session = Pick<BearerScheme, 'getSnapshot' | 'subscribe' | 'getAccessToken'>;
type Subscribe = Session['subscribe'];

/** Delays before the next probe: at least the cool-down of the session after a failed refresh, 30 s at most. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/** The snapshot of every server render and of hydration. Both must be equal, or React discards the server's HTML. */
const UNKNOWN: SessionSnapshot = Object.freeze({
  status: 'unknown',
  refreshing: false,
  expiresAt: undefined,
  generation: 0,
});

const subscriptions = new WeakMap<Session, Subscribe>();

/**
 * Returns the snapshot of a session, and renders again whenever it changes. On the server and during hydration the status is
 * `unknown`. While it is `unknown` in a browser, the hook calls `getAccessToken()` once for all components. If that fails
 * (offline), the hook asks again after 1 s, then with growing delays up to 30 s. It also asks on the `online` and `focus` events.
 *
 * @param session - A {@link BearerScheme}, created once outside of the components.
 */
export function useAuthSession(session: Session): SessionSnapshot;
/**
 * Returns `select(snapshot)`, and renders again only if that value changes by `Object.is`. A component that selects the
 * status is not rendered for a refresh.
 *
 * @param select - A pure function. It is called once per snapshot, and again if it is another function.
 */
export function useAuthSession<T>(session: Session, select: (snapshot: SessionSnapshot) => T): T;
export function useAuthSession(session: Session, select: (snapshot: SessionSnapshot) => unknown = whole): unknown {
  const read = useMemo(() => oncePerSnapshot(select), [select]);
  return useSyncExternalStore(
    subscriptionTo(session),
    () => read(session.getSnapshot()),
    () => read(UNKNOWN),
  );
}

/** Props of {@link RequireSession}. */
export interface RequireSessionProps {
  /** A {@link BearerScheme}, created once outside of the components. */
  session: Session;
  /** Rendered while the status is `unknown`: on the server, during hydration and until the session has been asked. Default: nothing. */
  loading?: ReactNode;
  /** Rendered when signed out or expired, for example a sign-in form or the router's redirect. */
  fallback: ReactNode | ((status: 'signed-out' | 'expired') => ReactNode);
  /** Rendered when signed in, and during every refresh. */
  children: ReactNode;
}

/**
 * Renders `children` when signed in, `loading` while the status is `unknown`, and `fallback` when signed out or expired.
 * It needs no router and no provider. A reload keeps its address, since `unknown` never renders the fallback.
 */
export function RequireSession({ session, loading, fallback, children }: RequireSessionProps): ReactNode {
  const status = useAuthSession(session, statusOf);
  if (status === 'signed-in') return children;
  if (status === 'unknown') return loading;
  return typeof fallback === 'function' ? fallback(status) : fallback;
}

/**
 * Returns a `retry` function for TanStack Query. It returns true for fewer than `max` failures. For a call that attachAuth has retried
 * already it returns false. For SWR: `shouldRetryOnError: (error) => retry(0, error)`.
 *
 * @param max - Retries of other failures: a number from 0, may be Infinity. @default 0
 * @throws TypeError if `max` is negative or no number.
 */
export function retryUnlessAuth(max = 0): (failureCount: number, error: unknown) => boolean {
  if (!(max >= 0)) throw new TypeError(`retryUnlessAuth(): \`max\` takes a number, 0 or more, but got ${String(max)}`);
  return (failureCount, error) => failureCount < max && !hasBrand(error) && !exchangeOf(error);
}

function whole(snapshot: SessionSnapshot): SessionSnapshot {
  return snapshot;
}

function statusOf({ status }: SessionSnapshot): SessionSnapshot['status'] {
  return status;
}

/** React compares the results of two reads. So a `select` that creates an object must return the same one for one snapshot. */
function oncePerSnapshot<T>(select: (snapshot: SessionSnapshot) => T): (snapshot: SessionSnapshot) => T {
  let last: SessionSnapshot | undefined;
  let selected: T;
  return (snapshot) => {
    if (snapshot !== last) {
      selected = select(snapshot);
      last = snapshot;
    }
    return selected;
  };
}

/** Returns the same function for the same session. Otherwise React would subscribe again at every render. */
function subscriptionTo(session: Session): Subscribe {
  let subscribe = subscriptions.get(session);
  if (!subscribe) subscriptions.set(session, (subscribe = withProbe(session)));
  return subscribe;
}

/**
 * Returns the session's `subscribe`, which also probes the session while its status is `unknown`. React calls `subscribe` in
 * browsers only. All subscribers share one probe, which outlives a remount by StrictMode.
 */
function withProbe(session: Session): Subscribe {
  let subscribers = 0;
  let isProbing = false;
  let wake: (event?: Event) => void = () => undefined;

  const isWanted = (): boolean => subscribers > 0 && session.getSnapshot().status === 'unknown';

  async function probe(): Promise<void> {
    if (isProbing) return;
    isProbing = true;
    for (let delayMs = FIRST_RETRY_MS; isWanted();) {
      try {
        await session.getAccessToken();
      } catch {
        // Offline, or the server is out of order.
      }
      if (!isWanted()) break;
      let cancel!: Cancel;
      const event = await new Promise<Event | undefined>((resolve) => {
        wake = resolve;
        cancel = systemClock.after(delayMs * (1 - systemClock.random() / 4), wake);
        onPageEvents('addEventListener', wake);
      });
      cancel();
      onPageEvents('removeEventListener', wake);
      delayMs = event ? FIRST_RETRY_MS : Math.min(delayMs * 2, LONGEST_RETRY_MS);
    }
    isProbing = false;
  }

  return (listener) => {
    const unsubscribe = session.subscribe(() => {
      // The status may become unknown again, for example when the storage was cleared.
      void probe();
      listener();
    });
    subscribers++;
    void probe();
    return () => {
      unsubscribe();
      if (--subscribers === 0) wake();
    };
  };
}

/** React Native has neither of these events. */
function onPageEvents(method: 'addEventListener' | 'removeEventListener', listener: (event: Event) => void): void {
  for (const type of ['online', 'focus']) (globalThis as Partial<typeof globalThis>)[method]?.(type, listener);
}
