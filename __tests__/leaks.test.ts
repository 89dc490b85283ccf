import axios, { type AxiosRequestConfig } from 'axios';
import { DeadlineTimer, type OpenWait } from '../lib/call/deadline-timer.js';
import { listeners, listenersOf, scenes, type Scene } from './support/scenes.js';
import { reasonOf, underway } from './support/stage.js';

/** The waits that have not ended. */
const waits = new Set<OpenWait>();
/** How often a wait was checked after its end. */
let lateChecks = 0;

const { add, delete: remove } = DeadlineTimer.prototype;
DeadlineTimer.prototype.add = function (wait) {
  const check = wait.check.bind(wait);
  wait.check = () => {
    if (!waits.has(wait)) lateChecks++;
    check();
  };
  waits.add(wait);
  add.call(this, wait);
};
DeadlineTimer.prototype.delete = function (wait) {
  waits.delete(wait);
  return remove.call(this, wait);
};

const endings: [string, string, (scene: Scene, controller: AbortController, cancel: () => void) => void][] = [
  ['its signal', 'ERR_CANCELED', (_scene, controller) => controller.abort()],
  ['its CancelToken', 'ERR_CANCELED', (_scene, _controller, cancel) => cancel()],
  ['detach()', 'ERR_AUTH_DETACHED', ({ handle }) => handle.detach()],
  ['signOut()', 'ERR_AUTH_SESSION_CHANGED', ({ scheme }) => underway(scheme.signOut())],
  [
    'signIn() of another principal',
    'ERR_AUTH_SESSION_CHANGED',
    ({ scheme, stage }) => underway(scheme.signIn(stage.tokens.issue('bob'))),
  ],
];

/** No wait is left that a later change would check. */
async function leavesNothing({ stage, scheme, handle }: Scene): Promise<void> {
  await stage.clock.advance(60_000);
  lateChecks = 0;
  void scheme.signOut();
  handle.detach();
  await stage.clock.advance(10_000);
  expect(lateChecks).toBe(0);
  expect(stage.clock.pending).toBe(0);
}

/** A call with a signal and a CancelToken. */
function endable(): {
  config: AxiosRequestConfig;
  controller: AbortController;
  cancel: () => void;
  left: () => object;
} {
  const controller = new AbortController();
  const source = axios.CancelToken.source();
  return {
    config: { signal: controller.signal, cancelToken: source.token },
    controller,
    cancel: () => {
      source.cancel();
    },
    left: () => ({
      signal: listeners(controller.signal),
      cancelToken: listenersOf(source),
      waits: waits.size,
    }),
  };
}

const NOTHING = { signal: 0, cancelToken: 0, waits: 0 };
const ONE = { signal: 1, cancelToken: 1, waits: 1 };

// F57 F60 F61, I8
describe.each(scenes)('a call that waits for %s', (_, make) => {
  test.each(endings)('and ends with %s at once leaves no listener, no waiter and no timer', async (_, code, end) => {
    const scene = make();
    const { stage, call, afterMs } = scene;
    const { config, controller, cancel, left } = endable();
    const waiting = underway(call(config));
    await stage.clock.advance(afterMs);
    expect(left()).toEqual(ONE);

    end(scene, controller, cancel);

    expect(reasonOf(await stage.clock.until(waiting)).code).toBe(code);
    expect(stage.clock.monotonic()).toBe(afterMs);
    expect(left()).toEqual(NOTHING);
    // signOut() and signIn() keep the process alive while they wait for the store.
    if (code !== 'ERR_AUTH_SESSION_CHANGED') expect(stage.clock.holding).toBe(0);
    await leavesNothing(scene);
    expect(left()).toEqual(NOTHING);
  });

  test('and ends with its deadline leaves no listener, no waiter and no timer', async () => {
    const scene = make();
    const { stage, call, afterMs, beginsAtMs = 0 } = scene;
    const { config, left } = endable();
    const deadlineMs = afterMs + 10;

    const settled = await stage.clock.until(call({ ...config, attachAuth: { deadlineMs } }));

    expect(settled.status).toBe('rejected');
    expect(stage.clock.monotonic()).toBeLessThanOrEqual(beginsAtMs + deadlineMs);
    expect(left()).toEqual(NOTHING);
    expect(stage.clock.holding).toBe(0);
    await leavesNothing(scene);
  });

  test('and succeeds leaves no listener, no waiter and no timer', async () => {
    const scene = make();
    const { stage, call } = scene;
    const { config, left } = endable();

    expect(await stage.outcome(call(config))).toMatchObject({ status: 200 });

    expect(left()).toEqual(NOTHING);
    expect(stage.clock.holding).toBe(0);
    await leavesNothing(scene);
  });
});
