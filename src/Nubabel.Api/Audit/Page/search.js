// What is looked for, and how far: page by page, the newest first.
import { $, number, say } from './page.js';
import { failed, get, isSignedIn } from './api.js';
import { show } from './entries.js';

const reads = 'personal_data.read';
// A search looks at so many stretches of the trail by itself before it asks whether to go on.
const looksAtOnce = 4;

let query = null; // what is shown: { params, next, loading, count, seq }
let sequence = 0;

export const forgetSearch = () => { query = null; };
export const looksForText = () => Boolean(query?.params.has('q'));

// Older entries come as one scrolls down; a search for a text, which looks at very many, goes on only when asked.
export const goesOnByItself = () => Boolean(query?.next) && !query.loading && query.count > 0 && !looksForText();

export function parameters() {
  const params = new URLSearchParams();
  for (const id of ['q', 'outcome', 'action', 'actor', 'object']) if ($(id).value.trim()) params.set(id, $(id).value.trim());
  for (const id of ['from', 'to']) if ($(id).value) params.set(id, new Date($(id).value).toISOString());
  if ($('hide-reads').checked && params.get('action') !== reads) params.set('without', reads);
  return params;
}

export async function search(event) {
  event?.preventDefault?.();
  $('days').replaceChildren();
  for (const id of ['empty', 'more', 'end']) $(id).hidden = true;
  say('problem');
  $('status').textContent = '';
  query = { params: parameters(), next: null, loading: false, count: 0, seq: ++sequence };
  await load();
}

export async function load() {
  const mine = query;
  if (!mine || mine.loading) return;
  mine.loading = true;
  $('loading').hidden = false;
  $('more').hidden = true;
  $('entries').setAttribute('aria-busy', 'true');
  let problem = null;
  try {
    let found = 0;
    for (let looks = 0; looks < looksAtOnce; looks++) {
      const params = new URLSearchParams(mine.params);
      if (mine.next) params.set('cursor', mine.next);
      const page = await get(`/api/audit-logs?${params}`);
      if (mine !== query) return;
      mine.next = page.next;
      mine.count += page.items.length;
      found += page.items.length;
      show(page.items, only);
      if (!mine.next || found >= 20) break;
    }
  } catch (e) {
    if (mine !== query) return;
    problem = e;
  } finally {
    mine.loading = false;
    if (mine === query) {
      $('loading').hidden = true;
      $('entries').setAttribute('aria-busy', 'false');
    }
  }
  if (mine !== query) return;
  settle(mine, problem);
}

function settle(shown, problem) {
  if (problem) failed(problem);
  if (!isSignedIn()) return;
  const filtered = [...shown.params.keys()].some(name => name !== 'without');
  $('status').textContent = problem ? '' : shown.count === 0 ? '' : `${number(shown.count)} ${shown.count === 1 ? 'entry' : 'entries'}${shown.next ? ' so far' : ''}${filtered ? ', filtered' : ''}`;
  $('more').hidden = !problem && !shown.next;
  $('more').textContent = problem ? 'Try again' : shown.count === 0 || shown.params.has('q') ? 'Look further back' : 'Show older entries';
  $('empty').hidden = Boolean(problem) || shown.count > 0;
  $('empty-text').textContent = shown.next ? 'Nothing among the entries that were looked at so far.' : filtered ? 'No entry matches. Try fewer filters.' : 'Nothing has happened yet.';
  $('end').hidden = Boolean(problem) || Boolean(shown.next) || shown.count === 0;
  $('end').textContent = filtered ? 'That is all that matches.' : 'This is the beginning.';
}

function only(field, value) {
  $(field).value = value;
  window.scrollTo({ top: 0 });
  $('entries').focus({ preventScroll: true });
  return search();
}
