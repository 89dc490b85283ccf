import { createElement, StrictMode, type ReactNode } from 'react';
import { renderToString } from 'react-dom/server';
import axios from 'axios';
import { attachAuth, AuthError, bearer, type SessionSnapshot } from '../lib/index.js';
import { RequireSession, retryUnlessAuth, useAuthSession } from '../lib/react.js';
import { createTestRoot, type TestRoot } from './support/react-root.js';

const SIGNED_OUT: SessionSnapshot = { status: 'signed-out', refreshing: false, expiresAt: undefined, generation: 1 };
const SIGNED_IN: SessionSnapshot = { status: 'signed-in', refreshing: false, expiresAt: 5_000, generation: 2 };
const UNKNOWN: SessionSnapshot = { ...SIGNED_OUT, status: 'unknown', generation: 0 };

/** A session that the test controls. */
class FakeSession {
  asked = 0;
  listeners = new Set<() => void>();
  /** The behaviour of getAccessToken(). */
  answer: () => Promise<string | undefined> = () => new Promise(() => undefined);
  #snapshot: SessionSnapshot;

  constructor(snapshot: SessionSnapshot) {
    this.#snapshot = snapshot;
  }
  getSnapshot(): SessionSnapshot {
    return this.#snapshot;
  }
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  getAccessToken(): Promise<string | undefined> {
    this.asked++;
    return this.answer();
  }
  become(snapshot: Partial<SessionSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...snapshot };
    for (const listener of this.listeners) listener();
  }
  /** The snapshots of a failed refresh. */
  readonly fail = async (): Promise<never> => {
    this.become({ refreshing: true });
    await Promise.resolve();
    this.become({ refreshing: false });
    throw new AuthError('ERR_AUTH_REFRESH_FAILED', 'offline');
  };
}

/** A component that shows nothing and records the value of each render. */
function recorder(session: FakeSession, select?: (snapshot: SessionSnapshot) => unknown) {
  const seen: unknown[] = [];
  const Recorder = (): null => {
    seen.push(select ? useAuthSession(session, select) : useAuthSession(session));
    return null;
  };
  return { seen, Recorder, element: createElement(Recorder) };
}

describe('on the server', () => {
  const Status = ({ session }: { session: FakeSession }): ReactNode =>
    `${useAuthSession(session).status}, ${useAuthSession(session, ({ generation }) => String(generation))}`;

  test('a render shows `unknown` for any session, and neither probes nor subscribes', () => {
    const session = new FakeSession(SIGNED_IN);
    expect(renderToString(createElement(Status, { session }))).toBe('unknown, 0');
    expect(session).toMatchObject({ asked: 0, listeners: new Set() });
  });

  test('the snapshot is one frozen constant', () => {
    const { seen, element } = recorder(new FakeSession(SIGNED_IN));
    renderToString(element);
    renderToString(element);
    expect(seen).toEqual([UNKNOWN, UNKNOWN]);
    expect(seen[0]).toBe(seen[1]);
    expect(Object.isFrozen(seen[0])).toBe(true);
  });

  test('RequireSession renders `loading`, or nothing', () => {
    const session = new FakeSession(SIGNED_IN);
    const props = { session, fallback: 'sign in', children: 'secret' };
    expect(renderToString(createElement(RequireSession, { ...props, loading: 'please wait' }))).toBe('please wait');
    expect(renderToString(createElement(RequireSession, props))).toBe('');
  });
});

describe('in a browser', () => {
  let root: TestRoot;
  let errors: jest.SpyInstance;
  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick', 'setImmediate'] });
    jest.spyOn(Math, 'random').mockReturnValue(0);
    errors = jest.spyOn(console, 'error').mockImplementation();
    root = await createTestRoot();
  });
  afterEach(async () => {
    await root.unmount();
    root.close();
    expect(errors.mock.calls).toEqual([]);
    jest.restoreAllMocks();
    jest.useRealTimers();
  });
  const pass = (ms: number): Promise<void> => root.act(() => jest.advanceTimersByTimeAsync(ms));

  describe('useAuthSession', () => {
    test('renders with the current snapshot, and again after each change', async () => {
      const session = new FakeSession(SIGNED_IN);
      const { seen, element } = recorder(session);
      await root.render(element);
      await root.act(() => session.become({ refreshing: true }));
      await root.act(() => session.become({ refreshing: false, generation: 3 }));
      expect(seen).toEqual([
        SIGNED_IN,
        { ...SIGNED_IN, refreshing: true },
        { ...SIGNED_IN, refreshing: false, generation: 3 },
      ]);
    });

    test('a component that selects the status renders 0 times per refresh, and once at the sign-out', async () => {
      const session = new FakeSession(SIGNED_IN);
      const { seen, element } = recorder(session, ({ status }) => status);
      await root.render(element);
      for (let refresh = 0; refresh < 5; refresh++) {
        await root.act(() => session.become({ refreshing: true }));
        await root.act(() =>
          session.become({ refreshing: false, generation: 3 + refresh, expiresAt: 9_000 + refresh }),
        );
      }
      expect(seen).toEqual(['signed-in']);
      await root.act(() => session.become({ status: 'signed-out' }));
      expect(seen).toEqual(['signed-in', 'signed-out']);
    });

    test('`select` may create objects: it runs once per snapshot, and React neither complains nor loops', async () => {
      const session = new FakeSession(SIGNED_IN);
      let selections = 0;
      const { seen, element } = recorder(session, ({ status }) => ({ status, selections: ++selections }));
      await root.render(element);
      await root.act(() => session.become({ generation: 3 }));
      // The recorder passes the same function, so that `select` runs once.
      expect(seen).toEqual([
        { status: 'signed-in', selections: 1 },
        { status: 'signed-in', selections: 2 },
      ]);
    });

    test('an inline `select` that creates objects does not loop', async () => {
      const session = new FakeSession(SIGNED_IN);
      let renders = 0;
      const Inline = (): null => {
        renders++;
        useAuthSession(session, ({ status }) => ({ status }));
        return null;
      };
      await root.render(createElement(Inline));
      await root.act(() => session.become({ generation: 3 }));
      expect(renders).toBe(2);
    });

    test('a render with another `select` returns the value of that one', async () => {
      const session = new FakeSession(SIGNED_IN);
      const seen: unknown[] = [];
      const Picky = ({ part }: { part: keyof SessionSnapshot }): null => {
        seen.push(useAuthSession(session, (snapshot) => snapshot[part]));
        return null;
      };
      await root.render(createElement(Picky, { part: 'status' }));
      await root.render(createElement(Picky, { part: 'generation' }));
      expect(seen).toEqual(['signed-in', 2]);
    });

    test('subscribes to another session instead, and unsubscribes from the first', async () => {
      const [first, second] = [new FakeSession(SIGNED_IN), new FakeSession(SIGNED_OUT)];
      const seen: unknown[] = [];
      const Switching = ({ session }: { session: FakeSession }): null => {
        seen.push(useAuthSession(session, ({ status }) => status));
        return null;
      };
      await root.render(createElement(Switching, { session: first }));
      await root.render(createElement(Switching, { session: second }));
      await root.act(() => first.become({ status: 'expired' }));
      await root.act(() => second.become({ status: 'signed-in' }));
      expect(seen).toEqual(['signed-in', 'signed-out', 'signed-in']);
      expect(first.listeners.size).toBe(0);
    });

    test('subscribes once per component, however often it renders', async () => {
      const session = new FakeSession(SIGNED_IN);
      const subscribe = jest.spyOn(session, 'subscribe');
      const { element } = recorder(session);
      await root.render(element);
      await root.act(() => session.become({ generation: 3 }));
      await root.act(() => session.become({ generation: 4 }));
      expect(subscribe).toHaveBeenCalledTimes(1);
    });
  });

  describe('while the status is `unknown`', () => {
    test('probes the session once, with ten components under StrictMode', async () => {
      const session = new FakeSession(UNKNOWN);
      const { Recorder } = recorder(session);
      const ten = Array.from({ length: 10 }, (_, key) => createElement(Recorder, { key }));
      await root.render(createElement(StrictMode, null, ten));
      await pass(60_000);
      expect(session.asked).toBe(1);
    });

    test('never probes a session with a known status, nor an ended one', async () => {
      for (const snapshot of [SIGNED_IN, SIGNED_OUT, { ...SIGNED_OUT, status: 'expired' } as const]) {
        const session = new FakeSession(snapshot);
        await root.render(recorder(session).element);
        await root.act(() => session.become({ status: 'expired' }));
        await pass(60_000);
        expect(session.asked).toBe(0);
      }
    });

    test('repeats a failed probe after 1, 2, 4, … s, every 30 s at the latest', async () => {
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      await root.render(createElement(StrictMode, null, recorder(session).element));
      const asked = [session.asked];
      for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
        await pass(seconds * 1_000 - 1);
        asked.push(session.asked);
        await pass(1);
        asked.push(session.asked);
      }
      expect(asked).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8]);
    });

    test('jitter shortens each delay by up to a quarter, so that pages do not probe all at once', async () => {
      jest.spyOn(Math, 'random').mockReturnValue(1 - Number.EPSILON);
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      await root.render(recorder(session).element);
      await pass(749);
      expect(session.asked).toBe(1);
      await pass(2);
      expect(session.asked).toBe(2);
    });

    test('a session whose getAccessToken() throws at once counts as failed', async () => {
      const session = new FakeSession(UNKNOWN);
      session.answer = () => {
        throw new Error('out of order');
      };
      await root.render(recorder(session).element);
      await pass(1_000);
      expect(session.asked).toBe(2);
    });

    test.each(['online', 'focus'])('%s ends the pause, and the delays start again', async (type) => {
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      await root.render(recorder(session).element);
      await pass(1_000 + 2_000 + 4_000 + 10);
      expect(session.asked).toBe(4);
      await root.act(() => root.page.dispatchEvent(new Event(type)));
      expect(session.asked).toBe(5);
      await pass(1_000);
      expect(session.asked).toBe(6);
    });

    test('an event during a probe does not start another one', async () => {
      const session = new FakeSession(UNKNOWN);
      await root.render(recorder(session).element);
      await root.act(() => root.page.dispatchEvent(new Event('online')));
      expect(session.asked).toBe(1);
    });

    test('a result ends the probes, and leaves no timer and no listener', async () => {
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      await root.render(recorder(session).element);
      session.answer = async () => {
        session.become({ status: 'signed-in' });
        return 'token';
      };
      await pass(1_000);
      expect([session.asked, root.page.listeners, jest.getTimerCount()]).toEqual([2, 0, 0]);
      await pass(120_000);
      expect(session.asked).toBe(2);
    });

    test('a sign-in during the pause ends the probes', async () => {
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      await root.render(recorder(session).element);
      await root.act(() => session.become({ status: 'signed-in' }));
      await pass(120_000);
      expect([session.asked, root.page.listeners]).toEqual([1, 0]);
    });

    test('probes again if the status becomes `unknown` again, without resetting the delay', async () => {
      const session = new FakeSession(SIGNED_IN);
      session.answer = session.fail;
      await root.render(recorder(session).element);
      await root.act(() => session.become({ status: 'unknown' }));
      expect(session.asked).toBe(1);
      for (let change = 0; change < 5; change++) await root.act(() => session.become({ generation: 9 + change }));
      expect(session.asked).toBe(1);
      await pass(1_000);
      expect(session.asked).toBe(2);
    });

    test.each(['unmounts', 'gets an event'])('no timer is left when the component %s', async (what) => {
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      await root.render(recorder(session).element);
      expect(jest.getTimerCount()).toBe(1);
      if (what === 'unmounts') await root.render(null);
      else await root.act(() => root.page.dispatchEvent(new Event('online')));
      expect(jest.getTimerCount()).toBe(what === 'unmounts' ? 0 : 1);
    });

    test('the last component that unmounts ends the pause, and the next one probes at once', async () => {
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      const { element } = recorder(session);
      await root.render(element);
      await root.render(null);
      expect(root.page.listeners).toBe(0);
      await pass(120_000);
      expect(session.asked).toBe(1);
      await root.render(element);
      expect(session.asked).toBe(2);
    });

    test('a component that unmounts does not end the pause of another', async () => {
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      const { Recorder } = recorder(session);
      await root.render([createElement(Recorder, { key: 'stays' }), createElement(Recorder, { key: 'leaves' })]);
      await root.render([createElement(Recorder, { key: 'stays' })]);
      expect(session.asked).toBe(1);
      await pass(1_000);
      expect(session.asked).toBe(2);
    });

    test('works without events, as in React Native', async () => {
      root.close();
      expect('addEventListener' in globalThis).toBe(false);
      const session = new FakeSession(UNKNOWN);
      session.answer = session.fail;
      const { act } = await import('react');
      const bare = await createTestRoot();
      Reflect.deleteProperty(globalThis, 'addEventListener');
      Reflect.deleteProperty(globalThis, 'removeEventListener');
      await bare.render(recorder(session).element);
      await act(() => jest.advanceTimersByTimeAsync(1_000));
      expect(session.asked).toBe(2);
      await bare.unmount();
      bare.close();
      root = await createTestRoot();
    });
  });

  describe('RequireSession', () => {
    const shown = async (snapshot: SessionSnapshot, fallback: Parameters<typeof RequireSession>[0]['fallback']) => {
      const seen: string[] = [];
      const Part = ({ name }: { name: string }): null => {
        seen.push(name);
        return null;
      };
      const part = (name: string): ReactNode => createElement(Part, { name });
      const session = new FakeSession(snapshot);
      await root.render(
        createElement(RequireSession, {
          session,
          loading: part('loading'),
          fallback: typeof fallback === 'function' ? fallback : part('fallback'),
          children: part('children'),
        }),
      );
      return { seen, session };
    };

    test.each([
      ['unknown', 'loading'],
      ['signed-in', 'children'],
      ['signed-out', 'fallback'],
      ['expired', 'fallback'],
    ] as const)('renders for %s: %s', async (status, expected) => {
      expect((await shown({ ...SIGNED_OUT, status }, null)).seen).toEqual([expected]);
    });

    test.each(['signed-out', 'expired'] as const)('`fallback` as a function gets the status %s', async (status) => {
      const fallback = jest.fn(() => null);
      await shown({ ...SIGNED_OUT, status }, fallback);
      expect(fallback.mock.calls).toEqual([[status]]);
    });

    test('renders again when the status changes', async () => {
      const { seen, session } = await shown(UNKNOWN, null);
      for (const status of ['signed-in', 'expired', 'unknown'] as const)
        await root.act(() => session.become({ status }));
      expect(seen).toEqual(['loading', 'children', 'fallback', 'loading']);
    });
  });

  test('probes a session of bearer() once, and its refresh signs in', async () => {
    const refresh = jest.fn(() => ({ accessToken: 'token' }));
    const session = bearer({ refresh });
    const seen: string[] = [];
    const Status = (): null => {
      seen.push(useAuthSession(session, ({ status }) => status));
      return null;
    };
    await root.render(createElement(StrictMode, null, createElement(Status)));
    await pass(0);
    expect(refresh).toHaveBeenCalledTimes(1);
    expect([...new Set(seen)]).toEqual(['unknown', 'signed-in']);
  });
});

// F104
describe('retryUnlessAuth', () => {
  const errorOf = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);
  const failing = (status: number) => {
    const api = axios.create({
      baseURL: 'https://api.example.com',
      adapter: (config) =>
        Promise.reject(
          Object.assign(new axios.AxiosError('refused', 'ERR_BAD_RESPONSE', config), {
            response: { status, data: {}, headers: {}, config, statusText: '' },
          }),
        ),
    });
    attachAuth(api, { scheme: bearer('token'), retry: false });
    return api;
  };

  test('repeats a failure of another source `max` times', async () => {
    const error = new Error('a bug of the query function');
    expect([0, 1, 2, 3].map((failures) => retryUnlessAuth(2)(failures, error))).toEqual([true, true, false, false]);
    expect(retryUnlessAuth(Infinity)(1_000, error)).toBe(true);
    expect(retryUnlessAuth(1)(0, undefined)).toBe(true);
  });

  test('repeats nothing by default', () => {
    expect(retryUnlessAuth()(0, new Error('a bug of the query function'))).toBe(false);
  });

  test.each([401, 404, 429, 500, 503])('never repeats a call that attachAuth has sent: %i', async (status) => {
    const error = await errorOf(failing(status).get('/x'));
    expect(error).toMatchObject({ response: { status } });
    expect(retryUnlessAuth(Infinity)(0, error)).toBe(false);
  });

  test('never repeats an AuthError, also one without a call', async () => {
    const session = bearer({ refresh: () => Promise.reject(new Error('offline')), refreshTimeoutMs: 50 });
    const error = await errorOf(session.getAccessToken());
    expect(error).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    expect(retryUnlessAuth(Infinity)(0, error)).toBe(false);
  });

  test('repeats a call that bypassed attachAuth', async () => {
    const error = await errorOf(failing(500).get('/x', { attachAuth: false }));
    expect(retryUnlessAuth(1)(0, error)).toBe(true);
  });

  test.each([-1, NaN, 'often'])('throws a TypeError for the number %p', (max) => {
    expect(() => retryUnlessAuth(max as number)).toThrow(
      new TypeError(`retryUnlessAuth(): \`max\` takes a number, 0 or more, but got ${max}`),
    );
  });
});
