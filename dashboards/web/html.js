// SPDX-License-Identifier: Apache-2.0
// Markup as template strings. What stands in ${} becomes text, never markup.
import { h } from 'preact';
import htm from 'htm';

export const html = htm.bind(h);
