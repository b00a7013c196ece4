// SPDX-License-Identifier: Apache-2.0
// One trace: what it is, the waterfall, and beside it the span chosen or the trace as a whole.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { useAnswer } from './answer.js';
import { html } from './html.js';
import { ErrorMark } from './icon.js';
import { Loading } from './loading.js';
import { change } from './route.js';
import { SpanPanel, TracePanel } from './span_panel.js';
import { clock, day, duration, plural } from './text.js';
import { treeOf } from './tree.js';
import { Waterfall } from './waterfall.js';

const RECENT_MS = 60000;

function Notices({ tree }) {
  const notes = [];
  if (tree.missing.length)
    notes.push(
      `${plural(tree.missing.length, 'parent')} named by these spans ${tree.missing.length === 1 ? 'has' : 'have'} not been received: the trace is incomplete or still arriving.`,
    );
  if (tree.skewed.length)
    notes.push(
      `${plural(tree.skewed.length, 'span')} began before ${tree.skewed.length === 1 ? 'its' : 'their'} parent: clocks may differ. Times are shown as they were sent.`,
    );
  if (tree.repeated)
    notes.push(`${plural(tree.repeated, 'span')} came twice and ${tree.repeated === 1 ? 'is' : 'are'} shown once.`);
  if (tree.nodes.some((node) => node.isRing))
    notes.push('Some spans are each other’s parents: the ring is cut at the earliest.');
  return notes.length
    ? html`<ul class="notices" aria-label="Notices">
        ${notes.map((note) => html`<li>${note}</li>`)}
      </ul>`
    : null;
}

function Head({ tree, trace, filter, setFilter, found }) {
  const root = tree.roots.find((node) => !node.isMissing) || tree.nodes[0];
  return html`<div class="trace-head">
    <h1><span class="muted">${root.span.service}</span> ${root.span.name}</h1>
    <dl class="facts">
      <div>
        <dt>Trace</dt>
        <dd><code>${trace.trace_id}</code></dd>
      </div>
      <div>
        <dt>Began</dt>
        <dd>${day(trace.start_ns)} ${clock(trace.start_ns)}</dd>
      </div>
      <div>
        <dt>Took</dt>
        <dd>${duration(tree.durationNs)}</dd>
      </div>
      <div>
        <dt>Spans</dt>
        <dd>${tree.nodes.length.toLocaleString('en-US')}</dd>
      </div>
      <div>
        <dt>Failed</dt>
        <dd class=${tree.errors.length ? 'bad' : ''}>
          ${tree.errors.length ? html`<${ErrorMark} /> ` : ''}${tree.errors.length}
        </dd>
      </div>
      <div class="find">
        <input
          type="search"
          data-filter
          placeholder="Find a span  /"
          aria-label="Find a span by name, service or attribute"
          value=${filter}
          onInput=${(e) => setFilter(e.target.value)}
        /><output>${filter ? plural(found, 'span') : ''}</output>
      </div>
    </dl>
  </div>`;
}

const textOf = (node) =>
  node.isMissing
    ? ''
    : `${node.span.service}\n${node.span.name}\n${node.span.status_message}\n${node.span.attributes.map(({ key, value }) => `${key}=${value}`).join('\n')}`.toLowerCase();

function Trace({ trace, params }) {
  const tree = useMemo(() => treeOf(trace), [trace]);
  const [filter, setFilter] = useState('');
  const texts = useMemo(
    () => (filter ? new Map(tree.nodes.map((node) => [node.id, textOf(node)])) : null),
    [tree, filter !== ''],
  );
  const found = useMemo(() => {
    if (!filter || !texts) return null;
    const wanted = filter.toLowerCase();
    return new Set(tree.nodes.filter((node) => texts.get(node.id).includes(wanted)).map((node) => node.id));
  }, [texts, filter]);
  // Somebody who opens a failed trace wants to know why: the cause is chosen for them.
  const chosen = tree.byId.get(params.span) || (params.span === 'none' ? null : tree.cause);
  const choose = (node) => change({ span: node ? node.id : 'none' });

  return html`<div class="trace">
    <${Head} tree=${tree} trace=${trace} filter=${filter} setFilter=${setFilter} found=${found ? found.size : 0} />
    <${Notices} tree=${tree} />
    <div class="trace-body">
      <${Waterfall} tree=${tree} chosen=${chosen} choose=${choose} found=${found} />
      <aside class="panel" aria-label=${chosen ? 'Span' : 'Trace'}>
        ${
          chosen
            ? html`<${SpanPanel} key=${chosen.id} node=${chosen} tree=${tree} trace=${trace} choose=${choose} />`
            : html`<${TracePanel} tree=${tree} trace=${trace} choose=${choose} />`
        }
      </aside>
    </div>
  </div>`;
}

export function TraceView({ id, params }) {
  const [isRecent, setRecent] = useState(true);
  const { data, error } = useAnswer(`/api/v1/traces/${encodeURIComponent(id)}`, isRecent);

  useEffect(() => {
    if (!data) return undefined;
    const end = Number((BigInt(data.start_ns) + BigInt(data.duration_ns)) / 1000000n);
    const left = end + RECENT_MS - Date.now();
    setRecent(left > 0);
    if (left <= 0) return undefined;
    const timer = setTimeout(() => setRecent(false), Math.min(left, RECENT_MS));
    return () => clearTimeout(timer);
  }, [data]);
  if (!data) {
    return error
      ? html`<div class="empty">
          <h1>${error}</h1>
          <p>It may not have arrived yet, or it was removed to make room. This page looks again as spans come in.</p>
        </div>`
      : html`<${Loading} />`;
  }
  return html`<${Trace} trace=${data} params=${params} />`;
}
