// Equal Earth: an equal-area map (Savric, Patterson and Jenny, IJGIS 2019), in units of its radius.
{
  const A = [1.340264, -0.081106, 0.000893, 0.003796];
  const M = Math.sqrt(3) / 2;
  const HUNDREDTHS = 100; // of a degree: what the land is given in

  G.projected = (lon, lat) => {
    const p = Math.asin(M * Math.sin((lat * Math.PI) / 180));
    const s = p * p, t = s * s * s;
    const width = M * (A[0] + 3 * A[1] * s + t * (7 * A[2] + 9 * A[3] * s));
    return [((lon * Math.PI) / 180) * Math.cos(p) / width, p * (A[0] + A[1] * s + t * (A[2] + A[3] * s))];
  };
  G.EDGE = [G.projected(180, 0)[0], G.projected(0, 90)[1]];

  // Rings of projected corners, [x0, y0, x1, y1, ...]; none where the page has no land.
  G.land = async () => {
    const steps = await G.array("land_steps"), corners = await G.array("land_corners");
    if (!steps) return [];
    const rings = [];
    let at = 0;
    for (const count of corners) {
      const ring = new Float32Array(2 * count);
      let lon = 0, lat = 0;
      for (let k = 0; k < count; k++, at++) {
        lon += steps[2 * at];
        lat += steps[2 * at + 1];
        ring.set(G.projected(lon / HUNDREDTHS, lat / HUNDREDTHS), 2 * k);
      }
      rings.push(ring);
    }
    return rings;
  };

  // The edge of the world, and every thirtieth degree.
  G.graticule = () => {
    const line = (from, to, at) => Array.from({ length: 37 }, (_, k) => at(from + ((to - from) * k) / 36));
    const lines = [];
    for (let lon = -180; lon <= 180; lon += 30) lines.push(line(-90, 90, (lat) => G.projected(lon, lat)));
    for (let lat = -60; lat <= 60; lat += 30) lines.push(line(-180, 180, (lon) => G.projected(lon, lat)));
    const edge = [...lines[0], ...line(-180, 180, (lon) => G.projected(lon, 90)),
      ...lines[12].toReversed(), ...line(180, -180, (lon) => G.projected(lon, -90))];
    return { lines, edge };
  };
}
