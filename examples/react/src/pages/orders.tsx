import { useQueries, useQuery } from '@tanstack/react-query';
import { isAuthError } from 'axios-attach-auth';
import { useState } from 'react';
import { Link } from 'react-router';
import { orderIdsQuery, orderQuery, queryClient } from '../queries.js';
import { demo } from '../session.js';

export const money = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });

export function OrdersPage() {
  const { data: ids = [], error } = useQuery(orderIdsQuery);
  const [isWanted, setWanted] = useState(false);
  const orders = useQueries({ queries: ids.map((id) => ({ ...orderQuery(id), enabled: isWanted })) });

  const loadAll = async (before?: () => Promise<unknown>): Promise<void> => {
    await before?.();
    setWanted(true);
    await queryClient.resetQueries({ predicate: ({ queryKey }) => queryKey[0] === 'orders' && queryKey.length > 1 });
  };

  const loaded = orders.flatMap(({ data }) => data ?? []);
  const failed = orders.filter((query) => query.isError).length;
  const again = loaded.filter(({ attempts }) => attempts > 1).length;
  return (
    <>
      <title>Your orders</title>
      <h1>Your orders</h1>
      <section className="card" aria-labelledby="try">
        <h2 id="try">Try it</h2>
        <p>Each order is a request of its own. All thirty are sent at once.</p>
        <div className="actions">
          <button type="button" className="primary" onClick={() => void loadAll()}>
            Load thirty orders
          </button>
          <button type="button" onClick={() => void loadAll(() => demo.expireAfter(10))}>
            Load, and expire the token after ten
          </button>
          <button type="button" onClick={() => void loadAll(demo.endSession)}>
            End my session on the server, then load
          </button>
        </div>
        <p role="status">
          {isWanted && `${loaded.length} of ${ids.length} loaded, ${again} sent twice, ${failed} failed.`}
        </p>
      </section>
      {error && <p role="alert">{messageOf(error)}</p>}
      <ul className="orders">
        {ids.map((id, index) => (
          <li key={id}>
            <Link to={`/orders/${id}`}>Order {id}</Link>
            <span>{totalOf(orders[index]?.data?.total)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

const totalOf = (total: number | undefined): string => (total === undefined ? '–' : money.format(total));

export function messageOf(error: Error): string {
  // The session is kept: the refresh may succeed in a moment.
  if (isAuthError(error) && error.code === 'ERR_AUTH_REFRESH_FAILED') return 'You seem to be offline.';
  return 'This could not be loaded.';
}
