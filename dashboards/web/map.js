// SPDX-License-Identifier: Apache-2.0
// The service map as SVG. Places change only when a node or an edge appears or goes, not with the figures.
import { useEffect, useState } from 'preact/hooks';
import { colorClass } from './color.js';
import { html } from './html.js';
import { go, href } from './route.js';
import { milliseconds, percent, plural, rate } from './text.js';

const WIDTH = 158;
const HEIGHT = 52;
const NODES_MAX = 100;

// {nodes: id -> {id, name, kind}, links: [{from, to, count, errors, p99_ms}]}
export function graphOf(services, edges) {
  const nodes = new Map();
  const add = (id, name, kind) => {
    if (!nodes.has(id)) nodes.set(id, { id, name, kind });
    return id;
  };
  for (const service of services) add(`service ${service.name}`, service.name, 'service');
  const links = edges.map((edge) => {
    const target = ['database', 'queue', 'external'].includes(edge.kind) ? edge.kind : 'service';
    const source = edge.kind === 'consume' ? 'queue' : edge.kind === 'entry' ? 'entry' : 'service';
    return {
      ...edge,
      from: add(`${source} ${edge.from}`, edge.from || 'outside', source),
      to: add(`${target} ${edge.to}`, edge.to, target),
      service: edge.kind === 'entry' || edge.kind === 'consume' ? edge.to : edge.from,
    };
  });
  return { nodes, links };
}

function place(dagre, { nodes, links }) {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'LR', nodesep: 20, ranksep: 62, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes.values())
    graph.setNode(node.id, { width: node.kind === 'entry' ? 84 : WIDTH, height: node.kind === 'entry' ? 32 : HEIGHT });
  for (const link of links) if (link.from !== link.to) graph.setEdge(link.from, link.to, {}, link.kind);
  dagre.layout(graph);
  return graph;
}

const curve = (points) => {
  const [first, ...rest] = points;
  let path = `M${first.x} ${first.y}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const end =
      i === rest.length - 2 ? rest[i + 1] : { x: (rest[i].x + rest[i + 1].x) / 2, y: (rest[i].y + rest[i + 1].y) / 2 };
    path += `Q${rest[i].x} ${rest[i].y} ${end.x} ${end.y}`;
  }
  return rest.length === 1 ? `${path}L${rest[0].x} ${rest[0].y}` : path;
};

const cut = (text, room) => (text.length > room ? `${text.slice(0, room - 1)}…` : text);

function Shape({ kind, width, height }) {
  const x = -width / 2;
  const y = -height / 2;
  if (kind === 'database') {
    return html`<path
        class="box"
        d=${`M${x} ${y + 7}c0-9 ${width}-9 ${width} 0v${height - 14}c0 9-${width} 9-${width} 0z`}
      /><path class="rim" d=${`M${x} ${y + 7}c0 9 ${width} 9 ${width} 0`} />`;
  }
  if (kind === 'queue')
    return html`<rect class="box" x=${x} y=${y} width=${width} height=${height} rx="4" /><path
        class="rim"
        d=${`M${x + width - 30} ${y}v${height}M${x + width - 20} ${y}v${height}M${x + width - 10} ${y}v${height}`}
      />`;
  return html`<rect
    class="box ${kind}"
    x=${x}
    y=${y}
    width=${width}
    height=${height}
    rx=${kind === 'entry' ? height / 2 : 8}
  />`;
}

function Node({ node, at, service, back }) {
  const isService = node.kind === 'service';
  const words = service
    ? `${node.name}, ${rate(service.rate)}, ${percent(service.error_rate)} errors, p99 ${milliseconds(service.p99_ms)}`
    : `${node.name}, ${node.kind}`;
  const to = href(`/service/${encodeURIComponent(node.name)}`, { back });
  const inner = html`<title>${words}</title><${Shape} kind=${node.kind} width=${at.width} height=${at.height} />
    ${isService && html`<path class="stripe ${colorClass(node.name)}" d=${`M${-at.width / 2 + 6} ${-at.height / 2 + 12}v${at.height - 24}`} />`}
    <text
      class="title"
      x=${node.kind === 'entry' ? 0 : -at.width / 2 + 16}
      y=${node.kind === 'entry' ? 4 : node.kind === 'database' ? 3 : -3}
      text-anchor=${node.kind === 'entry' ? 'middle' : 'start'}
      >${cut(node.name, node.kind === 'queue' ? 14 : 18)}</text
    >
    ${node.kind !== 'entry' && html`<text class="sub ${service?.errors ? 'bad' : ''}" x=${-at.width / 2 + 16} y=${node.kind === 'database' ? 19 : 14}>${service ? `${service.errors ? `▲ ${percent(service.error_rate)}` : rate(service.rate)} · ${milliseconds(service.p99_ms)}` : node.kind}</text>`}`;
  const className = `node ${node.kind} ${service?.errors ? 'failed' : ''}`;
  const transform = `translate(${at.x} ${at.y})`;
  if (!isService) return html`<g class=${className} transform=${transform} role="img" aria-label=${words}>${inner}</g>`;
  return html`<a
    class=${className}
    transform=${transform}
    href=${to}
    data-row
    aria-label=${words}
    onClick=${(e) => {
      if (!e.ctrlKey && !e.metaKey) {
        e.preventDefault();
        go(to);
      }
    }}
    >${inner}</a
  >`;
}

function Edge({ link, points, seconds, back }) {
  const words = `${plural(link.count, 'call')}, ${percent(link.errors / link.count)} failed, p50 ${milliseconds(link.p50_ms)}, p99 ${milliseconds(link.p99_ms)}`;
  const middle = points[Math.floor(points.length / 2)];
  const thickness = Math.min(5, 1.2 + Math.log10(1 + link.count) * 0.8);
  const open = () => go(href('/traces', { service: link.service, errors: link.errors ? '1' : '', back }));
  return html`<g class="edge ${link.errors ? 'failed' : ''}" onClick=${open}
    ><title>${words}</title><path class="hit" d=${curve(points)} /><path
      class="line"
      d=${curve(points)}
      stroke-width=${thickness}
      marker-end=${link.errors ? 'url(#tip-failed)' : 'url(#tip)'}
    />
    <text x=${middle.x} y=${middle.y - 5} text-anchor="middle"
      >${link.errors ? `▲ ${percent(link.errors / link.count)}` : rate(link.count / seconds)}</text
    ></g
  >`;
}

function Tip({ id }) {
  return html`<marker
    id=${id}
    viewBox="0 0 8 8"
    refX="7.5"
    refY="4"
    markerWidth="8"
    markerHeight="8"
    orient="auto"
    markerUnits="userSpaceOnUse"
    ><path d="M0 0 8 4 0 8z"
  /></marker>`;
}

const windowSeconds = { '5m': 300, '15m': 900, '6h': 21600, '24h': 86400, '72h': 259200 };

export function ServiceMap({ services, edges, back, height }) {
  const [layout, setLayout] = useState(null);
  const graph = graphOf(services, edges);
  const key = JSON.stringify([
    [...graph.nodes.keys()].sort(),
    graph.links.map((link) => [link.from, link.to, link.kind].join('\n')).sort(),
  ]);
  const isTooBig = graph.nodes.size > NODES_MAX;

  useEffect(() => {
    let isOld = false;
    if (graph.nodes.size && !isTooBig) {
      // The layout library is fetched only where a map is shown.
      import('dagre').then((dagre) => {
        if (!isOld) setLayout({ key, graph: place(dagre.default || dagre, graph) });
      });
    }
    return () => {
      isOld = true;
    };
  }, [key]);

  if (isTooBig)
    return html`<p class="none">The map has ${graph.nodes.size} nodes, too many to read: the table has them all.</p>`;
  if (!layout) return html`<div class="map" style=${{ height: `${height}px` }}></div>`;
  const { width, height: drawn } = layout.graph.graph();
  const byName = new Map(services.map((service) => [service.name, service]));
  const seconds = windowSeconds[back] || 3600;
  return html`<div class="map" style=${{ height: `${height}px` }}>
    <svg
      viewBox=${`0 0 ${width} ${drawn}`}
      style=${{ maxWidth: `${width * 1.15}px`, maxHeight: `${drawn * 1.15}px` }}
      role="group"
      aria-label="Service map"
    >
      <defs>
        <${Tip} id="tip" />
        <${Tip} id="tip-failed" />
      </defs>
      ${graph.links.map((link) => {
        const edge = link.from !== link.to && layout.graph.edge({ v: link.from, w: link.to, name: link.kind });
        return (
          edge &&
          html`<${Edge}
            key=${link.from + link.to + link.kind}
            link=${link}
            points=${edge.points}
            seconds=${seconds}
            back=${back}
          />`
        );
      })}
      ${[...graph.nodes.values()].map((node) => {
        const at = layout.graph.node(node.id);
        return (
          at &&
          html`<${Node}
            key=${node.id}
            node=${node}
            at=${at}
            service=${node.kind === 'service' ? byName.get(node.name) : null}
            back=${back}
          />`
        );
      })}
    </svg>
  </div>`;
}
