import type * as inNode from './platform.node.js';

/*
 * Replaces platform.node.ts in pages and React Native, which have no streams of Node, no sockets and no process.
 */

export type { BodyStream } from './platform.node.js';

export const NETWORK_CODE = /^ERR_NETWORK$/;

export const FINAL_CODE =
  /^(?:ECONNABORTED|ERR_(?:CANCELED|BAD_OPTION.*|BAD_REQUEST|INVALID_URL|NOT_SUPPORT|DEPRECATED|FORM_DATA.*|AUTH_.*))$/;

export const heldUntil: typeof inNode.heldUntil = (_clock, work) => work;
export const bodyStream: typeof inNode.bodyStream = () => undefined;
export const isMadeOfValues: typeof inNode.isMadeOfValues = () => false;
export const recordValues: typeof inNode.recordValues = () => undefined;
export const destroy: typeof inNode.destroy = () => undefined;
export const guardStream: typeof inNode.guardStream = () => undefined;
export const hideIn: typeof inNode.hideIn = () => undefined;
export const hasSocketPath: typeof inNode.hasSocketPath = () => false;

/** XMLHttpRequest writes the charset in upper case. A custom adapter may use it. */
export const settleType: typeof inNode.settleType = ({ headers }) => {
  const type = headers.get('Content-Type');
  if (type) headers.set('Content-Type', String(type).replace(/=utf-8/i, '=UTF-8'));
};
