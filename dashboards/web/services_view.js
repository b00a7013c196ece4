// SPDX-License-Identifier: Apache-2.0
// The front page: which service suffers, who calls it and what it calls, and what failed last.
import { areWaiting, useAnswer } from './answer.js';
import { colorClass } from './color.js';
import { html } from './html.js';
import { ErrorMark, Icon, Spark } from './icon.js';
import { Loading } from './loading.js';
import { ServiceMap } from './map.js';
import { href, Link } from './route.js';
import { milliseconds, percent, plural, rate } from './text.js';
import { TraceBrief } from './trace_list.js';

const SHOWN = 3;

function Ends({ edges, side }) {
  if (!edges.length) return html`<span class="muted">–</span>`;
  return html`<span class="ends"
    >${edges.slice(0, SHOWN).map((edge) => {
      const name = side === 'from' ? edge.from || 'outside' : edge.to;
      const kind = edge.kind === 'entry' ? 'entry' : edge.kind === 'consume' ? 'queue' : edge.kind;
      return html`<span
        class="end ${edge.errors ? 'bad' : ''}"
        title=${`${name}: ${plural(edge.count, 'call')}, ${edge.errors} failed, p99 ${milliseconds(edge.p99_ms)}`}
        ><${Icon} name=${kind} />${name}</span
      >`;
    })}${edges.length > SHOWN ? html`<span class="muted">+${edges.length - SHOWN}</span>` : ''}</span
  >`;
}

const byTrouble = (a, b) => b.error_rate - a.error_rate || b.rate - a.rate;

export function ServiceTable({ services, edges, back }) {
  return html`<div class="scroll" role="region" aria-label="Services" tabindex="0">
    <table class="services">
      <thead>
        <tr>
          <th scope="col">Service</th>
          <th scope="col" class="spark-head">Requests</th>
          <th scope="col" class="n">Rate</th>
          <th scope="col" class="n">Errors</th>
          <th scope="col" class="n">p50</th>
          <th scope="col" class="n">p99</th>
          <th scope="col">Called by</th>
          <th scope="col">Calls</th>
        </tr>
      </thead>
      <tbody>
        ${[...services].sort(byTrouble).map(
          (service) =>
            html`<tr key=${service.name} class=${service.errors ? 'failed' : ''}>
              <th scope="row">
                <${Link} data-row to=${href(`/service/${encodeURIComponent(service.name)}`, { back })}
                  ><i class="swatch ${colorClass(service.name)}"></i>${service.name}<//
                >
              </th>
              <td>
                <${Spark}
                  counts=${service.counts}
                  failures=${service.failures}
                  label=${`${plural(service.spans, 'request')}, ${service.errors} failed`}
                />
              </td>
              <td class="n">${rate(service.rate)}</td>
              <td class="n">
                ${
                  service.errors
                    ? html`<${Link}
                        class="bad"
                        to=${href('/traces', { service: service.name, errors: '1', back })}
                        title="Failed traces of this service"
                        ><${ErrorMark} label="" />${percent(service.error_rate)}<//
                      >`
                    : html`<span class="muted">0 %</span>`
                }
              </td>
              <td class="n">${milliseconds(service.p50_ms)}</td>
              <td class="n">${milliseconds(service.p99_ms)}</td>
              <td>
                <${Ends}
                  edges=${edges.filter((edge) => edge.to === service.name && ['service', 'entry', 'consume'].includes(edge.kind))}
                  side="from"
                />
              </td>
              <td>
                <${Ends}
                  edges=${edges.filter((edge) => edge.from === service.name && edge.kind !== 'consume')}
                  side="to"
                />
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Welcome() {
  return html`<div class="empty">
    <h1>No traces yet</h1>
    <p>Point any OpenTelemetry SDK at this agent; what arrives appears here by itself.</p>
    <pre>
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 \\
OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf \\
your-service</pre>
  </div>`;
}

export function ServicesView({ params }) {
  const back = params.back || '1h';
  const services = useAnswer(href('/api/v1/services', { lookback: back }));
  const map = useAnswer(href('/api/v1/map', { lookback: back }));
  const failed = useAnswer(href('/api/v1/traces', { error: 'true', lookback: back, limit: 6 }));
  const newest = useAnswer(href('/api/v1/traces', { lookback: back, limit: 6 }));
  const list = services.data?.services || [];
  const edges = map.data?.edges || [];

  if (services.data && !list.length && newest.data && !newest.data.traces.length && back === '1h')
    return html`<${Welcome} />`;
  if (areWaiting(services, map, failed, newest)) return html`<${Loading} />`;
  return html`<h1 class="unseen">Services</h1>
    ${services.error && html`<p class="refused" role="alert">${services.error}</p>`}
    <div class="front">
      <div>
        <section class="card services-card">
          <header>
            <h2>Services</h2>
            <span class="muted">${services.data ? list.length : ''}</span>
          </header>
          <${ServiceTable} services=${list} edges=${edges} back=${params.back} />
        </section>
        <section class="card map-card">
          <header>
            <h2>Map</h2>
            <span class="fill"></span><${Link} class="small" to=${href('/map', { back: params.back })}>larger<//>
          </header>
          <${ServiceMap} services=${list} edges=${edges} back=${params.back} height=${320} />
        </section>
      </div>
      <div>
        <section class="card">
          <header>
            <h2>Failed last</h2>
            <span class="fill"></span
            ><${Link} class="small" to=${href('/traces', { errors: '1', back: params.back })}>all<//>
          </header>
          <${TraceBrief}
            traces=${failed.data?.traces || []}
            rows=${6}
            showCause
            empty=${failed.data ? 'Nothing failed in this time.' : ''}
          />
        </section>
        <section class="card">
          <header>
            <h2>Newest</h2>
            <span class="fill"></span><${Link} class="small" to=${href('/traces', { back: params.back })}>all<//>
          </header>
          <${TraceBrief}
            traces=${newest.data?.traces || []}
            rows=${6}
            empty=${newest.data ? 'No traces in this time.' : ''}
          />
        </section>
      </div>
    </div>`;
}
