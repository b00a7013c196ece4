// SPDX-License-Identifier: Apache-2.0
// Small pictures. They decorate words that say the same, or carry a label of their own.
import { html } from './html.js';

const paths = {
  service: 'M3 3.5h10v3.6H3zM3 8.9h10v3.6H3zM5 5.3h.1M5 10.7h.1',
  database: 'M3 4.2c0-2.3 10-2.3 10 0v7.6c0 2.3-10 2.3-10 0zM3 4.2c0 2.3 10 2.3 10 0M3 8c0 2.3 10 2.3 10 0',
  queue: 'M2.5 4h3v8h-3zM6.7 4h3v8h-3zM10.9 4h2.6v8h-2.6',
  external: 'M8 2a6 6 0 1 0 .1 0M2 8h12M8 2c-4 4-4 8 0 12M8 2c4 4 4 8 0 12',
  entry: 'M2 8h8M7 4.5 10.5 8 7 11.5M13 3v10',
  search: 'M7 2.5a4.5 4.5 0 1 0 .1 0M10.4 10.4 14 14',
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
    <path d=${paths[name] || paths.service} />
  </svg>`;
}

// A failure is marked by shape, not by colour alone.
export function ErrorMark({ label = 'failed' }) {
  return html`<svg class="error-mark" viewBox="0 0 16 16" role="img" aria-label=${label}>
    <path d="M8 1 15.500 14.5H.5Z" />
    <path class="inner" d="M8 6v4M8 12v.3" />
  </svg>`;
}

export function Spark({ counts, failures, label }) {
  const top = Math.max(1, ...counts);
  const bar = (value) => Math.max(value ? 1 : 0, (value / top) * 22);
  const path = (values) =>
    values.map((value, i) => (value ? `M${i * 2 + 1} 24V${(24 - bar(value)).toFixed(1)}` : '')).join('');
  return html`<svg class="spark" viewBox="0 0 120 24" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="base" d="M0 23.5H120" />
    <path class="all" d=${path(counts)} />
    <path class="failed" d=${path(failures)} />
  </svg>`;
}
