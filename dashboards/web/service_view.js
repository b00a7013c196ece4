// SPDX-License-Identifier: Apache-2.0
// One service: its figures, the ways in and out, its operations, its failed and its slowest traces.
import { areWaiting, useAnswer } from './answer.js';
import { colorClass } from './color.js';
import { html } from './html.js';
import { ErrorMark, Icon, Spark } from './icon.js';
import { Loading } from './loading.js';
import { href, Link } from './route.js';
import { count, milliseconds, percent, rate } from './text.js';
import { TraceBrief } from './trace_list.js';

function PathList({ title, edges, side, back, seconds, empty }) {
  return html`<section class="paths" aria-label=${title}>
    <h3>${title}</h3>
    ${edges.length === 0 && html`<p class="muted">${empty}</p>`}
    <ul>
      ${edges.map((edge) => {
        const name = side === 'from' ? edge.from || 'outside' : edge.to;
        const isService = edge.kind === 'service';
        const kind = edge.kind === 'consume' ? 'queue' : edge.kind;
        const inner = html`<${Icon} name=${kind} /><b>${name}</b>`;
        return html`<li class=${edge.errors ? 'failed' : ''}>
          ${isService ? html`<${Link} data-row class="end" to=${href(`/service/${encodeURIComponent(name)}`, { back })}>${inner}<//>` : html`<span class="end">${inner}</span>`}
          <span class="figures"
            ><span>${rate(edge.count / seconds)}</span
            ><span class=${edge.errors ? 'bad' : 'muted'}
              >${edge.errors ? html`<${ErrorMark} label="" />` : ''}${percent(edge.errors / edge.count)}</span
            ><span title="p50">${milliseconds(edge.p50_ms)}</span
            ><span title="p99">${milliseconds(edge.p99_ms)}</span></span
          >
        </li>`;
      })}
    </ul>
  </section>`;
}

function Figure({ name, value, isBad }) {
  return html`<div>
    <dt>${name}</dt>
    <dd class=${isBad ? 'bad' : ''}>${value}</dd>
  </div>`;
}

function Operations({ list, service, back }) {
  return html`<div class="scroll" role="region" aria-label="Operations" tabindex="0">
    <table class="services">
      <thead>
        <tr>
          <th scope="col">Operation</th>
          <th scope="col" class="spark-head">Requests</th>
          <th scope="col" class="n">Rate</th>
          <th scope="col" class="n">Errors</th>
          <th scope="col" class="n">p50</th>
          <th scope="col" class="n">p99</th>
          <th scope="col" class="n">Slowest</th>
        </tr>
      </thead>
      <tbody>
        ${[...list]
          .sort((a, b) => b.errors - a.errors || b.spans - a.spans)
          .map(
            (each) =>
              html`<tr key=${each.name + each.kind} class=${each.errors ? 'failed' : ''}>
                <th scope="row">
                  <${Link} data-row to=${href('/traces', { service, operation: each.name, back })}>${each.name}<//>
                  <small class="muted">${each.kind}</small>
                </th>
                <td>
                  <${Spark}
                    counts=${each.counts}
                    failures=${each.failures}
                    label=${`${each.spans} requests, ${each.errors} failed`}
                  />
                </td>
                <td class="n">${rate(each.rate)}</td>
                <td class="n">
                  ${each.errors ? html`<${Link} class="bad" to=${href('/traces', { service, operation: each.name, errors: '1', back })}><${ErrorMark} label="" />${percent(each.error_rate)}<//>` : html`<span class="muted">0 %</span>`}
                </td>
                <td class="n">${milliseconds(each.p50_ms)}</td>
                <td class="n">${milliseconds(each.p99_ms)}</td>
                <td class="n">${milliseconds(each.max_ms)}</td>
              </tr>`,
          )}
      </tbody>
    </table>
  </div>`;
}

export function ServiceView({ name, params }) {
  const back = params.back || '1h';
  const services = useAnswer(href('/api/v1/services', { lookback: back }));
  const map = useAnswer(href('/api/v1/map', { lookback: back }));
  const operations = useAnswer(href('/api/v1/operations', { service: name, lookback: back }));
  const failed = useAnswer(href('/api/v1/traces', { service: name, error: 'true', lookback: back, limit: 6 }));
  const newest = useAnswer(href('/api/v1/traces', { service: name, lookback: back, limit: 6 }));
  const me = services.data?.services.find((service) => service.name === name);
  const edges = map.data?.edges || [];
  const seconds = services.data ? Number(BigInt(services.data.end_ns) - BigInt(services.data.start_ns)) / 1e9 : 3600;
  const into = edges.filter((edge) => edge.to === name && ['service', 'entry', 'consume'].includes(edge.kind));
  const out = edges.filter((edge) => edge.from === name && edge.kind !== 'consume');
  const trouble = (a, b) => b.errors / b.count - a.errors / a.count || b.count - a.count;

  if (areWaiting(services, map, operations, failed, newest)) return html`<${Loading} />`;
  return html`<div class="service-head">
      <h1><i class="swatch ${colorClass(name)}"></i>${name}</h1>
      <dl class="facts">
        <${Figure} name="Rate" value=${me ? rate(me.rate) : '–'} /><${Figure}
          name="Errors"
          value=${me ? percent(me.error_rate) : '–'}
          isBad=${me?.errors}
        />
        <${Figure} name="p50" value=${me ? milliseconds(me.p50_ms) : '–'} /><${Figure}
          name="p99"
          value=${me ? milliseconds(me.p99_ms) : '–'}
        /><${Figure} name="Requests" value=${me ? count(me.spans) : '–'} />
      </dl>
      <${Link} class="button" to=${href('/traces', { service: name, back: params.back })}>Traces<//>
    </div>
    ${services.data && !me && html`<p class="refused">No request to this service in this time.</p>`}
    <div class="front">
      <div>
        <section class="card in-out">
          <${PathList}
            title="Called by"
            edges=${into.sort(trouble)}
            side="from"
            back=${params.back}
            seconds=${seconds}
            empty="Nobody seen"
          />
          <${PathList}
            title="Calls"
            edges=${out.sort(trouble)}
            side="to"
            back=${params.back}
            seconds=${seconds}
            empty="Nothing seen"
          />
        </section>
        <section class="card">
          <header><h2>Operations</h2></header>
          <${Operations} list=${operations.data?.operations || []} service=${name} back=${params.back} />
        </section>
      </div>
      <div>
        <section class="card">
          <header><h2>Failed last</h2></header>
          <${TraceBrief}
            traces=${failed.data?.traces || []}
            rows=${6}
            showCause
            empty=${failed.data ? 'Nothing failed in this time.' : ''}
          />
        </section>
        <section class="card">
          <header><h2>Newest</h2></header>
          <${TraceBrief}
            traces=${newest.data?.traces || []}
            rows=${6}
            empty=${newest.data ? 'No traces in this time.' : ''}
          />
        </section>
      </div>
    </div>`;
}
