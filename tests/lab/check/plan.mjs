// SPDX-License-Identifier: BSD-2-Clause
// Which requests of the trace are sent when, to which model, at which load.
//
// A region's share depends on what is asked for: a burst of long prompts spills to the other one.
// Shares before and after the outage can be compared only for equal work, so the requests of
// `before` are sent again in `after`: the same lengths, gaps and models, with other prompts, so that
// no cache knows them.  All others follow the trace in one piece.
import { loadOneRegion, random, traceLoad } from './trace.mjs';

export const GEMMA = 'gemma-3-27b-it';
export const LLAMA = 'llama-3-8b-instruct';

const PODS = { 'gemma-3-27b': 3, 'gemma-3-27b-v2': 1, 'llama-3-8b': 2 }; // of one region
const poolOf = (row) =>
	row.model === GEMMA ? { 'gemma-3-27b': 0.9, 'gemma-3-27b-v2': 0.1 } : { 'llama-3-8b': 1 };
const STRETCHES = 20; // how many places of the trace are tried,
const STRIDE = 100; // so many requests apart

// A conversation stays with its model: two of three ask for gemma.
function dress(rows, seed) {
	const draw = random(seed);
	return rows.map((row) => ({
		...row,
		model: random(row.blocks[1] ?? row.blocks[0])() < 0.64 ? GEMMA : LLAMA,
		stream: draw() < 0.75,
	}));
}

// The first block is everybody's, all others are new.
const fresh = (blocks) => blocks.map((id) => (id ? id + 1e9 : id));

// Rows at `speedUp`, up to when `after` begins, then those of `before` again.  `part` says which.
function arrange(rows, speedUp, { before, after }) {
	const zero = rows[0].at_ms;
	const shift = (after[0] - before[0]) * 1000;
	const timed = rows
		.map((row) => ({ ...row, at_ms: (row.at_ms - zero) / speedUp, part: null }))
		.filter((row) => row.at_ms < after[0] * 1000);
	const again = [];
	for (const row of timed) {
		if (row.at_ms < before[0] * 1000 || row.at_ms >= before[1] * 1000) continue;
		row.part = 'before';
		again.push({ ...row, at_ms: row.at_ms + shift, part: 'after', blocks: fresh(row.blocks) });
	}
	return [...timed, ...again];
}

// The lowest speed-up that sends so many requests; one too many is left out before `after` begins.
function fit(rows, options) {
	let low = 0.01;
	let high = 100;
	for (let i = 0; i < 60; i++) {
		const middle = Math.sqrt(low * high);
		if (arrange(rows, middle, options).length >= options.requests) high = middle;
		else low = middle;
	}
	const sent = arrange(rows, high, options);
	const extra = sent.length - options.requests;
	sent.splice(sent.findIndex((row) => row.part === 'after') - extra, extra);
	return { rows: sent, speedUp: high };
}

// The trace's first stretch that does not load one region to more than loadMax.
// options: requests, loadMax, engineSpeed, before: [s, s], after: [s, s], equally long
export function planMake(options) {
	const { source, rows: all } = traceLoad(options.requests + STRETCHES * STRIDE);
	for (let start = 0; start < STRETCHES * STRIDE; start += STRIDE) {
		const plan = fit(dress(all.slice(start, start + options.requests), start + 7), options);
		plan.loads = loadOneRegion(plan.rows, poolOf, PODS, options.engineSpeed);
		if (Math.max(...Object.values(plan.loads)) <= options.loadMax) return { source, start, ...plan };
	}
	throw new Error(`every stretch of the trace loads one region to more than ${options.loadMax}: raise the engines' speed`);
}
