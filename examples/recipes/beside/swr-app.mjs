/* global document */
// The page of swr.test.mjs.
import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { retryUnlessAuth } from 'axios-attach-auth/react';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import useSWR, { SWRConfig } from 'swr';

const api = axios.create({ baseURL: '/api' });
attachAuth(api, { scheme: bearer('token'), retry: { maxAttempts: 3, baseDelayMs: 1 } });

const mayRetry = retryUnlessAuth(3);
const config = {
  errorRetryInterval: 1,
  errorRetryCount: 3,
  // SWR counts by itself.
  shouldRetryOnError: (error) => mayRetry(0, error),
};
const load = (path) => api.get(path).then(({ data }) => data);
const loadElsewhere = (path) => fetch(path).then(({ status }) => Promise.reject(new Error(`status ${status}`)));

function Orders() {
  const { error } = useSWR('/orders', load);
  // Begins when the first has failed: a retry of the first would come before all of its own.
  useSWR(error ? '/other' : null, loadElsewhere);
  return error?.message;
}

createRoot(document.body).render(createElement(SWRConfig, { value: config }, createElement(Orders)));
