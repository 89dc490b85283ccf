import type { AxiosResponse } from 'axios';
import type { Attachment, ResponseHandler } from '../attachment.js';
import { Exchange } from '../exchange/exchange.js';
import { exchangeBehind } from '../exchange/report.js';

type Settled = PromiseSettledResult<unknown>;

/** The recovery loop: decide, wait or reauthorize, send again, until the call settles. Later handlers see the outcome, once. */
export function responseInterceptor(attachment: Attachment) {
  const fulfilled = (response: AxiosResponse): AxiosResponse | Promise<AxiosResponse> => {
    const exchange = openExchange(response);
    if (!exchange) return response;
    if (exchange.isFine) {
      exchange.finish();
      return response;
    }
    return recovery(exchange, { status: 'fulfilled', value: response }) as Promise<AxiosResponse>;
  };
  const rejected = (error: unknown): Promise<unknown> => {
    const exchange = openExchange(error);
    return exchange ? recovery(exchange, { status: 'rejected', reason: error }) : Promise.reject(error);
  };

  /** The exchange of this instance that is still open; none where an earlier handler put something else in its place. */
  function openExchange(settled: unknown): Exchange | undefined {
    const exchange = exchangeBehind(settled);
    return exchange instanceof Exchange && !exchange.isDone && exchange.attachment === attachment
      ? exchange
      : undefined;
  }

  /** A cache that is asked earlier may answer several calls with what one of them got: then they share its recovery, too. */
  function recovery(exchange: Exchange, first: Settled): Promise<unknown> {
    return (exchange.recovering ??= recover(exchange, first));
  }

  async function recover(exchange: Exchange, first: Settled): Promise<unknown> {
    let settled = first;
    try {
      while (await exchange.next()) {
        // Asked before, since detach() meanwhile takes away the mark between earlier and later ones.
        const earlier = attachment.responseHandlersBefore(fulfilled);
        const resent = await exchange.resend();
        if (!resent) break;
        settled = await through(earlier, resent);
        if (isSomebodyElses(settled, exchange)) break;
      }
    } catch (error) {
      exchange.stopped(error);
    } finally {
      exchange.finish();
    }
    if (settled.status === 'rejected') throw settled.reason as Error;
    return settled.value;
  }

  return { fulfilled, rejected };
}

/** An earlier handler made another call of it, which has its own exchange and has settled. */
function isSomebodyElses(settled: Settled, exchange: Exchange): boolean {
  const other = exchangeBehind(settled.status === 'fulfilled' ? settled.value : settled.reason);
  return other !== undefined && other !== exchange;
}

/** Handlers that were there before ours see every attempt, as they saw the first. */
async function through(handlers: readonly ResponseHandler[], settled: Settled): Promise<Settled> {
  let result: Promise<unknown> =
    settled.status === 'fulfilled' ? Promise.resolve(settled.value) : Promise.reject(settled.reason as Error);
  for (const { fulfilled, rejected } of handlers) result = result.then(fulfilled, rejected);
  const [handedOn] = await Promise.allSettled([result]);
  return handedOn;
}
