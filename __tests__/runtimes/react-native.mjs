// React Native without a phone: its URL class, its AbortController, an XMLHttpRequest, and none of the globals that it lacks.
// Everything is compiled by its Babel preset, and Hermes's compiler accepts the result.
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { execute, needs } from './tools.mjs';

const require = createRequire(import.meta.url);

const ENTRY = `
  import { URL, URLSearchParams } from 'react-native/Libraries/Blob/URL';
  import { AbortController, AbortSignal } from 'abort-controller/dist/abort-controller';
  Object.assign(globalThis, { URL, URLSearchParams, AbortController, AbortSignal });
  globalThis.run = (options) => require('./conformance.mjs').conformance(options);`;

/** The part of React Native's XMLHttpRequest that axios uses. It follows redirects, as the platforms do. */
class XMLHttpRequest {
  #method;
  #headers = {};
  #answer;
  status = 0;
  statusText = '';
  responseText = '';
  readyState = 0;

  open(method, url) {
    this.#method = method;
    this.responseURL = url;
  }
  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }
  addEventListener() {}
  send(body) {
    const sent = request(this.responseURL, { method: this.#method, headers: this.#headers }, (answer) => {
      if (answer.statusCode >= 300 && answer.statusCode < 400 && answer.headers.location) {
        answer.resume();
        this.responseURL = answer.headers.location;
        return void this.send(body);
      }
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      answer.on('end', () => {
        this.#answer = answer;
        Object.assign(this, { status: answer.statusCode, statusText: answer.statusMessage, responseText: text });
        Object.assign(this, { response: text, readyState: 4 });
        this.onreadystatechange?.();
        this.onloadend?.();
      });
    });
    sent.on('error', (error) => this.onerror?.(error));
    sent.end(body ?? undefined);
  }
  getAllResponseHeaders() {
    return Object.entries(this.#answer.headers)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\r\n');
  }
  abort() {}
}

/** Every module goes through the Babel preset, as Metro does it. */
const babel = (transform) => ({
  name: 'babel',
  setup(build) {
    build.onLoad({ filter: /\.[cm]?js$/ }, ({ path }) => {
      const { code } = transform(readFileSync(path, 'utf8'), {
        ...{ filename: path, babelrc: false, configFile: false, sourceType: 'unambiguous' },
        presets: [[require.resolve('@react-native/babel-preset'), { disableImportExportTransform: true, dev: false }]],
        // The files of React Native are written in Flow, and need its parser.
        parserOpts: { plugins: ['flow', 'jsx'] },
      });
      return { contents: code, loader: 'js' };
    });
  },
});

export const reactNative = [
  {
    name: 'React Native',
    async run({ api, foreign, here, work }) {
      needs(join(here, 'node_modules/react-native'), 'react-native');
      const { build } = await import('esbuild');
      const { transformSync } = await import('@babel/core');
      const { outputFiles } = await build({
        stdin: { contents: ENTRY, resolveDir: here },
        ...{ bundle: true, write: false, format: 'iife', target: 'es2022', logLevel: 'error' },
        // The same resolution as in Metro for React Native.
        ...{
          platform: 'neutral',
          conditions: ['react-native', 'require'],
          mainFields: ['react-native', 'browser', 'main'],
        },
        plugins: [babel(transformSync)],
        // All modules are strict. Bundled into a script, they would not be.
        banner: { js: "'use strict';" },
      });
      const bundle = join(work, 'react-native.js');
      writeFileSync(bundle, outputFiles[0].text);
      const hermesc = needs(join(here, 'node_modules/hermes-compiler/hermesc/linux64-bin/hermesc'), 'hermesc');
      await execute(hermesc, ['-emit-binary', '-w', '-out', join(work, 'react-native.hbc'), bundle]);

      const timers = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, queueMicrotask };
      const context = createContext({
        ...timers,
        console,
        XMLHttpRequest,
        FormData: class FormData {},
        Blob: class Blob {},
      });
      const lacking = ['FinalizationRegistry', 'SharedArrayBuffer', 'WebAssembly', 'Atomics'];
      const setup = `
        globalThis.window = globalThis.self = globalThis.global = globalThis;
        globalThis.navigator = { product: 'ReactNative' };
        globalThis.process = { env: { NODE_ENV: 'production' } };
        globalThis.performance = { now: () => Date.now() };
        for (const name of ${JSON.stringify(lacking)}) delete globalThis[name];
        globalThis.__DEV__ = false;
        // No native modules.
        globalThis.nativeModuleProxy = {};`;
      runInContext(setup, context);
      runInContext(outputFiles[0].text, context);
      return [['', await context.run({ api, foreign, build: 'browser', followsInside: true })]];
    },
  },
];
