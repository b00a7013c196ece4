// SPDX-License-Identifier: Apache-2.0
// What the API says to a question, asked again whenever the store has changed, but never so often that the
// agent spends more than a tenth of its time on us.
import { useEffect, useRef, useState } from 'preact/hooks';
import { version } from './live.js';

const PAUSE_MS = 1000;

async function ask(url, signal) {
  const response = await fetch(url, { signal });
  if (response.ok) return response.json();
  const body = await response.json().catch(() => ({}));
  throw new Error(body.error || `the agent answered ${response.status}`);
}

// Asks at once, then after each change that came meanwhile: one question at a time. Returns what ends it.
function follow(url, isLive, tell) {
  const abort = new AbortController();
  let timer = 0;
  let isAsking = false;
  let isDue = false;
  let next = 0;

  const run = async () => {
    const began = performance.now();
    timer = 0;
    isAsking = true;
    isDue = false;
    try {
      tell({ data: await ask(url, abort.signal), error: null, url });
    } catch (error) {
      if (!abort.signal.aborted) tell({ data: null, error: error.message, url });
    }
    isAsking = false;
    next = performance.now() + Math.max(PAUSE_MS, (performance.now() - began) * 10);
    if (isDue) plan();
  };
  const plan = () => {
    if (isAsking) isDue = true;
    else if (!timer && !abort.signal.aborted) timer = setTimeout(run, Math.max(0, next - performance.now()));
  };
  plan();
  // A subscription tells once at its beginning, which asks nothing more.
  let isFirst = true;
  const unsubscribe = version.subscribe(() => {
    if (!isFirst && isLive()) plan();
    isFirst = false;
  });
  return () => {
    abort.abort();
    clearTimeout(timer);
    unsubscribe();
  };
}

// The answer to the last url stays until the next one has come: nothing jumps.
// `url` null: nothing is asked. `isLive` false: asked once.
export function useAnswer(url, isLive = true) {
  const [answer, setAnswer] = useState({ data: null, error: null, url: null });
  const live = useRef(isLive);
  live.current = isLive;

  useEffect(() => {
    if (!url) return undefined;
    // A refusal of the same question keeps what was shown before it.
    return follow(
      url,
      () => live.current,
      (next) => setAnswer((last) => (next.error && last.url === url ? { ...next, data: last.data } : next)),
    );
  }, [url]);
  return answer;
}

// True until each of these was answered once: a view that shows them together begins when all are there, so
// that nothing moves while the last comes.
export const areWaiting = (...answers) => answers.some(({ data, error }) => !data && !error);
