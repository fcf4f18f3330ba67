// The trail as a file, with the filters of the page.
import { $, make, say } from './page.js';
import { authorized, failed, problemOf } from './api.js';
import { parameters } from './search.js';

export async function download(form) {
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
