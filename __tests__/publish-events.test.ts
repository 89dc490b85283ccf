import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import axios from 'axios';
import { attachAuth, bearer, type AuthEvent } from '../lib/index.js';
import { publishEvents } from '../lib/node.js';
import { inTurn, servers } from './support/answers.js';

const NAME = 'axios-attach-auth:event';
const start = servers();

test('publishEvents() publishes every event of a call to subscribers of its channel', async () => {
  const server = await start(inTurn(401, 200));
  const api = axios.create({ baseURL: server.origin });
  const own: AuthEvent[] = [];
  const publish = publishEvents();
  attachAuth(api, {
    scheme: bearer({ tokens: { accessToken: 'canary-1' }, refresh: () => ({ accessToken: 'canary-2' }) }),
    onEvent: (event) => {
      own.push(event);
      publish(event);
    },
  });
  const published: unknown[] = [];
  const receive = (message: unknown, name: string | symbol): void => {
    expect(name).toBe(NAME);
    published.push(message);
  };
  subscribe(NAME, receive);
  try {
    await api.get('/');
    await Promise.resolve();
  } finally {
    unsubscribe(NAME, receive);
  }
  expect(own.map(({ type }) => type)).toEqual(expect.arrayContaining(['refreshing', 'refreshed', 'replay']));
  expect(published).toEqual(own);
  expect(JSON.stringify(published)).not.toContain('canary');
});

test('publishEvents() publishes nothing while there is no subscriber, and starts with the first one', () => {
  const events = channel(NAME);
  const publish = jest.spyOn(events, 'publish');
  // Other test files of this process may have subscribed.
  const hasSubscribers = jest.spyOn(events, 'hasSubscribers', 'get').mockReturnValue(false);
  const event: AuthEvent = { at: 1, type: 'signed-out', generation: 2 };
  const onEvent = publishEvents();
  onEvent(event);
  expect(publish).not.toHaveBeenCalled();
  publish.mockRestore();
  hasSubscribers.mockRestore();
  const received: unknown[] = [];
  const receive = (message: unknown): void => void received.push(message);
  subscribe(NAME, receive);
  onEvent(event);
  unsubscribe(NAME, receive);
  onEvent(event);
  expect(received).toEqual([event]);
});
