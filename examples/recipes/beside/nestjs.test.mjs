// NestJS's HttpService: attach to its `axiosRef`, once, where the module starts (onModuleInit).
import assert from 'node:assert/strict';
import test from 'node:test';
import 'reflect-metadata';
import { HttpModule, HttpService } from '@nestjs/axios';
import { NestFactory } from '@nestjs/core';
import { attachAuth, bearer, exchangeOf } from 'axios-attach-auth';
import { firstValueFrom } from 'rxjs';
import { ten } from '../support/attached.mjs';
import { serveApi } from '../support/serve.mjs';

async function rig(refresh) {
  const api = await serveApi(new Set(['fresh']));
  const app = await NestFactory.createApplicationContext(HttpModule.register({ baseURL: api.origin }), {
    logger: false,
  });
  const http = app.get(HttpService);
  attachAuth(http.axiosRef, { scheme: bearer({ tokens: { accessToken: 'dead', refreshToken: 'r' }, refresh }) });
  return { api, app, http };
}

test('ten calls of an HttpService with a dead token cost one refresh', async () => {
  let refreshes = 0;
  const { app, http } = await rig(() => ({ accessToken: 'fresh', refreshToken: `r${++refreshes}` }));
  const answers = await ten(() => firstValueFrom(http.get('/')));
  assert.deepEqual(new Set(answers.map(({ data }) => data.token)), new Set(['fresh']));
  assert.equal(exchangeOf(answers[0]).attempts, 2);
  assert.equal(refreshes, 1);
  await app.close();
});

test('unsubscribing ends the wait of that call alone', async () => {
  let release;
  const { api, app, http } = await rig(
    () => new Promise((resolve) => (release = () => resolve({ accessToken: 'fresh', refreshToken: 'r2' }))),
  );
  const outcomes = [];
  const subscription = http
    .get('/dropped')
    .subscribe({ next: () => outcomes.push('next'), error: () => outcomes.push('error') });
  const kept = firstValueFrom(http.get('/kept'));
  while (!release) await new Promise((resolve) => setTimeout(resolve, 5));
  subscription.unsubscribe();
  release();
  assert.equal((await kept).status, 200);
  assert.deepEqual(outcomes, []);
  assert.equal(api.refused, 2);
  await app.close();
});
