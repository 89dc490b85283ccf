import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import { orderQuery } from '../queries.js';
import { messageOf, money } from './orders.js';

export function OrderPage() {
  const { id = '' } = useParams();
  const { data: order, error, isPending, refetch } = useQuery(orderQuery(id));
  return (
    <section className="card narrow">
      <title>{`Order ${id}`}</title>
      <h1>Order {id}</h1>
      {isPending && <p role="status">Loading…</p>}
      {error && (
        <>
          <p role="alert">{messageOf(error)}</p>
          <button type="button" onClick={() => void refetch()}>
            Try again
          </button>
        </>
      )}
      {order && (
        <dl>
          <dt>Customer</dt>
          <dd>{order.customer}</dd>
          <dt>Total</dt>
          <dd>{money.format(order.total)}</dd>
        </dl>
      )}
      <p>
        <Link to="/">All orders</Link>
      </p>
    </section>
  );
}
