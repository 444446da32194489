// SPDX-License-Identifier: BSD-2-Clause
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { planMake } from './plan.mjs';
import { BLOCK_TOKENS, loadOneRegion, promptText, random, traceLoad } from './trace.mjs';

function withShared(dir, run) {
	const before = process.env.SLUICE_SHARED;
	process.env.SLUICE_SHARED = dir;
	try {
		return run();
	} finally {
		if (before === undefined) delete process.env.SLUICE_SHARED;
		else process.env.SLUICE_SHARED = before;
	}
}

function generated(count) {
	return withShared('/nonexistent', () => traceLoad(count).rows);
}

function recorded(lines) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-trace-'));
	fs.mkdirSync(`${dir}/traces`);
	fs.writeFileSync(
		`${dir}/traces/mooncake_conversation_trace.jsonl`,
		lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
	);
	try {
		return withShared(dir, () => traceLoad(lines.length).rows);
	} finally {
		fs.rmSync(dir, { recursive: true });
	}
}

const line = (timestamp) => ({ timestamp, input_length: 1000, output_length: 10, hash_ids: [0, 7] });

test('requests of one tick of the trace are spread evenly up to the next', () => {
	const rows = recorded([line(0), line(0), line(0), line(3000), line(9000)]);
	assert.deepEqual(rows.map((row) => row.at_ms), [0, 1000, 2000, 3000, 9000]);
});

test('the generator sends the same requests every time, in order', () => {
	const rows = generated(300);
	assert.deepEqual(rows, generated(300));
	assert.ok(rows.every((row, i) => i === 0 || row.at_ms >= rows[i - 1].at_ms));
});

test("the generator's lengths and rate are near the trace's", () => {
	const rows = generated(4000);
	const at = (key, p) => rows.map((row) => row[key]).sort((a, b) => a - b)[Math.floor(p * rows.length)];
	for (const [key, p, want] of [
		['input', 0.5, 6909], ['input', 0.9, 27367], ['input', 0.99, 85399],
		['output', 0.5, 350], ['output', 0.9, 597], ['output', 0.99, 1115],
	])
		assert.ok(Math.abs(at(key, p) / want - 1) < 0.15, `${key} p${p * 100} is ${at(key, p)}, the trace has ${want}`);
	const rate = rows.length / (rows.at(-1).at_ms / 1000);
	assert.ok(Math.abs(rate / 3.4 - 1) < 0.1, `${rate} requests a second`);
});

test('prompts have the length asked for and share what their blocks share', () => {
	const a = { input: 2 * BLOCK_TOKENS + 10, blocks: [0, 5, 6] };
	const b = { input: 2 * BLOCK_TOKENS, blocks: [0, 9] };
	assert.equal(promptText(a).length, a.input * 4);
	assert.equal(promptText(a).slice(0, BLOCK_TOKENS * 4), promptText(b).slice(0, BLOCK_TOKENS * 4));
	assert.notEqual(promptText(a).slice(0, 2 * BLOCK_TOKENS * 4), promptText(b));
});

test('load is work over what the pods can do', () => {
	// 10 requests in 9 s of a prefill of 11 + 62.8 + .15 ms and one token each
	const rows = Array.from({ length: 10 }, (_, i) => ({ at_ms: i * 1000, input: 1000, output: 1, blocks: [0] }));
	const one = loadOneRegion(rows, () => ({ p: 1 }), { p: 1 }, 1).p;
	assert.ok(one > 0.082 && one < 0.083, `${one}`);
	assert.ok(Math.abs(loadOneRegion(rows, () => ({ p: 1 }), { p: 2 }, 1).p - one / 2) < 1e-9);
	assert.ok(Math.abs(loadOneRegion(rows, () => ({ p: 1 }), { p: 1 }, 4).p - one / 4) < 1e-9);
});

test('a plan keeps to its load and number, and asks for the same before and after', () => {
	const options = { requests: 300, loadMax: 0.7, engineSpeed: 1.25, before: [5, 35], after: [80, 110] };
	const { rows, loads } = withShared('/nonexistent', () => planMake(options));
	const before = rows.filter((row) => row.part === 'before');
	const after = rows.filter((row) => row.part === 'after');
	assert.equal(rows.length, 300);
	assert.equal(rows[0].at_ms, 0);
	assert.ok(rows.every((row, i) => i === 0 || row.at_ms >= rows[i - 1].at_ms));
	assert.ok(Math.max(...Object.values(loads)) <= 0.7, JSON.stringify(loads));
	assert.ok(before[0].at_ms >= 5000 && before.at(-1).at_ms < 35000 && after[0].at_ms >= 80000);
	assert.ok(before.length > 60, `${before.length}`);
	assert.deepEqual(after.map((row) => row.input), before.map((row) => row.input));
	assert.deepEqual(after.map((row) => row.model), before.map((row) => row.model));
	assert.equal(after[0].blocks[0], before[0].blocks[0]);
	const known = new Set(rows.filter((row) => row.part !== 'after').flatMap((row) => row.blocks.slice(1)));
	assert.ok(after.every((row) => row.blocks.slice(1).every((id) => !known.has(id))));
});

test('random numbers are even and start from their seed', () => {
	const draw = random(1);
	const values = Array.from({ length: 10000 }, draw);
	assert.ok(Math.abs(values.reduce((sum, v) => sum + v) / values.length - 0.5) < 0.02);
	assert.equal(random(1)(), values[0]);
	assert.notEqual(random(2)(), values[0]);
});
