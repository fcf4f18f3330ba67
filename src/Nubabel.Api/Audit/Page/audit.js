// The audit trail for people: who is signed in, and what the controls of the page do.
import { $, make, say } from './page.js';
import { begin, failed, forget, get, onEnd, problemOf, send } from './api.js';
import { chain, forgetKeys } from './chain.js';
import { download } from './download.js';
import { forgetSearch, goesOnByItself, load, looksForText, search } from './search.js';

const actions = ['api_key.made', 'api_key.revoked', 'api_key.rotated', 'attempt.denied', 'attempt.refused', 'consent.given', 'consent.withdrawn', 'consumer.created', 'consumer.removed', 'data_export.downloaded',
  'data_export.made', 'device.deleted', 'device.registered', 'device.renamed', 'device.revoked', 'invitation.accepted', 'invitation.issued', 'invitation.withdrawn', 'organization.renamed', 'personal_data.exported',
  'personal_data.read', 'session.opened', 'session.refresh_reused', 'session.revoked', 'sign_in.failed', 'sign_in.locked', 'user.left', 'user.password_changed', 'user.password_reset', 'user.registered',
  'user.removed', 'user.renamed', 'user.role_changed', 'user.suspended', 'webhook_source.added'];

// ---- signing in and out

function showSignIn(message) {
  const ended = forget();
  forgetSearch();
  forgetKeys();
  $('app').hidden = true;
  $('signin').hidden = false;
  $('days').replaceChildren();
  for (const id of ['organization-name', 'user-name', 'chain-text', 'status']) $(id).textContent = '';
  $('password').value = '';
  say('signin-error', message);
  ($('organization').value ? $('password') : $('organization')).focus();
  return ended;
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
    begin(await answer.json());
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
  const ended = showSignIn();
  if (ended) await send('/api/auth/sign-out', { method: 'POST', headers: { Authorization: `Bearer ${ended.access}`, 'Content-Type': 'application/json' } }).catch(() => {});
}

async function who() {
  try {
    const [user, organization] = await Promise.all([get('/api/user'), get('/api/organization')]);
    $('user-name').textContent = user.name ?? '';
    $('organization-name').textContent = organization.name ?? '';
    $('scope').hidden = ['owner', 'admin'].includes(user.role);
  } catch (e) { failed(e); }
}

// ---- beginning

$('actions').append(...actions.map(a => make('option', { value: a })));
$('signin-form').addEventListener('submit', signIn);
$('signout').addEventListener('click', signOut);
$('filters').addEventListener('submit', search);
for (const id of ['outcome', 'action', 'actor', 'object', 'from', 'to', 'hide-reads']) $(id).addEventListener('change', search);
$('q').addEventListener('search', () => { if (!$('q').value && looksForText()) search(); });
$('clear').addEventListener('click', () => { $('filters').reset(); search(); });
$('more').addEventListener('click', () => { say('problem'); load(); });
$('show-fields').addEventListener('click', () => $('show-fields').setAttribute('aria-expanded', String($('show-fields').getAttribute('aria-expanded') !== 'true')));
for (const form of ['csv', 'ndjson']) $(form).addEventListener('click', () => download(form));
new IntersectionObserver(seen => {
  if (seen.some(s => s.isIntersecting) && goesOnByItself() && $('problem').hidden) load();
}, { rootMargin: '400px' }).observe($('more'));
onEnd(showSignIn);
showSignIn();
