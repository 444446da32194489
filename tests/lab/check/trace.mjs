// SPDX-License-Identifier: BSD-2-Clause
// What is sent when: requests that follow a recorded trace, and how much load that is.
//
// The Mooncake conversation trace where it exists, else a generator fitted to its quantiles.
// Both give, sorted by time: { at_ms, input, output, blocks }, where blocks are ids of 512-token
// prompt blocks: equal ids at the start of two requests are an equal start of their prompts.
import fs from 'node:fs';

export const BLOCK_TOKENS = 512;

// The emulated engine's constants (userspace/sim/engine.c), in ms and tokens.
const ENGINE = {
	base: 11,
	prefillToken: 0.0628,
	prefillAttention: 3e-7,
	decodeContext: 5.6e-5,
	decodeRequest: 0.03,
	runningMax: 256,
	kvTokens: 600 * BLOCK_TOKENS,
};

// Small and seeded, so that every run sends the same (mulberry32).
export function random(seed) {
	let a = seed >>> 0;
	return () => {
		a = (a + 0x6d2b79f5) >>> 0;
		let t = Math.imul(a ^ (a >>> 15), 1 | a);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

// The trace's clock ticks every 3 s: requests of one tick are spread evenly up to the next.
function spread(rows) {
	for (let i = 0; i < rows.length; ) {
		let end = i;
		while (end < rows.length && rows[end].at_ms === rows[i].at_ms) end++;
		const next = end < rows.length ? rows[end].at_ms : rows[i].at_ms + 3000;
		const step = (next - rows[i].at_ms) / (end - i);
		for (let k = i + 1; k < end; k++) rows[k].at_ms = rows[i].at_ms + (k - i) * step;
		i = end;
	}
	return rows;
}

function read(path, count) {
	const rows = fs
		.readFileSync(path, 'utf8')
		.split('\n', count + 1)
		.filter(Boolean)
		.map((line) => JSON.parse(line))
		.map((row) => ({
			at_ms: row.timestamp,
			input: row.input_length,
			output: Math.max(1, row.output_length),
			blocks: row.hash_ids,
		}));
	return spread(rows).slice(0, count);
}

// Straight lines between quantiles, on a logarithmic scale.
function quantile(points, u) {
	let i = 1;
	while (i < points.length - 1 && u > points[i][0]) i++;
	const [u0, v0] = points[i - 1];
	const [u1, v1] = points[i];
	return Math.round(Math.exp(Math.log(v0) + ((u - u0) / (u1 - u0)) * (Math.log(v1) - Math.log(v0))));
}

const INPUT = [[0, 900], [0.5, 6909], [0.9, 27367], [0.99, 85399], [1, 120000]];
const OUTPUT = [[0, 10], [0.25, 150], [0.5, 350], [0.9, 597], [0.99, 1115], [1, 2000]];

// Four in ten requests continue an earlier conversation; the first block is everybody's.
function generate(count) {
	const draw = random(20261122);
	const sessions = [];
	const rows = [];
	let at = 0;
	let id = 1;
	for (let i = 0; i < count; i++) {
		at += -Math.log(1 - draw()) * (3537000 / 12031);
		const input = quantile(INPUT, draw());
		const length = Math.ceil(input / BLOCK_TOKENS);
		const parent = sessions.length && draw() < 0.4 ? sessions[Math.floor(draw() * sessions.length)] : [0];
		const blocks = parent.slice(0, length);
		while (blocks.length < length) blocks.push(id++);
		sessions.push(blocks);
		rows.push({ at_ms: at, input, output: quantile(OUTPUT, draw()), blocks });
	}
	return rows;
}

export function traceLoad(count) {
	const shared = process.env.SLUICE_SHARED ?? new URL('../../../../shared', import.meta.url).pathname;
	const path = `${shared}/traces/mooncake_conversation_trace.jsonl`;
	if (fs.existsSync(path))
		return { source: 'the Mooncake conversation trace', rows: read(path, count) };
	return { source: "a generator fitted to the Mooncake trace's quantiles", rows: generate(count) };
}

// The prompt's text: 2048 bytes (512 tokens of 4) for each block, the last one cut.
export function promptText(row) {
	const parts = row.blocks.map((id) => `block ${id} of a conversation. `.repeat(100).slice(0, BLOCK_TOKENS * 4));
	return parts.join('').slice(0, row.input * 4).padEnd(row.input * 4, 'x');
}

// Engine milliseconds that a request takes: its prefill, cold, and its share of the decode steps
// of a full batch.
function work(row, batch) {
	const prefill =
		ENGINE.base + ENGINE.prefillToken * row.input + (ENGINE.prefillAttention * row.input ** 2) / 2;
	const token =
		ENGINE.base / batch + ENGINE.decodeRequest + ENGINE.decodeContext * (row.input + row.output / 2);
	return prefill + row.output * token;
}

// The load of each pool if one region alone served all of `rows`: work offered over work that its
// pods can do, without any help of the prefix cache.
export function loadOneRegion(rows, poolOf, pods, speed) {
	const span = rows[rows.length - 1].at_ms - rows[0].at_ms;
	const mean = rows.reduce((sum, row) => sum + row.input + row.output, 0) / rows.length;
	const batch = Math.min(ENGINE.runningMax, ENGINE.kvTokens / mean);
	const sums = {};
	for (const row of rows)
		for (const [pool, share] of Object.entries(poolOf(row)))
			sums[pool] = (sums[pool] ?? 0) + share * work(row, batch);
	return Object.fromEntries(
		Object.entries(sums).map(([pool, ms]) => [pool, ms / speed / (pods[pool] * span)]),
	);
}
