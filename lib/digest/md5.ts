const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

/** MD5 (RFC 1321). WebCrypto has none, and node:crypto has none in FIPS mode. */
export function md5(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = data;
  const bytes = new Uint8Array(((length + 72) >> 6) << 6);
  bytes.set(data);
  bytes[length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 8, length << 3, true);
  view.setUint32(bytes.length - 4, length >>> 29, true);
  const sines = Array.from(bytes.subarray(0, 64), (_, step) => Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32));
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let block = 0; block < bytes.length; block += 64) {
    let [a = 0, b = 0, c = 0, d = 0] = state;
    sines.forEach((sine, step) => {
      const [mixed, word] =
        step < 16
          ? [(b & c) | (~b & d), step]
          : step < 32
            ? [(d & b) | (~d & c), step * 5 + 1]
            : step < 48
              ? [b ^ c ^ d, step * 3 + 5]
              : [c ^ (b | ~d), step * 7];
      const sum = (a + mixed + sine + view.getUint32(block + (word & 15) * 4, true)) | 0;
      const shift = SHIFTS[(step >> 4) * 4 + (step & 3)] ?? 0;
      [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0];
    });
    state = [a, b, c, d].map((value, index) => (value + (state[index] ?? 0)) | 0);
  }
  return new Uint8Array(Int32Array.from(state).buffer);
}
