// SPDX-License-Identifier: Apache-2.0
// The live stream: one for the page, closed while nobody looks, so that many open tabs do not use up the
// connections a browser allows.
import { signal } from '@preact/signals';

export const version = signal(0); // changes whenever the store was written to
export const state = signal('connecting'); // connecting, live, paused, lost

let source = null;
let isPaused = false;

function close() {
  if (source) source.close();
  source = null;
}

function open() {
  if (source || isPaused || document.hidden) return;
  source = new EventSource('/api/v1/live');
  source.onopen = () => {
    state.value = 'live';
  };
  source.onerror = () => {
    state.value = 'lost';
    // A refusal (too many streams) ends an EventSource for good; a lost one comes back by itself.
    if (source && source.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, 5000);
    }
  };
  source.addEventListener('change', (event) => {
    state.value = 'live';
    version.value = `${JSON.parse(event.data).version}`;
  });
}

export function pause(wanted = !isPaused) {
  isPaused = wanted;
  state.value = isPaused ? 'paused' : 'connecting';
  if (isPaused) close();
  else open();
}

document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
open();
