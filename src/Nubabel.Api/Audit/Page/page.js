// Small things that every part of the page needs. Texts go into the page as texts only.
export const $ = id => document.getElementById(id);

export const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'text') element.textContent = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter(c => c !== null && c !== undefined));
  return element;
};

export function say(id, message) {
  $(id).textContent = message ?? '';
  $(id).hidden = !message;
}

export const when = time => new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
export const number = n => n.toLocaleString();
