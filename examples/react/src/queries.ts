import { QueryClient, queryOptions } from '@tanstack/react-query';
import { exchangeOf } from 'axios-attach-auth';
import { retryUnlessAuth } from 'axios-attach-auth/react';
import { api, session } from './session.js';

export interface Order {
  readonly id: number;
  readonly customer: string;
  readonly total: number;
  /** The number of sends of the call. */
  readonly attempts: number;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // attachAuth retries already. A second layer would multiply the attempts.
      retry: retryUnlessAuth(),
      // The demo shows the calls of one click, and no others.
      refetchOnWindowFocus: false,
      staleTime: 60_000,
    },
  },
});

/** The next user must not see the data of the previous one. */
session.subscribe(() => {
  const { status } = session.getSnapshot();
  if (status === 'signed-out' || status === 'expired') queryClient.clear();
});

export const userQuery = queryOptions({
  queryKey: ['me'],
  queryFn: async ({ signal }) => (await api.get<{ user: string }>('/api/me', { signal })).data.user,
});

export const orderIdsQuery = queryOptions({
  queryKey: ['orders'],
  queryFn: async ({ signal }) => (await api.get<number[]>('/api/orders', { signal })).data,
});

export const orderQuery = (id: string | number) =>
  queryOptions({
    queryKey: ['orders', String(id)],
    queryFn: async ({ signal }): Promise<Order> => {
      const response = await api.get<Omit<Order, 'attempts'>>(`/api/orders/${id}`, { signal });
      return { ...response.data, attempts: exchangeOf(response)?.attempts ?? 1 };
    },
  });
