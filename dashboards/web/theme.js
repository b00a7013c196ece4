// SPDX-License-Identifier: Apache-2.0
// Dark or light: the system's choice until somebody makes another.
import { signal } from '@preact/signals';

const CHOICES = ['auto', 'light', 'dark'];

function remembered() {
  try {
    return CHOICES.includes(localStorage.theme) ? localStorage.theme : 'auto';
  } catch {
    return 'auto';
  }
}

export const theme = signal(remembered());

function apply() {
  document.documentElement.dataset.theme = theme.value;
}

export function nextTheme() {
  theme.value = CHOICES[(CHOICES.indexOf(theme.value) + 1) % CHOICES.length];
  try {
    localStorage.theme = theme.value;
  } catch {
    /* a browser that keeps nothing still shows it */
  }
  apply();
}

apply();
