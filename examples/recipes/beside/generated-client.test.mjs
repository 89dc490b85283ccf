// A generated client has its own instance and sends absolute URLs: set the origins that may get credentials in `origins`.
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { outcome, ten } from '../support/attached.mjs';
import { serveApi } from '../support/serve.mjs';
import { PetsApi } from './generated/pets-api.mjs';

const handles = [];
afterEach(() => handles.splice(0).forEach((handle) => handle.detach()));

async function rig(instance, optionsFor = ({ origin }) => ({ origins: [origin] })) {
  const api = await serveApi(new Set(['fresh']));
  let refreshes = 0;
  const refresh = () => ({ accessToken: 'fresh', refreshToken: `r${++refreshes}` });
  const session = bearer({ tokens: { accessToken: 'dead', refreshToken: 'r' }, refresh });
  handles.push(attachAuth(instance, { scheme: session, ...optionsFor(api) }));
  return { api, refreshes: () => refreshes, pets: new PetsApi({ basePath: `${api.origin}/v1` }, undefined, instance) };
}

for (const [name, create] of [
  ['an instance that it is given', () => axios.create()],
  ['the global axios, which it uses by default', () => axios],
]) {
  test(`on ${name}: ten calls with a dead token cost one refresh`, async () => {
    const { pets, refreshes } = await rig(create());
    const answers = await ten((_, index) => (index % 2 ? pets.getPet(index) : pets.addPet({ index })));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(refreshes(), 1);
  });
}

test('without `origins` nothing is sent, and the error names the option', async () => {
  const { api, pets } = await rig(axios.create(), () => ({}));
  const error = await pets.getPet(1).catch((thrown) => thrown);
  assert.equal(error.code, 'ERR_AUTH_FOREIGN_ORIGIN');
  assert.match(error.message, /origins/);
  assert.deepEqual([api.refused, api.bare], [0, 0]);
});

test('a client of another API gets no credentials', async () => {
  const instance = axios.create();
  await rig(instance);
  const other = await serveApi();
  const foreign = new PetsApi({ basePath: `${other.origin}/v1` }, undefined, instance);
  assert.equal(await outcome(foreign.getPet(1)), 'ERR_BAD_REQUEST');
  assert.equal(other.bare, 1);
});
