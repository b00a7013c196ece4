// SPDX-License-Identifier: Apache-2.0
// The rows of a trace. Only those in sight exist, so that a trace may have any number of spans.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { colorClass } from './color.js';
import { html } from './html.js';
import { ErrorMark } from './icon.js';
import { duration } from './text.js';
import { rowsOf } from './tree.js';

const ROW = 26;
const SPARE = 12;
const INDENT_MAX = 16;
const TREE_SHARE = 0.5; // of the name column, at most, is indentation

function Guides({ row, indent }) {
  const { node, lines, isLast } = row;
  if (!node.depth) return null;
  const x = (level) => level * indent + indent / 2;
  let path = '';
  lines.forEach((goesOn, level) => {
    if (goesOn) path += `M${x(level)} 0V${ROW}`;
  });
  const own = x(node.depth - 1);
  path += `M${own} 0V${isLast ? ROW / 2 : ROW}M${own} ${ROW / 2}H${own + indent / 2}`;
  return html`<svg
    class="guides ${node.parent && node.parent.isMissing ? 'broken' : ''}"
    width=${node.depth * indent}
    height=${ROW}
    aria-hidden="true"
  >
    <path d=${path} />
  </svg>`;
}

const share = (value, total) => `${(value / total) * 100}%`;

function Bar({ node, total }) {
  const left = node.start / total;
  const width = (node.end - node.start) / total;
  return html`<span class="lane">
    <i
      class="span-bar ${node.isMissing ? 'missing' : ''}"
      style=${{ left: share(left, 1), width: share(width, 1) }}
    ></i>
    ${node.critical.map(([from, to]) => html`<i class="critical" style=${{ left: share(from, total), width: share(to - from, total) }}></i>`)}
    <b class="took" style=${{ left: share(left + width, 1) }}>${duration(node.end - node.start)}</b></span
  >`;
}

function label(node) {
  if (node.isMissing) return `Span ${node.id}, not received`;
  return `${node.span.service}: ${node.span.name}, ${duration(node.end - node.start)}${node.isError ? ', failed' : ''}${node.critical.length ? ', on the critical path' : ''}`;
}

function Row({ row, top, indent, isChosen, isDim, isFolded, total, choose, fold }) {
  const { node } = row;
  const hasChildren = node.children.length > 0;
  return html`<div
    id=${`row-${node.id}`}
    role="treeitem"
    aria-level=${node.depth + 1}
    aria-selected=${isChosen}
    aria-expanded=${hasChildren ? !isFolded : undefined}
    aria-label=${label(node)}
    class="row ${node.isMissing ? '' : colorClass(node.span.service)} ${isChosen ? 'chosen' : ''} ${isDim ? 'dim' : ''} ${node.isError ? 'failed' : ''} ${node.critical.length ? 'on-path' : ''}"
    style=${{ transform: `translateY(${top}px)` }}
    onClick=${() => choose(node.isMissing ? null : node)}
  >
    <span class="name"
      ><${Guides} row=${row} indent=${indent} />
      ${
        hasChildren
          ? html`<button
              class="fold"
              tabindex="-1"
              aria-hidden="true"
              onClick=${(e) => {
                e.stopPropagation();
                fold(node);
              }}
            >
              ${isFolded ? '▸' : '▾'}
            </button>`
          : html`<i class="leaf"></i>`
      }
      <i class="swatch"></i>
      ${
        node.isMissing
          ? html`<em>not received</em><span class="op muted"><code>${node.id}</code></span>`
          : html`${node.isError && html`<${ErrorMark} />`}<span class="op">${node.span.name}</span
              ><span class="svc">${node.span.service}</span
              >${isFolded && html`<small class="more">${node.children.length}</small>`}`
      } </span
    ><${Bar} node=${node} total=${total} />
  </div>`;
}

function Scale({ total }) {
  const steps = [0, 0.25, 0.5, 0.75, 1];
  return html`<div class="scale" aria-hidden="true">
    <span class="name"
      >Span <i class="key"><i class="critical"></i> critical path, estimated</i></span
    ><span class="lane"
      >${steps.map((at) => html`<b style=${{ left: share(at, 1) }}>${at ? duration(total * at) : '0'}</b>`)}</span
    >
  </div>`;
}

function useWindow(scroller, rowCount) {
  const [sight, setSight] = useState({ top: 0, height: 600, width: 1000 });
  useLayoutEffect(() => {
    const element = scroller.current;
    const look = () => setSight({ top: element.scrollTop, height: element.clientHeight, width: element.clientWidth });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    look();
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);
  const first = Math.max(0, Math.floor(sight.top / ROW) - SPARE);
  return { first, last: Math.min(rowCount, Math.ceil((sight.top + sight.height) / ROW) + SPARE), width: sight.width };
}

export function Waterfall({ tree, chosen, choose, found }) {
  const scroller = useRef(null);
  const [folded, setFolded] = useState(() => new Set());
  const rows = useMemo(() => rowsOf(tree, folded), [tree, folded]);
  const at = useMemo(() => new Map(rows.map((row, i) => [row.node.id, i])), [rows]);
  const { first, last, width } = useWindow(scroller, rows.length);
  const indent = Math.max(
    3,
    Math.min(INDENT_MAX, (Math.max(220, width * 0.42) * TREE_SHARE) / Math.max(1, tree.depth)),
  );

  const fold = (node, isWanted = !folded.has(node.id)) => {
    const next = new Set(folded);
    if (isWanted) next.add(node.id);
    else next.delete(node.id);
    setFolded(next);
  };
  // What is chosen is in sight, also when it was folded away.
  useEffect(() => {
    if (!chosen) return;
    const hidden = [];
    for (let up = chosen.parent; up; up = up.parent) if (folded.has(up.id)) hidden.push(up.id);
    if (hidden.length) setFolded(new Set([...folded].filter((id) => !hidden.includes(id))));
  }, [chosen && chosen.id]);
  useEffect(() => {
    const element = scroller.current;
    const i = chosen ? at.get(chosen.id) : undefined;
    if (i === undefined) return;
    if (i * ROW < element.scrollTop) element.scrollTop = Math.max(0, (i - 3) * ROW);
    else if ((i + 1) * ROW > element.scrollTop + element.clientHeight)
      element.scrollTop = (i + 4) * ROW - element.clientHeight;
  }, [chosen && chosen.id, at]);

  const pick = (i) => {
    if (rows[i]) choose(rows[i].node.isMissing && rows[i + 1] ? rows[i + 1].node : rows[i].node);
  };
  const nextOf = (test) => {
    const from = chosen ? tree.ordered.indexOf(chosen) : -1;
    const list = [...tree.ordered.slice(from + 1), ...tree.ordered.slice(0, from + 1)];
    const next = list.find(test);
    if (next) choose(next);
  };
  const key = (event) => {
    const i = chosen ? (at.get(chosen.id) ?? -1) : -1;
    const actions = {
      ArrowDown: () => pick(i + 1),
      ArrowUp: () => {
        for (let up = i - 1; up >= 0; up--)
          if (!rows[up].node.isMissing) {
            choose(rows[up].node);
            break;
          }
      },
      ArrowLeft: () => {
        if (chosen && chosen.children.length && !folded.has(chosen.id)) fold(chosen, true);
        else if (chosen && chosen.parent && !chosen.parent.isMissing) choose(chosen.parent);
      },
      ArrowRight: () => {
        if (chosen && folded.has(chosen.id)) fold(chosen, false);
        else if (chosen && chosen.children.length) choose(chosen.children[0]);
      },
      Home: () => pick(0),
      End: () => pick(rows.length - 1),
      Escape: () => choose(null),
      e: () => nextOf((node) => node.isError),
      n: () => found && nextOf((node) => found.has(node.id)),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  };
  const keyAnywhere = (event) => {
    if (['e', 'n'].includes(event.key) && !event.target.closest('input, select, textarea') && !event.defaultPrevented)
      key(event);
  };
  const latest = useRef(keyAnywhere);
  latest.current = keyAnywhere;
  useEffect(() => {
    const listen = (event) => latest.current(event);
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);

  return html`<section class="waterfall card" aria-label="Waterfall">
    <${Scale} total=${tree.durationNs} />
    <div
      class="rows"
      ref=${scroller}
      role="tree"
      tabindex="0"
      aria-label="Spans"
      aria-activedescendant=${chosen && at.has(chosen.id) ? `row-${chosen.id}` : undefined}
      onKeyDown=${key}
    >
      <div class="height" role="presentation" style=${{ height: `${rows.length * ROW}px` }}>
        ${rows
          .slice(first, last)
          .map(
            (row, i) =>
              html`<${Row}
                key=${row.node.id}
                row=${row}
                top=${(first + i) * ROW}
                indent=${indent}
                isChosen=${row.node === chosen}
                isDim=${found && !found.has(row.node.id)}
                isFolded=${folded.has(row.node.id)}
                total=${tree.durationNs}
                choose=${choose}
                fold=${fold}
              />`,
          )}
      </div>
    </div>
  </section>`;
}
