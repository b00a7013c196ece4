// SPDX-License-Identifier: Apache-2.0
// Keys that work in every view, and the list of all.
import { useEffect, useRef } from 'preact/hooks';
import { signal } from '@preact/signals';
import { html } from './html.js';
import { pause } from './live.js';
import { go } from './route.js';

export const isHelpOpen = signal(false);

const list = [
  ['g s', 'services'],
  ['g m', 'map'],
  ['g t', 'traces'],
  ['/', 'the filter of this view'],
  ['j k', 'next, previous row'],
  ['Enter', 'open the row'],
  ['.', 'pause or resume live update'],
  ['?', 'this list'],
  ['↑ ↓', 'in a trace: previous, next span'],
  ['← →', 'in a trace: fold, unfold; parent, first child'],
  ['e', 'in a trace: next failed span'],
  ['n', 'in a trace: next span found by the filter'],
];
const places = { s: '/', m: '/map', t: '/traces' };
let wasG = 0;

function step(by) {
  const rows = [...document.querySelectorAll('main [data-row]')];
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  if (next) next.focus();
}

export function keyPressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest('input, select, textarea')) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  if (wasG && Date.now() - wasG < 1000 && places[event.key]) {
    wasG = 0;
    go(places[event.key]);
    return;
  }
  wasG = event.key === 'g' ? Date.now() : 0;
  if (event.key === '/') {
    event.preventDefault();
    document.querySelector('main [data-filter]')?.focus();
  } else if (event.key === '?') isHelpOpen.value = true;
  else if (event.key === '.') pause();
  else if (event.key === 'j') step(1);
  else if (event.key === 'k') step(-1);
}

export function Help() {
  const dialog = useRef(null);

  useEffect(() => {
    if (isHelpOpen.value) dialog.current.showModal();
  }, [isHelpOpen.value]);
  return html`<dialog
    ref=${dialog}
    class="help"
    aria-label="Keys"
    onClose=${() => {
      isHelpOpen.value = false;
    }}
    onClick=${(e) => e.target === dialog.current && dialog.current.close()}
  >
    <h2>Keys</h2>
    <dl>
      ${list.map(
        ([key, what]) =>
          html`<div>
            <dt>${key.split(' ').map((k) => html`<kbd>${k}</kbd>`)}</dt>
            <dd>${what}</dd>
          </div>`,
      )}
    </dl>
    <form method="dialog"><button>Close</button></form>
  </dialog>`;
}
