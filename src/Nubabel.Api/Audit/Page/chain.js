// What of the trail is proved, and by what.
import { $, number, when } from './page.js';
import { Ended, failed, get, organization } from './api.js';
import * as proof from './proof.js';

let keys = null; // of the chain

export const forgetKeys = () => { keys = null; };

export async function chain() {
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
    if (said.sub !== organization() || said.entries !== entries) throw new Error('The checkpoint speaks of something else.');
    show('good', '✓', `${covered}. Its signature was verified here, in your browser.`);
  } catch (e) {
    if (e instanceof Ended) failed(e);
    else if (e.status !== 403) show('bad', '!', `The audit trail could not be verified: ${e.message}`);
  }
}

export async function prove(position, verdict) {
  const show = (kind, text) => { verdict.className = `verdict ${kind}`; verdict.textContent = text; verdict.hidden = false; };
  show('', 'Verifying …');
  try {
    if (!proof.available()) return show('warn', 'This browser verifies only over HTTPS.');
    keys ??= await get('/api/audit-logs/keys');
    const answer = await get(`/api/audit-logs/proof?position=${position}`);
    const said = await proof.entry(answer, position, keys, organization());
    if (!said) return show('warn', `Entry ${number(answer.entry)} is chained. The next checkpoint, within a minute, will cover it.`);
    const kept = answer.event?.withheld ? 'It holds what nobody reads, so its digest was taken as the server says it.' : 'Its digest was computed from what is stored.';
    show('good', `Unchanged: entry ${number(answer.entry)} leads to the checkpoint of ${when(said.iat * 1000)}, whose signature is good. ${kept}`);
  } catch (e) {
    if (e instanceof Ended) return failed(e);
    show(e.code === 'audit.entry_missing' ? 'warn' : 'bad', e.code === 'audit.entry_missing' ? 'Not chained yet: that takes some seconds.' : e.message);
  }
}
