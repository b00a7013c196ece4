// SPDX-License-Identifier: Apache-2.0
// The spans of one trace as a tree: what hangs below what, what is missing, what took the time.
// Pure: an answer of /api/v1/traces/ID in, nodes out. Times are nanoseconds since the trace began.

// A node: {span, id, start, end, parent, children, depth, isMissing, isRing, critical, selfNs, isError, isSkewed}
function nodeOf(span, traceStart) {
  const start = Number(BigInt(span.start_ns) - traceStart);
  return {
    span,
    id: span.span_id,
    start,
    end: start + Number(span.duration_ns),
    parent: null,
    children: [],
    depth: 0,
    isMissing: false,
    isRing: false,
    isError: span.status === 'error',
    isSkewed: false,
    critical: [],
    selfNs: 0,
  };
}

// Stands where a parent should: some span names it, but it has not come (yet).
function missingNode(id) {
  return {
    span: null,
    id,
    start: Infinity,
    end: -Infinity,
    parent: null,
    children: [],
    depth: 0,
    isMissing: true,
    isRing: false,
    isError: false,
    isSkewed: false,
    critical: [],
    selfNs: 0,
  };
}

const byStart = (a, b) => a.start - b.start || b.end - a.end;

function join(nodes, byId) {
  const missing = new Map();
  const roots = [];
  for (const node of nodes) {
    const parentId = node.span.parent_id;
    let parent = parentId ? byId.get(parentId) : null;
    if (parentId && (!parent || parent === node)) {
      if (!missing.has(parentId)) missing.set(parentId, missingNode(parentId));
      parent = missing.get(parentId);
    }
    if (!parent) {
      roots.push(node);
      continue;
    }
    node.parent = parent;
    parent.children.push(node);
    if (parent.isMissing) {
      parent.start = Math.min(parent.start, node.start);
      parent.end = Math.max(parent.end, node.end);
    } else if (node.start < parent.start) node.isSkewed = true;
  }
  return [...roots, ...missing.values()].sort(byStart);
}

// Visits parents before children, without recursion: a trace may be as deep as it has spans.
function walk(roots, visit) {
  const seen = new Set();
  const stack = [...roots].reverse();
  while (stack.length) {
    const node = stack.pop();
    if (seen.has(node)) continue;
    seen.add(node);
    visit(node);
    for (let i = node.children.length - 1; i >= 0; i--) stack.push(node.children[i]);
  }
  return seen;
}

// Spans that hang in a ring of parents reach no root: the earliest of each becomes one.
function breakRings(nodes, roots) {
  let seen = walk(roots, () => {});
  for (const node of [...nodes].sort(byStart)) {
    if (seen.has(node)) continue;
    if (node.parent) node.parent.children.splice(node.parent.children.indexOf(node), 1);
    node.parent = null;
    node.isRing = true;
    roots.push(node);
    seen = walk(roots, () => {});
  }
}

// Time in a span that none of its children covers.
function selfTime(node) {
  let covered = 0;
  let until = node.start;
  for (const child of node.children) {
    const from = Math.max(until, child.start);
    const to = Math.min(node.end, child.end);
    if (to > from) covered += to - from;
    until = Math.max(until, to);
  }
  return Math.max(0, node.end - node.start - covered);
}

// Nobody waits for what a message sets off.
const isAsync = (node) => node.span.kind === 'consumer' || (node.parent.span && node.parent.span.kind === 'producer');

// From the end of the root backwards: whoever ended last was waited for. An estimate: it knows times, not locks.
export function criticalPath(root) {
  const work = [{ node: root, from: root.start, until: root.end }];
  while (work.length) {
    const { node, from, until } = work.pop();
    const begin = Math.max(from, node.start);
    const limit = Math.min(until, node.end);
    let cursor = limit;
    const waited = node.children
      .filter((child) => !(isAsync(child) && child.end > node.end))
      .sort((a, b) => b.end - a.end);
    for (const child of waited) {
      const end = Math.min(child.end, cursor);
      const start = Math.max(child.start, begin);
      // One that was still running when the next began was not waited for.
      if (start >= end || (child.end > cursor && cursor < limit)) continue;
      if (cursor > end) node.critical.unshift([end, cursor]);
      work.push({ node: child, from: start, until: end });
      cursor = start;
    }
    if (cursor > begin) node.critical.unshift([begin, cursor]);
  }
}

// The failure that explains the others: it has no failed child, and of several it began last.
function causeOf(nodes) {
  let cause = null;
  for (const node of nodes) {
    if (!node.isError || node.children.some((child) => child.isError)) continue;
    if (!cause || node.start > cause.start) cause = node;
  }
  return cause;
}

export function treeOf(trace) {
  const traceStart = BigInt(trace.start_ns);
  const byId = new Map();
  const nodes = [];
  let repeated = 0;
  for (const span of trace.spans) {
    if (byId.has(span.span_id)) {
      repeated++;
      continue;
    }
    const node = nodeOf(span, traceStart);
    byId.set(node.id, node);
    nodes.push(node);
  }
  const roots = join(nodes, byId);
  for (const node of nodes) node.children.sort(byStart);
  breakRings(nodes, roots);
  const ordered = [];
  walk(roots, (node) => {
    node.children.sort(byStart);
    node.depth = node.parent ? node.parent.depth + 1 : 0;
    node.selfNs = node.isMissing ? 0 : selfTime(node);
    ordered.push(node);
  });
  for (const root of roots) {
    if (!root.isMissing) criticalPath(root);
    else root.children.forEach(criticalPath);
  }
  return {
    roots,
    nodes,
    byId,
    ordered,
    repeated,
    cause: causeOf(nodes),
    durationNs: Math.max(1, Number(trace.duration_ns)),
    errors: nodes.filter((node) => node.isError),
    missing: roots.filter((root) => root.isMissing),
    skewed: nodes.filter((node) => node.isSkewed),
    depth: ordered.reduce((max, node) => Math.max(max, node.depth), 0),
  };
}

// The rows to show while some nodes are folded: {node, isLast, lines}, where lines has a true for each level
// whose line goes on below this row.
export function rowsOf(tree, folded) {
  const rows = [];
  const stack = tree.roots.map((node, i) => ({ node, isLast: i === tree.roots.length - 1, lines: [] })).reverse();
  while (stack.length) {
    const row = stack.pop();
    rows.push(row);
    if (folded.has(row.node.id)) continue;
    const lines = row.node.depth ? [...row.lines, !row.isLast] : [];
    for (let i = row.node.children.length - 1; i >= 0; i--) {
      stack.push({ node: row.node.children[i], isLast: i === row.node.children.length - 1, lines });
    }
  }
  return rows;
}

// {name, spans, errors, selfNs} of each service, most time first.
export function servicesOf(tree) {
  const services = new Map();
  for (const node of tree.nodes) {
    const name = node.span.service || 'unknown_service';
    const entry = services.get(name) || { name, spans: 0, errors: 0, selfNs: 0 };
    entry.spans++;
    entry.errors += node.isError;
    entry.selfNs += node.selfNs;
    services.set(name, entry);
  }
  return [...services.values()].sort((a, b) => b.selfNs - a.selfNs);
}
