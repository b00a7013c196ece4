// SPDX-License-Identifier: Apache-2.0
// Search: what is asked stands in the address, the answers below it and as dots over time.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useAnswer } from './answer.js';
import { html } from './html.js';
import { change, go, href, route } from './route.js';
import { duration, plural } from './text.js';
import { TraceTable } from './trace_list.js';

const LIMIT = 100;

function Field({ name, label, value, list, placeholder, isFilter }) {
  return html`<label
    >${label}<input
      name=${name}
      value=${value || ''}
      list=${list ? `${name}-list` : undefined}
      placeholder=${placeholder}
      autocomplete="off"
      spellcheck=${false}
      data-filter=${isFilter}
      maxlength="1000"
    />
    ${list && html`<datalist id=${`${name}-list`}>${list.map((each) => html`<option value=${each} />`)}</datalist>`}</label
  >`;
}

// Each trace a dot: when it began, how long it took.
function Dots({ traces }) {
  const [size, setSize] = useState(800);
  const box = useRef(null);
  useEffect(() => {
    const observer = new ResizeObserver(() => setSize(box.current.clientWidth));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const starts = traces.map((trace) => Number(BigInt(trace.start_ns) / 1000n));
  const from = Math.min(...starts);
  const span = Math.max(1, Math.max(...starts) - from);
  const longest = Math.max(1, ...traces.map((trace) => Number(trace.duration_ns)));
  const shortest = Math.max(1, Math.min(...traces.map((trace) => Number(trace.duration_ns) || 1)));
  const range = Math.max(0.3, Math.log(longest / shortest));
  const y = (ns) => 74 - (Math.log(Math.max(ns, shortest) / shortest) / range) * 62;
  return html`<figure class="dots" ref=${box} aria-hidden="true">
    <svg width=${size} height="88">
      <path class="grid" d=${`M52 12H${size}M52 74H${size}`} />
      <text x="46" y="16">${duration(longest)}</text>
      <text x="46" y="78">${traces.length > 1 ? duration(shortest) : ''}</text>
      ${traces.map((trace, i) => {
        const x = 60 + ((starts[i] - from) / span) * (size - 72);
        const at = y(Number(trace.duration_ns));
        const open = () => go(href(`/trace/${trace.trace_id}`));
        return trace.errors
          ? html`<path class="failed" d=${`M${x} ${at - 6}l6 11h-12z`} onClick=${open}
              ><title>${trace.root_name}</title></path
            >`
          : html`<circle cx=${x} cy=${at} r="4" onClick=${open}><title>${trace.root_name}</title></circle>`;
      })}
    </svg>
  </figure>`;
}

export function TracesView({ params }) {
  const form = useRef(null);
  const services = useAnswer('/api/services', false);
  const operations = useAnswer(
    params.service ? `/api/services/${encodeURIComponent(params.service)}/operations` : null,
    false,
  );
  const limit = Math.min(1000, Number(params.limit) || LIMIT);
  const { data, error } = useAnswer(
    href('/api/v1/traces', {
      service: params.service,
      operation: params.operation,
      min_duration: params.min,
      max_duration: params.max,
      error: params.errors === '1' ? 'true' : '',
      lookback: params.back || '1h',
      limit,
    }),
  );
  const submit = (event) => {
    if (event) event.preventDefault();
    const values = Object.fromEntries(new FormData(form.current));
    const next = { service: '', operation: '', min: '', max: '', errors: '', ...values };
    if (next.service !== (params.service || ''))
      next.operation = next.service && values.operation !== params.operation ? values.operation : '';
    change(next, {});
  };
  const clear = () => go(href(route.value.path, { back: params.back }));
  const traces = data ? data.traces : [];
  const failed = traces.filter((trace) => trace.errors).length;

  return html`<h1 class="unseen">Traces</h1>
    <form class="search card" ref=${form} onSubmit=${submit} onChange=${submit} role="search" aria-label="Traces">
      <${Field}
        name="service"
        label="Service"
        value=${params.service}
        list=${services.data?.data || []}
        placeholder="any"
        isFilter
      />
      <${Field}
        name="operation"
        label="Operation"
        value=${params.operation}
        list=${operations.data?.data || []}
        placeholder="any"
      />
      <${Field} name="min" label="At least" value=${params.min} placeholder="e.g. 100ms" />
      <${Field} name="max" label="At most" value=${params.max} placeholder="e.g. 2s" />
      <label class="check"
        ><input type="checkbox" name="errors" value="1" checked=${params.errors === '1'} /> Only failed</label
      >
      <div class="buttons">
        <button class="primary">Search</button><button type="button" class="plain" onClick=${clear}>Clear</button>
      </div>
    </form>
    <section class="card results" aria-label="Results" aria-busy=${!data && !error}>
      <header>
        <h2>
          ${error ? 'Not answered' : data ? `${plural(traces.length, 'trace')}${traces.length === limit ? ', the newest' : ''}` : 'Traces'}
        </h2>
        ${failed > 0 && html`<span class="bad">${failed} failed</span>`}<span class="fill"></span>
        <span class="muted small">newest first</span>
      </header>
      ${
        error
          ? html`<p class="refused" role="alert">${error}</p>`
          : html`<${Dots} traces=${traces} />
              <div class="columns" aria-hidden="true">
                <span>Root</span><span>Duration</span><span>Spans</span><span>Failed</span><span>Began</span>
              </div>
              <${TraceTable} traces=${traces} />
              ${data && !traces.length && html`<p class="none">No trace matches. A longer time, fewer words, or a wider duration may.</p>`}`
      }
    </section>`;
}
