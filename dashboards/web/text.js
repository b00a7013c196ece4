// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them. Durations come in nanoseconds.
import { signal } from '@preact/signals';

// So that "3 s ago" grows older when nothing else happens.
const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 5000);

const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

export function duration(ns) {
  if (!(ns > 0)) return '0';
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${digits(ns / 1e3)} µs`;
  if (ns < 1e9) return `${digits(ns / 1e6)} ms`;
  if (ns < 60e9) return `${digits(ns / 1e9)} s`;
  return `${Math.floor(ns / 60e9)} min ${Math.round((ns % 60e9) / 1e9)} s`;
}

export const milliseconds = (ms) => duration(ms * 1e6);

export function rate(perSecond) {
  if (perSecond >= 100) return `${perSecond.toFixed(0)}/s`;
  if (perSecond >= 1) return `${perSecond.toFixed(1)}/s`;
  const perMinute = perSecond * 60;
  if (perMinute >= 0.1) return `${perMinute.toFixed(1)}/min`;
  return perMinute > 0 ? '<0.1/min' : '0';
}

export function percent(share) {
  if (share <= 0) return '0 %';
  const value = share * 100;
  return value < 0.1 ? '<0.1 %' : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

export const count = (value) => Number(value).toLocaleString('en-US');

export const plural = (value, word) => `${count(value)} ${word}${value === 1 ? '' : 's'}`;

export function clock(ns) {
  const date = new Date(Number(BigInt(ns) / 1000000n));
  const part = (value, width = 2) => String(value).padStart(width, '0');
  return `${part(date.getHours())}:${part(date.getMinutes())}:${part(date.getSeconds())}.${part(date.getMilliseconds(), 3)}`;
}

export function day(ns) {
  const date = new Date(Number(BigInt(ns) / 1000000n));
  return date.toLocaleDateString('en-CA');
}

export function ago(ns) {
  const seconds = Math.max(0, Math.max(now.value, Date.now()) / 1e3 - Number(BigInt(ns) / 1000000n) / 1e3);
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}
