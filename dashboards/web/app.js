// SPDX-License-Identifier: Apache-2.0
// The frame: header, the view of the present route, keys, help.
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import { html } from './html.js';
import { keyPressed, Help, isHelpOpen } from './keys.js';
import { pause, state } from './live.js';
import { Loading } from './loading.js';
import { MapView } from './map_view.js';
import { change, href, Link, route } from './route.js';
import { ServiceView } from './service_view.js';
import { ServicesView } from './services_view.js';
import { nextTheme, theme } from './theme.js';
import { TracesView } from './traces_view.js';

export const lookbacks = [
  ['5m', '5 minutes'],
  ['15m', '15 minutes'],
  ['1h', 'hour'],
  ['6h', '6 hours'],
  ['24h', '24 hours'],
  ['72h', '3 days'],
];
const announced = signal('');

// The waterfall is fetched by whoever opens a trace.
function TraceView(params) {
  const [View, setView] = useState(null);

  useEffect(() => {
    import('./trace_view.js').then((module) => setView(() => module.TraceView));
  }, []);
  return View ? html`<${View} ...${params} />` : html`<${Loading} />`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function viewOf({ path, params }) {
  const [, first, ...rest] = path.split('/');
  const name = decoded(rest.join('/'));
  if (first === 'trace')
    return { title: `trace ${name.slice(0, 8)}`, body: html`<${TraceView} key=${name} id=${name} params=${params} />` };
  if (first === 'service')
    return { title: name, body: html`<${ServiceView} key=${name} name=${name} params=${params} />` };
  if (first === 'traces') return { title: 'traces', body: html`<${TracesView} params=${params} />` };
  if (first === 'map') return { title: 'map', body: html`<${MapView} params=${params} />` };
  return { title: 'services', body: html`<${ServicesView} params=${params} />` };
}

function NavLink({ to, name, path }) {
  const isHere = to === '/' ? path === '/' || path.startsWith('/service/') : path.startsWith(to.slice(0, 6));
  const back = route.value.params.back;
  return html`<${Link} to=${href(to, { back })} aria-current=${isHere ? 'page' : undefined}>${name}<//>`;
}

const liveWords = { live: 'live', paused: 'paused', lost: 'no connection', connecting: 'connecting' };

function Header({ here }) {
  const hasBack = !here.path.startsWith('/trace/');
  return html`<header class="bar">
    <${Link} to="/" class="brand" aria-label="Throughline, services"
      ><svg viewBox="0 0 32 32" aria-hidden="true"><path d="M6 10h13M10 16h16M14 22h8" /></svg>Throughline<//
    >
    <nav aria-label="Views">
      <${NavLink} to="/" name="Services" path=${here.path} /><${NavLink}
        to="/map"
        name="Map"
        path=${here.path}
      /><${NavLink} to="/traces" name="Traces" path=${here.path} />
    </nav>
    <span class="fill"></span>
    ${
      hasBack &&
      html`<label class="pick"
        ><span>${'Last '}</span
        ><select
          value=${here.params.back || '1h'}
          onChange=${(e) => change({ back: e.target.value === '1h' ? '' : e.target.value }, {})}
        >
          ${lookbacks.map(([value, name]) => html`<option value=${value}>${name}</option>`)}
        </select></label
      >`
    }
    <button
      class="live ${state.value}"
      onClick=${() => pause()}
      title="Pause or resume (.)"
      aria-pressed=${state.value === 'paused'}
    >
      <i aria-hidden="true"></i><span>${liveWords[state.value]}</span>
    </button>
    <button class="plain theme" onClick=${nextTheme} title="Dark or light" aria-label="Theme: ${theme.value}">
      ${`◐ ${theme.value}`}
    </button>
    <button
      class="plain"
      onClick=${() => {
        isHelpOpen.value = true;
      }}
      title="Keys (?)"
      aria-label="Keys"
    >
      ?
    </button>
  </header>`;
}

function App() {
  const here = route.value;
  const view = viewOf(here);

  useEffect(() => {
    document.title = `${view.title} · Throughline`;
    announced.value = view.title;
  }, [view.title]);
  useEffect(() => {
    addEventListener('keydown', keyPressed);
    return () => removeEventListener('keydown', keyPressed);
  }, []);
  return html`<a class="skip" href="#main">Skip to content</a><${Header} here=${here} />
    <main id="main" tabindex="-1">${view.body}</main>
    <div class="unseen" role="status">${announced.value}</div>
    <${Help} />`;
}

render(html`<${App} />`, document.getElementById('app'));
