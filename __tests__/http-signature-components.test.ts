// Before Object.prototype is polluted (jest.pollution.config.ts).
import 'structured-headers';
import type { Component } from '../lib/http-signature.js';
import { componentOf, signatureBase } from '../lib/http-signature/message.js';

const EXAMPLE = 'https://www.example.com/path?param=value';

/** The line of the signature base for one component. */
const lineOf = async (
  component: string | Component,
  message: { url?: string; headers?: object } = {},
): Promise<string> => {
  const { url = EXAMPLE, headers = {} } = message;
  const base = await signatureBase([componentOf(component)], '()', { method: 'POST', url: new URL(url), headers });
  return new TextDecoder().decode(base).split('\n"@signature-params"')[0] ?? '';
};

// RFC 9421 §2.2.1 to §2.2.8
test.each<[string | Component, string, string]>([
  ['@method', '"@method": POST', EXAMPLE],
  ['@METHOD', '"@method": POST', EXAMPLE],
  ['@target-uri', '"@target-uri": https://www.example.com/path?param=value', EXAMPLE],
  ['@target-uri', `"@target-uri": ${EXAMPLE}`, `${EXAMPLE}#part`],
  ['@target-uri', `"@target-uri": ${EXAMPLE}`, EXAMPLE.replace('//', '//user:secret@')],
  ['@authority', '"@authority": www.example.com', EXAMPLE],
  ['@authority', '"@authority": www.example.com:8443', 'https://WWW.example.com:8443/'],
  ['@authority', '"@authority": www.example.com', 'https://www.example.com:443/'],
  ['@scheme', '"@scheme": https', EXAMPLE],
  ['@request-target', '"@request-target": /path?param=value', EXAMPLE],
  ['@path', '"@path": /path', EXAMPLE],
  ['@path', '"@path": /', 'https://www.example.com'],
  [
    '@query',
    '"@query": ?param=value&foo=bar&baz=bat%2Dman',
    'https://a.example/path?param=value&foo=bar&baz=bat%2Dman',
  ],
  ['@query', '"@query": ?', 'https://a.example/path'],
  ['@query', '"@query": ?', 'https://a.example/path?'],
  [
    { name: '@query-param', params: { name: 'baz' } },
    '"@query-param";name="baz": batman',
    'https://a.example/?param=value&baz=batman&qux=',
  ],
  [
    { name: '@query-param', params: { name: 'qux' } },
    '"@query-param";name="qux": ',
    'https://a.example/?param=value&baz=batman&qux=',
  ],
  [
    { name: '@query-param', params: { name: 'var' } },
    '"@query-param";name="var": this%20is%20a%20big%0Amultiline%20value',
    'https://a.example/?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace',
  ],
  [
    { name: '@query-param', params: { name: 'bar' } },
    '"@query-param";name="bar": with%20plus%20whitespace',
    'https://a.example/?var=this&bar=with+plus+whitespace',
  ],
  [
    { name: '@query-param', params: { name: 'fa%C3%A7ade%22%3A%20' } },
    '"@query-param";name="fa%C3%A7ade%22%3A%20": something',
    'https://a.example/?fa%C3%A7ade%22%3A%20=something',
  ],
  [
    { name: '@query-param', params: { name: 'a' } },
    '"@query-param";name="a": %21%27%28%29%7E*-._',
    "https://a.example/?a=!'()~*-._",
  ],
])('%j gives %s', async (component, line, url) => {
  expect(await lineOf(component, { url })).toBe(line);
});

// RFC 9421 §2.1, §2.1.1 to §2.1.3
test.each<[string | Component, object, string]>([
  [
    'X-OWS-Header',
    { 'X-OWS-Header': '  Leading and trailing whitespace.  ' },
    '"x-ows-header": Leading and trailing whitespace.',
  ],
  [
    'cache-control',
    { 'Cache-Control': ['max-age=60', '  must-revalidate'] },
    '"cache-control": max-age=60, must-revalidate',
  ],
  ['x-empty-header', { 'X-Empty-Header': '' }, '"x-empty-header": '],
  ['x-number', { 'X-Number': 18 }, '"x-number": 18'],
  [
    { name: 'Example-Dict', params: {} },
    { 'Example-Dict': 'a=1,    b=2;x=1;y=2' },
    '"example-dict": a=1,    b=2;x=1;y=2',
  ],
  [
    { name: 'example-dict', params: { sf: true } },
    { 'Example-Dict': '  a=1,    b=2;x=1;y=2,   c=(a   b   c)  ' },
    '"example-dict";sf: a=1, b=2;x=1;y=2, c=(a b c)',
  ],
  [
    { name: 'example-list', params: { sf: true } },
    { 'Example-List': '"a",  b;q=1.50' },
    '"example-list";sf: "a", b;q=1.5',
  ],
  [
    { name: 'example-dict', params: { key: 'a' } },
    { 'Example-Dict': ' a=1, b=2;x=1;y=2, c=(a   b    c), d' },
    '"example-dict";key="a": 1',
  ],
  [
    { name: 'example-dict', params: { key: 'b' } },
    { 'Example-Dict': ' a=1, b=2;x=1;y=2, c=(a   b    c), d' },
    '"example-dict";key="b": 2;x=1;y=2',
  ],
  [
    { name: 'example-dict', params: { key: 'c' } },
    { 'Example-Dict': ' a=1, b=2;x=1;y=2, c=(a   b    c), d' },
    '"example-dict";key="c": (a b c)',
  ],
  [
    { name: 'example-dict', params: { key: 'd' } },
    { 'Example-Dict': ' a=1, b=2;x=1;y=2, c=(a   b    c), d' },
    '"example-dict";key="d": ?1',
  ],
  [
    { name: 'example-header', params: { bs: true } },
    { 'Example-Header': ['value, with, lots', 'of, commas'] },
    '"example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:',
  ],
  [
    { name: 'example-header', params: { bs: true } },
    { 'Example-Header': 'value, with, lots, of, commas' },
    '"example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:',
  ],
  [{ name: 'x-text', params: { bs: true } }, { 'X-Text': 'caf\u00e9' }, '"x-text";bs: :Y2Fm6Q==:'],
])('%j of %j gives %s', async (component, headers, line) => {
  expect(await lineOf(component, { headers })).toBe(line);
});
