import { createElement } from 'react';
import { renderToString } from 'react-dom/server';

const HEAD = `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Account</title>`;

function Account({ name, orders }) {
  return createElement(
    'main',
    null,
    createElement('h1', null, name),
    createElement('ul', null, ...orders.map((order) => createElement('li', { key: order }, order))),
  );
}

/** Loads and renders the page of the user. Its calls run side by side, and share one refresh. */
export async function accountPage(api) {
  const [me, orders] = await Promise.all([api.get('/me'), api.get('/orders')]);
  const page = createElement(Account, { name: me.data.name, orders: orders.data });
  return `${HEAD}${renderToString(page)}`;
}
