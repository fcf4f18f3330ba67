// The API, with a sign-in. Tokens are kept in this script's memory and nowhere else.
import { say } from './page.js';

let session = null;      // { access, refresh, organization, user }
let refreshing = null;   // one refresh at a time
let whenEnded = null;

export class Ended extends Error {}

export const isSignedIn = () => session !== null;
export const organization = () => session.organization;

export function begin(tokens) {
  session = { access: tokens.access_token, refresh: tokens.refresh_token, organization: tokens.organization_id, user: tokens.user_id };
}

// Forgets the sign-in, and gives back what it takes to end it.
export function forget() {
  const ended = session;
  session = null;
  return ended;
}

export async function send(path, options = {}) {
  try {
    return await fetch(path, { cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer', ...options });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Error('The server cannot be reached. Is the network there?');
  }
}

export async function problemOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  return { status: answer.status, code: problem.code ?? '', detail: problem.errors?.[0]?.message ?? problem.detail ?? problem.title ?? `The server answered ${answer.status}.` };
}

export async function authorized(path, options = {}) {
  const ask = () => send(path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${session.access}` } });
  if (!session) throw new Ended();
  let answer = await ask();
  if (answer.status === 401) {
    await refresh();
    answer = await ask();
    if (answer.status === 401) throw new Ended();
  }
  return answer;
}

async function refresh() {
  refreshing ??= (async () => {
    const answer = await send('/api/auth/refresh', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ refresh_token: session.refresh }) });
    if (!answer.ok) throw new Ended();
    const tokens = await answer.json();
    session.access = tokens.access_token;
    session.refresh = tokens.refresh_token;
  })().finally(() => { refreshing = null; });
  await refreshing;
}

export async function get(path) {
  const answer = await authorized(path);
  if (answer.ok) return answer.json();
  const problem = await problemOf(answer);
  throw Object.assign(new Error(problem.detail), problem);
}

export const onEnd = tell => { whenEnded = tell; };

// A part of the page that fails does not take the others with it; the end of the sign-in does.
export const failed = e => {
  if (e instanceof Ended) whenEnded('Your sign-in has ended. Please sign in again.');
  else if (e.name !== 'AbortError') say('problem', e.message);
};
