// SPDX-License-Identifier: Apache-2.0
// The map alone, and the same as a table.
import { useAnswer } from './answer.js';
import { html } from './html.js';
import { ErrorMark, Icon } from './icon.js';
import { ServiceMap } from './map.js';
import { change, href } from './route.js';
import { count, milliseconds, percent } from './text.js';

export function MapView({ params }) {
  const back = params.back || '1h';
  const services = useAnswer(href('/api/v1/services', { lookback: back }));
  const map = useAnswer(href('/api/v1/map', { lookback: back }));
  const isOnly = params.errors === '1';
  const all = map.data?.edges || [];
  const edges = isOnly ? all.filter((edge) => edge.errors) : all;
  const list = (services.data?.services || []).filter(
    (service) => !isOnly || edges.some((edge) => edge.from === service.name || edge.to === service.name),
  );

  return html`<section class="card map-card">
      <header>
        <h1>Map</h1>
        <span class="fill"></span>
        <label class="check"
          ><input
            type="checkbox"
            checked=${isOnly}
            onChange=${(e) => change({ errors: e.target.checked ? '1' : '' })}
          />
          Only paths with failures</label
        >
      </header>
      ${map.error && html`<p class="refused" role="alert">${map.error}</p>`}
      <${ServiceMap} services=${list} edges=${edges} back=${params.back} height=${Math.max(320, innerHeight - 420)} />
    </section>
    <section class="card">
      <header><h2>Calls</h2></header>
      <div class="scroll" role="region" aria-label="Calls" tabindex="0">
        <table class="services">
          <thead>
            <tr>
              <th scope="col">From</th>
              <th scope="col">To</th>
              <th scope="col" class="n">Calls</th>
              <th scope="col" class="n">Errors</th>
              <th scope="col" class="n">p50</th>
              <th scope="col" class="n">p99</th>
              <th scope="col" class="n">Slowest</th>
            </tr>
          </thead>
          <tbody>
            ${[...edges]
              .sort((a, b) => b.errors / b.count - a.errors / a.count || b.count - a.count)
              .map(
                (edge) =>
                  html`<tr key=${edge.from + edge.kind + edge.to} class=${edge.errors ? 'failed' : ''}>
                    <td>
                      <span class="end"
                        ><${Icon}
                          name=${edge.kind === 'entry' ? 'entry' : edge.kind === 'consume' ? 'queue' : 'service'}
                        />${edge.from || 'outside'}</span
                      >
                    </td>
                    <td>
                      <span class="end"
                        ><${Icon}
                          name=${['database', 'queue', 'external'].includes(edge.kind) ? edge.kind : 'service'}
                        />${edge.to}</span
                      >
                    </td>
                    <td class="n">${count(edge.count)}</td>
                    <td class="n">
                      ${edge.errors ? html`<span class="bad"><${ErrorMark} label="" />${percent(edge.errors / edge.count)}</span>` : html`<span class="muted">0 %</span>`}
                    </td>
                    <td class="n">${milliseconds(edge.p50_ms)}</td>
                    <td class="n">${milliseconds(edge.p99_ms)}</td>
                    <td class="n">${milliseconds(edge.max_ms)}</td>
                  </tr>`,
              )}
          </tbody>
        </table>
      </div>
    </section>`;
}
