// SPDX-License-Identifier: Apache-2.0
// Beside the waterfall: everything a span carries, or where a trace spent its time.
import { colorClass } from './color.js';
import { html } from './html.js';
import { ErrorMark } from './icon.js';
import { href, Link } from './route.js';
import { duration, percent, plural } from './text.js';
import { servicesOf } from './tree.js';

function valueText(value) {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value, null, 1) : String(value);
}

function Attributes({ list, title }) {
  if (!list.length) return null;
  return html`<section>
    <h3>${title} <small>${list.length}</small></h3>
    <dl class="attributes">
      ${list.map(
        ({ key, value }) =>
          html`<div>
            <dt>${key}</dt>
            <dd class=${typeof value}>${valueText(value)}</dd>
          </div>`,
      )}
    </dl>
  </section>`;
}

const find = (list, key) => list.find((each) => each.key === key)?.value;

function exceptionOf(span) {
  const event = span.events.find(({ name }) => name === 'exception');
  const list = event ? event.attributes : span.attributes;
  return {
    type: find(list, 'exception.type') || find(span.attributes, 'error.type'),
    message: find(list, 'exception.message'),
    stack: find(list, 'exception.stacktrace'),
  };
}

function Failure({ node, tree, choose }) {
  const { type, message, stack } = exceptionOf(node.span);
  const words = node.span.status_message || message || 'The span says it failed, without a message.';
  const cause = tree.cause && tree.cause !== node ? tree.cause : null;
  return html`<section class="failure">
    <h3>
      <${ErrorMark} />
      ${tree.cause === node ? 'Cause of the failure' : 'Failed'}${type ? html` <code>${valueText(type)}</code>` : ''}
    </h3>
    <p>${words}</p>
    ${message && message !== words && html`<p>${valueText(message)}</p>`}
    ${
      stack &&
      html`<details>
        <summary>Stack trace</summary>
        <pre>${valueText(stack)}</pre>
      </details>`
    }
    ${cause && html`<button class="link" onClick=${() => choose(cause)}>Go to the cause: ${cause.span.service} · ${cause.span.name}</button>`}
  </section>`;
}

function Events({ span, trace }) {
  const start = BigInt(trace.start_ns);
  if (!span.events.length) return null;
  return html`<section>
    <h3>Events <small>${span.events.length}</small></h3>
    <ol class="events">
      ${span.events.map(
        (event) =>
          html`<li>
            <header>
              <b>${event.name}</b><span class="muted">at ${duration(Number(BigInt(event.time_ns) - start))}</span>
            </header>
            <dl class="attributes">
              ${event.attributes.map(
                ({ key, value }) =>
                  html`<div>
                    <dt>${key}</dt>
                    <dd class=${typeof value}>${valueText(value)}</dd>
                  </div>`,
              )}
            </dl>
          </li>`,
      )}
    </ol>
  </section>`;
}

function Links({ span }) {
  if (!span.links.length) return null;
  return html`<section>
    <h3>Links <small>${span.links.length}</small></h3>
    <ul class="links">
      ${span.links.map(
        (link) =>
          html`<li>
            <${Link} to=${href(`/trace/${link.trace_id}`, { span: link.span_id })}
              ><code>${link.trace_id.slice(0, 16)}…</code> span <code>${link.span_id}</code><//
            >
            ${
              link.attributes.length > 0 &&
              html`<dl class="attributes">
                ${link.attributes.map(
                  ({ key, value }) =>
                    html`<div>
                      <dt>${key}</dt>
                      <dd>${valueText(value)}</dd>
                    </div>`,
                )}
              </dl>`
            }
          </li>`,
      )}
    </ul>
  </section>`;
}

export function SpanPanel({ node, tree, trace, choose }) {
  const { span } = node;
  const criticalNs = node.critical.reduce((sum, [from, to]) => sum + to - from, 0);
  return html`<header class=${colorClass(span.service)}>
      <button class="close" onClick=${() => choose(null)} aria-label="Close the span">×</button>
      <p class="muted">
        <i class="swatch"></i>
        <${Link} to=${`/service/${encodeURIComponent(span.service)}`}>${span.service}<//>${` · ${span.kind}`}
      </p>
      <h2>${span.name}</h2>
    </header>
    <dl class="facts">
      <div>
        <dt>Took</dt>
        <dd>${duration(node.end - node.start)}</dd>
      </div>
      <div>
        <dt>Began at</dt>
        <dd>${duration(node.start)}</dd>
      </div>
      <div>
        <dt>Itself</dt>
        <dd>${duration(node.selfNs)}</dd>
      </div>
      <div>
        <dt>On the path</dt>
        <dd>${criticalNs ? percent(criticalNs / tree.durationNs) : 'no'}</dd>
      </div>
    </dl>
    ${node.isError && html`<${Failure} node=${node} tree=${tree} choose=${choose} />`}
    ${node.isSkewed && html`<p class="note">Began ${duration(node.parent.start - node.start)} before its parent: their clocks may differ.</p>`}
    ${node.parent && node.parent.isMissing && html`<p class="note">Its parent <code>${node.parent.id}</code> was not received.</p>`}
    <${Attributes} list=${span.attributes} title="Attributes" /><${Events} span=${span} trace=${trace} /><${Links}
      span=${span}
    /><${Attributes} list=${span.resource} title="Resource" />
    <section>
      <h3>Identity</h3>
      <dl class="attributes">
        <div>
          <dt>span id</dt>
          <dd>${span.span_id}</dd>
        </div>
        ${
          span.parent_id &&
          html`<div>
            <dt>parent id</dt>
            <dd>${span.parent_id}</dd>
          </div>`
        }
        ${
          span.scope &&
          html`<div>
            <dt>scope</dt>
            <dd>${span.scope}</dd>
          </div>`
        }${
          span.trace_state &&
          html`<div>
            <dt>trace state</dt>
            <dd>${span.trace_state}</dd>
          </div>`
        }
      </dl>
    </section>`;
}

export function TracePanel({ tree, trace, choose }) {
  const services = servicesOf(tree);
  const total = services.reduce((sum, each) => sum + each.selfNs, 0) || 1;
  return html`<header>
      <p class="muted">Whole trace</p>
      <h2>Where the time went</h2>
    </header>
    <ul class="shares">
      ${services.map(
        (each) =>
          html`<li class=${colorClass(each.name)}>
            <span><i class="swatch"></i>${each.name}</span><b>${duration(each.selfNs)}</b>
            <i class="share"><i style=${{ width: percent(each.selfNs / total).replace(' ', '') }}></i></i
            ><small class="muted">${plural(each.spans, 'span')}${each.errors ? `, ${each.errors} failed` : ''}</small>
          </li>`,
      )}
    </ul>
    ${
      tree.errors.length > 0 &&
      html`<section>
        <h3>Failed <small>${tree.errors.length}</small></h3>
        <ul class="links">
          ${tree.errors.slice(0, 20).map(
            (node) =>
              html`<li>
                <button class="link" onClick=${() => choose(node)}>
                  <${ErrorMark} /> ${node.span.service} · ${node.span.name}
                </button>
              </li>`,
          )}
        </ul>
      </section>`
    }
    <p class="muted small">
      Choose a span for its attributes. <a href=${`/api/v1/traces/${trace.trace_id}`}>This trace as JSON</a>
    </p>`;
}
