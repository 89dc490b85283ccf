// In the style of OpenAPI generators for axios: its own base path, the plain axios instance by default, absolute URLs.
import globalAxios from 'axios';

export const BASE_PATH = 'https://api.example.com/v1';

export class PetsApi {
  constructor(configuration, basePath = configuration?.basePath ?? BASE_PATH, axios = globalAxios) {
    this.basePath = basePath;
    this.axios = axios;
  }

  getPet(id, options = {}) {
    const url = `/pets/${encodeURIComponent(id)}`;
    return this.axios.request({
      ...options,
      method: 'GET',
      url: (this.axios.defaults.baseURL ? '' : this.basePath) + url,
    });
  }

  addPet(pet, options = {}) {
    const headers = { 'Content-Type': 'application/json', ...options.headers };
    const data = JSON.stringify(pet);
    return this.axios.request({ ...options, method: 'POST', headers, data, url: this.basePath + '/pets' });
  }
}
