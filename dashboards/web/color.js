// SPDX-License-Identifier: Apache-2.0
// A colour for each service: chosen by its name, so that it is the same in every view, and by another
// only when that one is taken. The classes are in style.css.

const COLORS = 12;
const taken = new Map();
const used = new Set();

function preferred(name) {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  return (hash >>> 8) % COLORS;
}

export function colorClass(name) {
  if (!taken.has(name)) {
    let color = preferred(name);
    for (let i = 0; i < COLORS && used.size < COLORS && used.has(color); i++) color = (color + 5) % COLORS;
    used.add(color);
    taken.set(name, color);
  }
  return `hue${taken.get(name)}`;
}
