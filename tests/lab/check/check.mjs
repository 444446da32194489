// SPDX-License-Identifier: BSD-2-Clause
// The acceptance check, run as the lab's client: does the gateway do its main job with real
// clients, and does it lose nothing that it need not lose when a region goes dark?
//
//   node check.mjs INSTANCE VIP ACCESS_LOG
//
// Fails when a request whose answer had not begun failed, when the outage's region does not come
// back to within 10 points of its share 30 s after its links are back, when the A/B split is not
// what the route asks for, or when a plain request fails.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientNew, send } from './requests.mjs';
import { GEMMA, LLAMA, planMake } from './plan.mjs';
import { sharesFault, sharesOfPairs } from './shares.mjs';
import { promptText } from './trace.mjs';

const [instance, vip, accessLog] = process.argv.slice(2);
const base = `http://${vip}`;
const REGIONS = { 'cluster-a': 'europe-west4', 'cluster-b': 'us-east5' };
const LOST = 'cluster-a';

const SPLIT_REQUESTS = 200;
const REQUESTS = 300;
const LOAD_MAX = 0.7;
const ENGINE_SPEED = Number(process.env.SLUICE_ENGINE_SPEED ?? 1);
// Seconds of the trace run: a little to warm up, the time before, the links go down and come back,
// and from 30 s after that on the time after, as long as the time before.
const BEFORE_S = [6, 34];
const DOWN_S = 34;
const UP_S = 46;
const AFTER_S = [76, 104];
const PAIRS_MIN = 50; // requests sent in both; fewer would prove nothing
const STALL_MS = 3000;

const failures = [];
function fail(text) {
	failures.push(text);
	console.log(`  FAILED: ${text}`);
}

// ---- plain requests ----

function curl(path, options) {
	return new Promise((resolve) => {
		execFile('curl', ['-sN', '-m', '10', '-w', '\n%{http_code}', ...options, base + path], (error, out) => {
			const cut = out.lastIndexOf('\n');
			resolve({ status: out.slice(cut + 1), text: out.slice(0, cut), error });
		});
	});
}

const json = (object) => ['-H', 'content-type: application/json', '-d', JSON.stringify(object)];

async function curlChecks() {
	const chat = { model: GEMMA, max_tokens: 3, messages: [{ role: 'user', content: 'hello' }] };
	const cases = [
		['chat', '/v1/chat/completions', json(chat), '200', '"object": "chat.completion"'],
		['chat, streamed', '/v1/chat/completions', json({ ...chat, stream: true }), '200', 'data: [DONE]'],
		['completion', '/v1/completions', json({ model: LLAMA, prompt: 'a' }), '200', '"text_completion"'],
		['completion, streamed', '/v1/completions', json({ model: LLAMA, prompt: 'a', stream: true }), '200', 'data: [DONE]'],
		['an unknown model', '/v1/completions', json({ model: 'nope', prompt: 'a' }), '404', '"error"'],
		['a broken body', '/v1/completions', ['-H', 'content-type: application/json', '-d', '{"model": '], '400', '"error"'],
	];
	for (const [name, path, options, status, words] of cases) {
		const got = await curl(path, options);
		const good = got.status === status && got.text.includes(words);
		if (good) console.log(`  curl, ${name}: ${got.status}`);
		else fail(`curl, ${name}: wants ${status} and ${words}, got ${got.status} ${got.text.slice(0, 200)}`);
	}
}

async function clientChecks(client) {
	for (const model of [GEMMA, LLAMA])
		for (const kind of ['chat', 'completions'])
			for (const stream of [false, true]) {
				const name = `openai, ${model}, ${kind}${stream ? ', streamed' : ''}`;
				const got = await send(client, kind, { model, prompt: 'hello', tokens: 12, stream });
				if (got.error) fail(`${name}: ${got.error}`);
				else console.log(`  ${name}: ${got.tokens} tokens from ${got.pod}`);
			}
}

// ---- the A/B split: 90 and 10 in the hundred ----

async function splitCheck(client) {
	const counts = { v1: 0, v2: 0, failed: 0 };
	const one = async () => {
		const got = await send(client, 'chat', { model: GEMMA, prompt: 'hello', tokens: 1 });
		if (got.error) counts.failed++;
		else if (got.pod.includes('gemma-3-27b-v2')) counts.v2++;
		else counts.v1++;
	};
	for (let i = 0; i < SPLIT_REQUESTS; i += 20) await Promise.all(Array.from({ length: 20 }, one));
	const expected = SPLIT_REQUESTS * 0.1;
	const bound = 4 * Math.sqrt(SPLIT_REQUESTS * 0.1 * 0.9);
	console.log(
		`  A/B split of ${SPLIT_REQUESTS}: ${counts.v1} and ${counts.v2}` +
			` (asked for 90:10; bounds ${Math.ceil(expected - bound)} to ${Math.floor(expected + bound)})`,
	);
	if (counts.failed) fail(`${counts.failed} of ${SPLIT_REQUESTS} requests of the A/B split failed`);
	if (Math.abs(counts.v2 - expected) > bound)
		fail(`the A/B split gave ${counts.v2} of ${SPLIT_REQUESTS} to v2, that is not 10 in the hundred`);
	const pinned = await send(client, 'chat', {
		model: GEMMA, prompt: 'hello', tokens: 1, headers: { 'X-Model-Version': 'v2' },
	});
	if (pinned.error || !pinned.pod.includes('v2')) fail(`X-Model-Version: v2 was answered by ${pinned.pod}`);
}

// ---- the trace, with an outage ----

function plan() {
	const made = planMake({
		requests: REQUESTS,
		loadMax: LOAD_MAX,
		engineSpeed: ENGINE_SPEED,
		before: BEFORE_S,
		after: AFTER_S,
	});
	console.log(
		`  ${REQUESTS} requests that follow ${made.source} from its request ${made.start + 1} on:` +
			' lengths, gaps and shared prefixes',
	);
	console.log(
		`  those of ${BEFORE_S.join(' to ')} s come again at ${AFTER_S.join(' to ')} s with other prompts,` +
			' to compare the shares of equal work',
	);
	console.log(
		`  speed-up ${made.speedUp.toFixed(2)}, engines at ${ENGINE_SPEED} times;` +
			' load if one region served all, by pool: ' +
			Object.entries(made.loads).map(([pool, load]) => `${pool} ${load.toFixed(2)}`).join(', '),
	);
	return made.rows;
}

function links(direction) {
	execFileSync('bash', [
		'-c', '. "$0/tests/lab/lib.sh" && lab_init "$1" && lab_region_$2 "$3"',
		new URL('../../..', import.meta.url).pathname, instance, direction, REGIONS[LOST],
	]);
}

async function outage(zero, marks) {
	await sleep(zero + DOWN_S * 1000 - performance.now());
	marks.downWall = Date.now();
	links('down');
	marks.down = performance.now();
	console.log(`  ${DOWN_S} s: ${REGIONS[LOST]} has lost its links`);
	await sleep(zero + UP_S * 1000 - performance.now());
	links('up');
	marks.up = performance.now();
	console.log(`  ${UP_S} s: they are back`);
}

async function traceRun(client, rows) {
	const zero = performance.now();
	const marks = { zero };
	const outageDone = outage(zero, marks);
	const results = await Promise.all(
		rows.map(async (row) => {
			const prompt = promptText(row);
			await sleep(Math.max(0, zero + row.at_ms - performance.now()));
			const kind = row.model === GEMMA ? 'chat' : 'completions';
			const options = { model: row.model, prompt, tokens: row.output, stream: row.stream };
			return { ...(await send(client, kind, options)), stream: row.stream, planned: row.at_ms, part: row.part };
		}),
	);
	await outageDone;
	return { results, marks };
}

// ---- the table ----

const clusterOf = (result) => result.pod?.split('/')[0] ?? null;

function percentile(values, p) {
	if (!values.length) return null;
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
}

const seconds = (ms) => (ms === null || ms === undefined ? '-' : `${(ms / 1000).toFixed(2)} s`);

function phaseRow(name, results) {
	const answered = results.filter((r) => clusterOf(r));
	const first = results.filter((r) => r.stream && r.first !== null).map((r) => r.first - r.sent);
	const shares = Object.keys(REGIONS).map((cluster) =>
		answered.length ? (100 * answered.filter((r) => clusterOf(r) === cluster).length) / answered.length : null,
	);
	return {
		name,
		requests: results.length,
		failed: results.filter((r) => r.error && !r.first).length,
		cut: results.filter((r) => r.error && r.first).length,
		stalled: results.filter((r) => r.done && r.gap > STALL_MS).length,
		shares,
		p50: percentile(first, 0.5),
		p99: percentile(first, 0.99),
	};
}

function printTable(rows) {
	const share = (value) => (value === null ? '-' : `${value.toFixed(1)} %`);
	const lines = [
		['', 'requests', 'failed', 'cut mid-answer', 'stalled', ...Object.values(REGIONS), 'TTFT p50', 'TTFT p99'],
		...rows.map((r) => [
			r.name, `${r.requests}`, `${r.failed}`, `${r.cut}`, `${r.stalled}`, ...r.shares.map(share), seconds(r.p50), seconds(r.p99),
		]),
	];
	const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
	console.log('');
	for (const line of lines)
		console.log(`  ${line.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')}`);
	console.log('');
	console.log('  requests by when they were sent; failed: before their answer had begun; stalled: whole, but with');
	console.log(`  more than ${STALL_MS / 1000} s between two tokens; TTFT: of streamed answers`);
}

// Requests that the gateway gave to a second endpoint, from its access log.
function movedRequests(marks) {
	const moved = fs
		.readFileSync(accessLog, 'utf8')
		.split('\n')
		.filter(Boolean)
		.map((line) => JSON.parse(line))
		.filter((entry) => entry.retries?.length && entry.region !== REGIONS[LOST]);
	// ts is when the request came in
	return moved
		.map((entry) => Date.parse(entry.ts) + entry.ttft_ms - marks.downWall)
		.filter((ms) => ms > 0 && ms < (UP_S - DOWN_S + 10) * 1000)
		.sort((a, b) => a - b);
}

function report(results, marks) {
	const within = (from, to) => results.filter((r) => r.planned >= from * 1000 && r.planned < to * 1000);
	const before = phaseRow('before the outage', results.filter((r) => r.part === 'before'));
	const after = phaseRow(`${AFTER_S[0] - UP_S} s after it on`, results.filter((r) => r.part === 'after'));
	printTable([
		phaseRow('warming up', within(0, BEFORE_S[0])),
		before,
		phaseRow('during', within(DOWN_S, UP_S)),
		phaseRow('coming back', within(UP_S, AFTER_S[0])),
		after,
		phaseRow('all', results),
	]);
	const elsewhere = results
		.filter((r) => r.sent >= marks.down && r.first !== null && clusterOf(r) && clusterOf(r) !== LOST)
		.map((r) => r.first - marks.down);
	console.log(`  first token from elsewhere for a request sent after the cut: ${seconds(percentile(elsewhere, 0))} after it`);
	const moved = movedRequests(marks);
	console.log(
		`  requests moved elsewhere after the lost region had them: ${moved.length}` +
			(moved.length ? `, the first answered ${seconds(moved[0])} after the cut, the last ${seconds(moved.at(-1))}` : ''),
	);
	const shares = sharesOfPairs(
		results.filter((r) => r.part === 'before'),
		results.filter((r) => r.part === 'after'),
		LOST, clusterOf, marks.down,
	);
	if (shares.pairs)
		console.log(
			`  of ${shares.pairs} whose answer had begun before the cut, and of the same sent again:` +
				` ${REGIONS[LOST]} ${shares.before.toFixed(1)} % before, ${shares.after.toFixed(1)} % after,` +
				` ${shares.points.toFixed(1)} points (standard error ${shares.error.toFixed(1)})`,
		);
	return shares;
}

function judge(results, shares, marks) {
	const lost = results.filter((r) => r.error && !r.first);
	if (lost.length)
		fail(`${lost.length} requests failed whose answer had not begun, e.g. sent ${seconds(lost[0].sent - marks.zero)}: ${lost[0].error}`);
	const cut = results.filter((r) => r.error && r.first && (clusterOf(r) !== LOST || r.ended < marks.down));
	if (cut.length) fail(`${cut.length} answers were cut that the outage does not explain: ${cut[0].error}`);
	const fault = sharesFault(shares, REGIONS[LOST], PAIRS_MIN);
	if (fault) fail(fault);
}

const client = clientNew(base);
console.log('\nPlain requests');
await curlChecks();
await clientChecks(client);
await splitCheck(client);
if (failures.length === 0) {
	console.log('\nA trace, and a region that loses its links');
	const { results, marks } = await traceRun(client, plan());
	judge(results, report(results, marks), marks);
}
console.log(failures.length ? `\ncheck: ${failures.length} failed` : '\ncheck: all good');
process.exit(failures.length ? 1 : 0);
