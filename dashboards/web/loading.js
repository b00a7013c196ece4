// SPDX-License-Identifier: Apache-2.0
// Shown until the first answer is there.
import { html } from './html.js';

export function Loading() {
  return html`<div class="empty" aria-busy="true"><p>Loading…</p></div>`;
}
