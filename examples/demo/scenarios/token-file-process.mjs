import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { fileStore } from 'axios-attach-auth/node';
import { numbered } from '../lab.mjs';

const [who, baseURL, file] = process.argv.slice(2);
process.on('disconnect', () => process.exit());

const api = numbered(axios.create({ baseURL }), who);
attachAuth(api, {
  scheme: bearer({
    store: fileStore(file),
    async refresh({ refreshToken, client }) {
      const form = refreshToken
        ? { grant_type: 'refresh_token', refresh_token: refreshToken }
        : { grant_type: 'password', username: 'ada', password: 'engine' };
      const { data } = await client.post('/token', new URLSearchParams(form));
      return data;
    },
  }),
});

const { status } = await api.get('/me');
process.send(status, () => process.disconnect());
