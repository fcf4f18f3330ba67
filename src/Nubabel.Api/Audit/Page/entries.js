// Entries, day by day: a sentence each, and what is behind it when it is unfolded.
import { $, make, when } from './page.js';
import { prove } from './chain.js';

const dayOf = time => new Date(time).toLocaleDateString(undefined, { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' });

export function show(items, only) {
  for (const item of items) {
    const day = dayOf(item.at);
    let list = $('days').lastElementChild?.querySelector('.list');
    if (list?.dataset.day !== day) {
      list = make('ol', { class: 'list', 'data-day': day, 'aria-label': day });
      $('days').append(make('section', {}, make('h2', { class: 'day', text: day }), list));
    }
    list.append(entryOf(item, only));
  }
}

function entryOf(item, only) {
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
    if (opens && !details.hasChildNodes()) fill(details, item, only);
    details.hidden = !opens;
    line.setAttribute('aria-expanded', String(opens));
  });
  return make('li', { class: 'entry' }, line, details);
}

const textOf = value => value === undefined ? '' : value === null ? 'erased' : typeof value === 'string' ? value : JSON.stringify(value, null, 1);

function fill(details, item, only) {
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
