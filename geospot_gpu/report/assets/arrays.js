// Typed arrays out of the text that the page holds: base64, inflated, bytes put together again.
{
  const TYPES = { float32: Float32Array, int32: Int32Array, int16: Int16Array, uint8: Uint8Array };
  const cache = new Map();

  const inflated = async (text) => {
    const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const read = async (name) => {
    const about = G.data.arrays[name];
    const planes = await inflated(document.getElementById(`array-${name}`).textContent);
    const type = TYPES[about.dtype];
    const size = type.BYTES_PER_ELEMENT;
    const count = planes.length / size;
    const bytes = new Uint8Array(planes.length);
    for (let b = 0; b < size; b++) {
      for (let k = 0; k < count; k++) bytes[k * size + b] = planes[b * count + k];
    }
    if (!about.base) return new type(bytes.buffer);
    const base = await G.array(about.base.startsWith("pairs_") ? about.base : `pairs_${about.base}`);
    const bits = new Int32Array(bytes.buffer);
    const from = new Int32Array(base.buffer);
    for (let k = 0; k < count; k++) bits[k] = (bits[k] + from[k]) | 0;
    return new Float32Array(bits.buffer);
  };

  // A promise of an array, which is read once; null where the page has none of this name.
  G.array = (name) => {
    if (!(name in G.data.arrays)) return Promise.resolve(null);
    if (!cache.has(name)) cache.set(name, read(name));
    return cache.get(name);
  };
}
