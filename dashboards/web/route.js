// SPDX-License-Identifier: Apache-2.0
// Where we are: the path and parameters of the address bar. Every state worth sending to somebody is in them.
import { signal } from '@preact/signals';
import { html } from './html.js';

const read = () => ({ path: location.pathname, params: Object.fromEntries(new URLSearchParams(location.search)) });

export const route = signal(read());

export function href(path, params = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== '') query.set(key, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export function go(address, { replace = false } = {}) {
  if (address === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', address);
  else {
    history.pushState(null, '', address);
    scrollTo(0, 0);
  }
  route.value = read();
}

// The present view with some parameters changed.
export function change(params, options = { replace: true }) {
  go(href(route.value.path, { ...route.value.params, ...params }), options);
}

addEventListener('popstate', () => {
  route.value = read();
});

// A real link, which the browser may also open in a new tab.
export function Link({ to, children, ...rest }) {
  const click = (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${to} onClick=${click} ...${rest}>${children}</a>`;
}
