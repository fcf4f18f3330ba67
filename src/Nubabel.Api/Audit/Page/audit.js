'use strict';
// The audit trail for people. Texts go into the page as texts only; tokens are kept in this script's memory and nowhere else.
(() => {
  const $ = id => document.getElementById(id);
  const reads = 'personal_data.read';
  const actions = ['api_key.made', 'api_key.revoked', 'api_key.rotated', 'attempt.denied', 'attempt.refused', 'consent.given', 'consent.withdrawn', 'consumer.created', 'consumer.removed', 'data_export.downloaded',
    'data_export.made', 'device.deleted', 'device.registered', 'device.renamed', 'device.revoked', 'invitation.accepted', 'invitation.issued', 'invitation.withdrawn', 'organization.renamed', 'personal_data.exported',
    'personal_data.read', 'session.opened', 'session.refresh_reused', 'session.revoked', 'sign_in.failed', 'sign_in.locked', 'user.left', 'user.password_changed', 'user.password_reset', 'user.registered',
    'user.removed', 'user.renamed', 'user.role_changed', 'user.suspended', 'webhook_source.added'];
  // A search looks at so many stretches of the trail by itself before it asks whether to go on.
  const looksAtOnce = 4;

  let session = null;      // { access, refresh, organization, user }
  let refreshing = null;   // one refresh at a time
  let query = null;        // what is shown: { params, next, loading, count, seq }
  let sequence = 0;
  let keys = null;         // of the chain

  class Ended extends Error {}

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === 'text') element.textContent = value;
      else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter(c => c !== null && c !== undefined));
    return element;
  };

  // ---- the API

  async function send(path, options = {}) {
    try {
      return await fetch(path, { cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer', ...options });
    } catch (e) {
      if (e.name === 'AbortError') throw e;
      throw new Error('The server cannot be reached. Is the network there?');
    }
  }

  async function problemOf(answer) {
    const problem = await answer.json().catch(() => ({}));
    return { status: answer.status, code: problem.code ?? '', detail: problem.errors?.[0]?.message ?? problem.detail ?? problem.title ?? `The server answered ${answer.status}.` };
  }

  async function authorized(path, options = {}) {
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

  async function get(path) {
    const answer = await authorized(path);
    if (answer.ok) return answer.json();
    const problem = await problemOf(answer);
    throw Object.assign(new Error(problem.detail), problem);
  }

  // ---- signing in and out

  function showSignIn(message) {
    session = null;
    query = null;
    keys = null;
    $('app').hidden = true;
    $('signin').hidden = false;
    $('days').replaceChildren();
    for (const id of ['organization-name', 'user-name', 'chain-text', 'status']) $(id).textContent = '';
    $('password').value = '';
    say('signin-error', message);
    ($('organization').value ? $('password') : $('organization')).focus();
  }

  function say(id, message) {
    $(id).textContent = message ?? '';
    $(id).hidden = !message;
  }

  async function signIn(event) {
    event.preventDefault();
    const [organization, email, password] = ['organization', 'email', 'password'].map(id => $(id).value);
    if (!organization.trim() || !email.trim() || !password) return say('signin-error', 'Please fill in all three fields.');
    const button = $('signin-button');
    button.disabled = true;
    button.textContent = 'Signing in …';
    say('signin-error');
    try {
      const answer = await send('/api/auth/sign-in', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ organization: organization.trim(), email: email.trim(), password }) });
      if (!answer.ok) {
        const problem = await problemOf(answer);
        say('signin-error', problem.code === 'sign_in.failed' ? 'Organization, e-mail or password is wrong.' : problem.detail);
        $('password').select();
        return;
      }
      const tokens = await answer.json();
      session = { access: tokens.access_token, refresh: tokens.refresh_token, organization: tokens.organization_id, user: tokens.user_id };
      $('password').value = '';
      $('signin').hidden = true;
      $('app').hidden = false;
      $('q').focus();
      await Promise.all([who(), chain(), search()]);
    } catch (e) {
      say('signin-error', e.message);
    } finally {
      button.disabled = false;
      button.textContent = 'Sign in';
    }
  }

  async function signOut() {
    const ended = session;
    showSignIn();
    if (ended) await send('/api/auth/sign-out', { method: 'POST', headers: { Authorization: `Bearer ${ended.access}`, 'Content-Type': 'application/json' } }).catch(() => {});
  }

  // A part of the page that fails does not take the others with it; the end of the sign-in does.
  const failed = e => {
    if (e instanceof Ended) showSignIn('Your sign-in has ended. Please sign in again.');
    else if (e.name !== 'AbortError') say('problem', e.message);
  };

  async function who() {
    try {
      const [user, organization] = await Promise.all([get('/api/user'), get('/api/organization')]);
      $('user-name').textContent = user.name ?? '';
      $('organization-name').textContent = organization.name ?? '';
      $('scope').hidden = ['owner', 'admin'].includes(user.role);
    } catch (e) { failed(e); }
  }

  // ---- the chain

  const when = time => new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  const number = n => n.toLocaleString();

  async function chain() {
    const show = (kind, mark, text) => {
      $('chain').className = `chain ${kind}`;
      $('chain-mark').textContent = mark;
      $('chain-text').textContent = text;
      $('chain').hidden = false;
    };
    try {
      const state = await get('/api/audit-logs/chain');
      if (!state.checkpoint) return show('warn', '…', `${number(state.entries)} entries are chained. The first checkpoint is signed within a minute.`);
      const { entries, created, statement } = state.checkpoint;
      const covered = `${number(entries)} of ${number(Math.max(entries, state.entries))} entries are covered by the checkpoint of ${when(created)}`;
      if (!proof.available()) return show('warn', '!', `${covered}. This browser verifies signatures only over HTTPS.`);
      keys ??= await get('/api/audit-logs/keys');
      const said = await proof.checkpoint(statement, keys);
      if (said.sub !== session.organization || said.entries !== entries) throw new Error('The checkpoint speaks of something else.');
      show('good', '✓', `${covered}. Its signature was verified here, in your browser.`);
    } catch (e) {
      if (e instanceof Ended) failed(e);
      else if (e.status !== 403) show('bad', '!', `The audit trail could not be verified: ${e.message}`);
    }
  }

  async function prove(position, verdict) {
    const show = (kind, text) => { verdict.className = `verdict ${kind}`; verdict.textContent = text; verdict.hidden = false; };
    show('', 'Verifying …');
    try {
      if (!proof.available()) return show('warn', 'This browser verifies only over HTTPS.');
      keys ??= await get('/api/audit-logs/keys');
      const answer = await get(`/api/audit-logs/proof?position=${position}`);
      const said = await proof.entry(answer, position, keys, session.organization);
      if (!said) return show('warn', `Entry ${number(answer.entry)} is chained. The next checkpoint, within a minute, will cover it.`);
      const kept = answer.event?.withheld ? 'It holds what nobody reads, so its digest was taken as the server says it.' : 'Its digest was computed from what is stored.';
      show('good', `Unchanged: entry ${number(answer.entry)} leads to the checkpoint of ${when(said.iat * 1000)}, whose signature is good. ${kept}`);
    } catch (e) {
      if (e instanceof Ended) return failed(e);
      show(e.code === 'audit.entry_missing' ? 'warn' : 'bad', e.code === 'audit.entry_missing' ? 'Not chained yet: that takes some seconds.' : e.message);
    }
  }

  // ---- searching

  function parameters() {
    const params = new URLSearchParams();
    for (const id of ['q', 'outcome', 'action', 'actor', 'object']) if ($(id).value.trim()) params.set(id, $(id).value.trim());
    for (const id of ['from', 'to']) if ($(id).value) params.set(id, new Date($(id).value).toISOString());
    if ($('hide-reads').checked && params.get('action') !== reads) params.set('without', reads);
    return params;
  }

  async function search(event) {
    event?.preventDefault?.();
    $('days').replaceChildren();
    for (const id of ['empty', 'more', 'end']) $(id).hidden = true;
    say('problem');
    $('status').textContent = '';
    query = { params: parameters(), next: null, loading: false, count: 0, seq: ++sequence };
    await load();
  }

  async function load() {
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
        show(page.items);
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
    if (!session) return;
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

  // ---- entries

  const dayOf = time => new Date(time).toLocaleDateString(undefined, { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' });

  function show(items) {
    for (const item of items) {
      const day = dayOf(item.at);
      let list = $('days').lastElementChild?.querySelector('.list');
      if (list?.dataset.day !== day) {
        list = make('ol', { class: 'list', 'data-day': day, 'aria-label': day });
        $('days').append(make('section', {}, make('h2', { class: 'day', text: day }), list));
      }
      list.append(entryOf(item));
    }
  }

  function entryOf(item) {
    const details = make('div', { class: 'details', id: `details-${item.id}`, hidden: '' });
    const initial = (item.actorName ?? '').trim();
    const line = make('button', { type: 'button', class: 'line', 'aria-expanded': 'false', 'aria-controls': details.id },
      make('span', { class: `mark ${item.outcome}`, 'aria-hidden': 'true', text: item.outcome !== 'succeeded' ? '!' : initial ? [...initial][0].toUpperCase() : item.actor?.startsWith('key:') ? '#' : '·' }),
      make('span', {},
        make('span', { class: 'summary', text: item.summary ?? item.action }),
        make('span', { class: 'meta' }, make('code', { text: item.action }), item.outcome === 'succeeded' ? null : make('span', { class: 'badge', text: item.outcome }))),
      make('time', { class: 'time', datetime: item.at, title: item.at, text: new Date(item.at).toLocaleTimeString(undefined, { timeStyle: 'short' }) }),
      make('span', { class: 'chevron', 'aria-hidden': 'true' }));
    line.addEventListener('click', () => {
      const opens = details.hidden;
      if (opens && !details.hasChildNodes()) fill(details, item);
      details.hidden = !opens;
      line.setAttribute('aria-expanded', String(opens));
    });
    return make('li', { class: 'entry' }, line, details);
  }

  const textOf = value => value === undefined ? '' : value === null ? 'erased' : typeof value === 'string' ? value : JSON.stringify(value, null, 1);

  function fill(details, item) {
    const changed = item.after && typeof item.after === 'object' ? Object.keys(item.after) : [];
    if (changed.length > 0) {
      const cell = (value, kind) => make('td', { class: value === null ? 'gone' : kind, text: textOf(value) });
      const had = item.before && Object.keys(item.before).length > 0;
      details.append(make('table', { class: 'changes' },
        make('thead', {}, make('tr', {}, make('th', { scope: 'col', text: 'What' }), had ? make('th', { scope: 'col', text: 'Before' }) : null, make('th', { scope: 'col', text: had ? 'After' : 'Value' }))),
        make('tbody', {}, ...changed.map(name => make('tr', {}, make('th', { scope: 'row', text: name }), had ? cell(item.before[name], 'was') : null, cell(item.after[name], had ? 'is' : ''))))));
    }
    const facts = [['Time', `${when(item.at)} (${item.at})`], ['Actor', [item.actorName, item.actor].filter(Boolean).join(' · ')], ['Object', [item.objectName, item.object].filter(Boolean).join(' · ')], ['Reason', item.reason],
      ['Address', item.ip], ['Program', item.userAgent], ['Request', item.requestId], ['Trace', item.traceId], ['Position', String(item.position)], ['Entry', item.id]];
    details.append(make('dl', { class: 'facts' }, ...facts.filter(([, value]) => value !== undefined && value !== '').flatMap(([name, value]) => [make('dt', { text: name }), make('dd', { class: value === null ? 'gone' : null, text: value ?? 'erased' })])));
    const verdict = make('p', { class: 'verdict', role: 'status', hidden: '' });
    details.append(make('div', { class: 'buttons' },
      item.actor ? make('button', { type: 'button', class: 'quiet', text: 'Only this actor', onclick: () => only('actor', item.actor) }) : null,
      make('button', { type: 'button', class: 'quiet', text: 'Only this object', onclick: () => only('object', item.object) }),
      make('button', { type: 'button', class: 'quiet', text: 'Only this action', onclick: () => only('action', item.action) }),
      $('chain').hidden ? null : make('button', { type: 'button', class: 'quiet verify', text: 'Verify', onclick: () => prove(item.position, verdict) })), verdict);
  }

  // ---- downloads

  async function download(form) {
    const button = $(form);
    const label = button.textContent;
    say('problem');
    try {
      button.disabled = true;
      const answer = await authorized(`/api/audit-logs.${form}?${parameters()}`);
      if (!answer.ok) throw new Error((await problemOf(answer)).detail);
      const parts = [];
      let bytes = 0;
      // A connection that breaks on the way throws, and nothing is saved: half a trail must not look whole.
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        bytes += value.length;
        button.textContent = `${(bytes / 1e6).toFixed(1)} MB …`;
      }
      const link = make('a', { href: URL.createObjectURL(new Blob(parts)), download: `nubabel-audit.${form}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      $('status').textContent = `nubabel-audit.${form} was downloaded.`;
    } catch (e) {
      failed(e instanceof TypeError ? new Error('The download broke off; nothing was saved.') : e);
    } finally {
      button.disabled = false;
      button.textContent = label;
    }
  }

  // ---- beginning

  $('actions').append(...actions.map(a => make('option', { value: a })));
  $('signin-form').addEventListener('submit', signIn);
  $('signout').addEventListener('click', signOut);
  $('filters').addEventListener('submit', search);
  for (const id of ['outcome', 'action', 'actor', 'object', 'from', 'to', 'hide-reads']) $(id).addEventListener('change', search);
  $('q').addEventListener('search', () => { if (!$('q').value && query?.params.has('q')) search(); });
  $('clear').addEventListener('click', () => { $('filters').reset(); search(); });
  $('more').addEventListener('click', () => { say('problem'); load(); });
  $('show-fields').addEventListener('click', () => $('show-fields').setAttribute('aria-expanded', String($('show-fields').getAttribute('aria-expanded') !== 'true')));
  for (const form of ['csv', 'ndjson']) $(form).addEventListener('click', () => download(form));
  // Older entries come as one scrolls down; a search for a text, which looks at very many, goes on only when asked.
  new IntersectionObserver(seen => {
    if (seen.some(s => s.isIntersecting) && query?.next && !query.loading && query.count > 0 && !query.params.has('q') && $('problem').hidden) load();
  }, { rootMargin: '400px' }).observe($('more'));
  showSignIn();
})();
