// SPDX-License-Identifier: Apache-2.0
// Traces as rows: in the search with everything, beside other views in short.
import { colorClass } from './color.js';
import { html } from './html.js';
import { ErrorMark } from './icon.js';
import { href, Link } from './route.js';
import { ago, clock, count, day, duration, plural } from './text.js';

const to = (trace) => href(`/trace/${trace.trace_id}`);
const name = (trace) =>
  `${trace.root_service}: ${trace.root_name}, ${duration(Number(trace.duration_ns))}${trace.errors ? `, ${plural(trace.errors, 'failed span')}` : ''}`;

export function TraceTable({ traces }) {
  const longest = Math.max(1, ...traces.map((trace) => Number(trace.duration_ns)));
  return html`<ol class="trace-table">
    ${traces.map(
      (trace) =>
        html`<li key=${trace.trace_id}>
          <${Link} data-row to=${to(trace)} aria-label=${name(trace)} class=${trace.errors ? 'failed' : ''}>
            <span class="what"
              ><b>${trace.errors > 0 && html`<${ErrorMark} />`}${trace.root_name}</b
              ><small
                >${trace.services.slice(0, 6).map((service) => html`<span class="chip ${colorClass(service)}"><i class="swatch"></i>${service}</span>`)}${trace.services.length > 6 ? html`<span class="chip">+${trace.services.length - 6}</span>` : ''}</small
              ></span
            >
            <span class="duration"
              ><i class="track"
                ><i style=${{ width: `${Math.max(0.4, (Number(trace.duration_ns) / longest) * 100)}%` }}></i></i
              ><b>${duration(Number(trace.duration_ns))}</b></span
            >
            <span class="number">${count(trace.spans)}</span>
            <span class="number ${trace.errors ? 'bad' : 'muted'}">${trace.errors || '–'}</span>
            <span class="when"
              ><time title=${`${day(trace.start_ns)} ${clock(trace.start_ns)}`}>${ago(trace.start_ns)}</time
              >${trace.complete ? '' : html`<small title="No span without a parent has come">no root</small>`}</span
            ><//
          >
        </li>`,
    )}
  </ol>`;
}

export function TraceBrief({ traces, empty, rows = 8, showCause }) {
  return html`<ol class="trace-brief" style=${{ minHeight: `${rows * 46}px` }}>
    ${traces.slice(0, rows).map(
      (trace) =>
        html`<li key=${trace.trace_id}>
          <${Link} data-row to=${to(trace)} aria-label=${name(trace)}>
            <span class="line"
              ><b
                >${trace.errors > 0 && html`<${ErrorMark} />`}${showCause && trace.culprit_name ? trace.culprit_name : trace.root_name}</b
              ><em>${duration(Number(trace.duration_ns))}</em></span
            >
            <span class="line muted"
              >${
                showCause && trace.culprit_service
                  ? html`<span
                      ><i class="swatch ${colorClass(trace.culprit_service)}"></i
                      >${trace.culprit_service}${trace.culprit_name !== trace.root_name ? html`<span> in ${trace.root_name}</span>` : ''}</span
                    >`
                  : html`<span
                      ><i class="swatch ${colorClass(trace.root_service)}"></i
                      >${`${trace.root_service} · ${plural(trace.spans, 'span')}`}</span
                    >`
              }<time>${ago(trace.start_ns)}</time></span
            ><//
          >
        </li>`,
    )}
    ${traces.length === 0 && html`<li class="none muted">${empty}</li>`}
  </ol>`;
}
