/** The parts of a browser that a sign-in needs: cookies, which ignore ports, and redirects. */
export class Browser {
  #cookies = new Map();
  setCookies = [];

  async fetch(url, options = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...options, redirect: 'manual', headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      this.setCookies.push(line);
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    const location = response.headers.get('location');
    return location ? this.fetch(new URL(location, url)) : response;
  }

  get sessionId() {
    return this.#cookies.get('sid');
  }
}
