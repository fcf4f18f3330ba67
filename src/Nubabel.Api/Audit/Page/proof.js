// Verifies checkpoints and single entries here, in the browser, from what was stored: the server's word is not taken for it. docs/audit.md has the format.
const bytesOf = text => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0));
const fromHex = hex => Uint8Array.from(hex.match(/../g) ?? [], pair => parseInt(pair, 16));
const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
const sha = async bytes => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

function joined(arrays) {
  const all = new Uint8Array(arrays.reduce((sum, a) => sum + a.length, 0));
  let at = 0;
  for (const a of arrays) { all.set(a, at); at += a.length; }
  return all;
}

function part(text) {
  if (text === null || text === undefined) return new Uint8Array([255, 255, 255, 255]);
  const bytes = new TextEncoder().encode(text);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  return joined([length, bytes]);
}

// What a checkpoint says, once one of the keys has been found to have signed it.
export async function checkpoint(statement, keys) {
  const [header, payload, signature] = statement.split('.');
  const head = JSON.parse(new TextDecoder().decode(bytesOf(header)));
  const jwk = keys.keys.find(k => k.kid === head.kid);
  if (head.alg !== 'ES256' || head.typ !== 'nubabel-checkpoint+jwt' || !jwk) throw new Error('No known key has signed the checkpoint.');
  const key = await crypto.subtle.importKey('jwk', { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y }, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
  const good = await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, bytesOf(signature), new TextEncoder().encode(`${header}.${payload}`));
  if (!good) throw new Error('The signature of the checkpoint is wrong.');
  return JSON.parse(new TextDecoder().decode(bytesOf(payload)));
}

// From the stored event to the signed link. Null where no checkpoint covers the entry yet.
export async function entry(answer, position, keys, organization) {
  const digests = answer.digests.map(fromHex);
  const e = answer.event;
  if (e && e.position !== position) throw new Error('The proof is of another entry.');
  if (e && !e.withheld) {
    const parts = [String(e.position), e.id, e.tenant, e.stream, String(e.version), e.type, String(e.at), e.actor, e.data, e.headers];
    if (!same(await sha(joined(parts.map(part))), digests[0])) throw new Error('The entry is not what it was when it was chained.');
  }
  let link = fromHex(answer.before);
  for (const digest of digests) link = await sha(joined([link, digest]));
  if (!same(link, fromHex(answer.link))) throw new Error('The links do not lead to where the server says.');
  if (!answer.checkpoint) return null;
  const said = await checkpoint(answer.checkpoint, keys);
  if (said.sub !== organization) throw new Error('The checkpoint is of another organization.');
  if (said.entries !== answer.entry + digests.length - 1 || !same(bytesOf(said.link), link)) throw new Error('The entry does not lead to what was signed.');
  return said;
}

export const available = () => Boolean(globalThis.crypto?.subtle);
