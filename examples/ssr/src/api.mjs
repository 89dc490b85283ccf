import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';

/**
 * The API as the user of one request. The browser's cookie goes to the auth server, and the cookie that the auth server sets
 * goes back to the browser: this server keeps nothing of a user.
 */
export function apiFor(request, response, { apiUrl, authUrl }) {
  const session = bearer({
    refresh: async ({ client }) => {
      const { cookie } = request.headers;
      if (!cookie) return null;
      const answer = await client.post(`${authUrl}/refresh`, null, { headers: { cookie } });
      response.append('Set-Cookie', answer.headers['set-cookie'] ?? []);
      return answer.data;
    },
  });
  const api = axios.create({ baseURL: apiUrl });
  const handle = attachAuth(api, { scheme: session, deadlineMs: 5_000 });
  // The browser has closed the connection.
  response.once('close', () => handle.detach());
  return api;
}
