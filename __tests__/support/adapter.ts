import axios from 'axios';

/** AXIOS_ADAPTER names the adapter of all instances without their own. */
const name = process.env['AXIOS_ADAPTER'];
if (name !== undefined) axios.defaults.adapter = name as 'http' | 'fetch';

/** Only the http adapter has HTTP/2, proxies, agents and codes of broken connections. */
export const isHttp = name === undefined || name === 'http';
