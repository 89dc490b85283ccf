import axios from 'axios';

/** AXIOS_ADAPTER names the adapter of all instances that name none themselves. */
const name = process.env['AXIOS_ADAPTER'];
if (name !== undefined) axios.defaults.adapter = name as 'http' | 'fetch';

/** HTTP/2, proxies, agents and the code of a broken connection are the http adapter's own. */
export const isHttp = name === undefined || name === 'http';
