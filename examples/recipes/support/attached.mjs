import axios from 'axios';
import { attachAuth } from 'axios-attach-auth';

/** An instance of an app, attached. */
export function attached(session, baseURL) {
  const api = axios.create({ baseURL });
  attachAuth(api, { scheme: session });
  return api;
}

/** Ten calls at once. */
export const ten = (call) => Promise.all(Array.from({ length: 10 }, call));

/** The code of an error, or the status of a response. */
export const outcome = (call) =>
  call.then(
    ({ status }) => status,
    (error) => error.code,
  );
