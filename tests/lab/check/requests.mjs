// SPDX-License-Identifier: BSD-2-Clause
// One request by OpenAI's own client, and what became of it.
//
// The client goes through Node's own fetch.  Its default, node-fetch 2, takes whole streams for cut
// ones ("Premature close") wherever Node has the fix of CVE-2026-48931, and Debian 12's Node has it.
import 'openai/shims/web';
import OpenAI from 'openai';

// One object a request:
//   sent, first, ended   ms of performance.now(); first is null until a token came
//   pod                  who answered, null before the head of the answer
//   gap                  ms of the longest wait between two tokens
//   tokens, done         what came, and whether the answer is whole
//   error                null, or why not
function record() {
	return { sent: performance.now(), first: null, ended: null, pod: null, gap: 0, tokens: 0, done: false, error: null };
}

export function clientNew(base) {
	return new OpenAI({
		baseURL: `${base}/v1`,
		apiKey: 'unused',
		maxRetries: 0,
		timeout: 120000,
	});
}

function body(kind, options) {
	const common = { model: options.model, max_tokens: options.tokens, ignore_eos: true };
	return kind === 'chat'
		? { ...common, messages: [{ role: 'user', content: options.prompt }] }
		: { ...common, prompt: options.prompt };
}

function textOf(kind, choice) {
	return kind === 'chat' ? (choice?.delta ?? choice?.message)?.content : choice?.text;
}

async function stream(result, kind, call) {
	const { data, response } = await call.withResponse();
	let finish = null;
	let last = null;
	result.pod = response.headers.get('x-inference-pod');
	for await (const chunk of data) {
		const choice = chunk.choices?.[0];
		if (chunk.usage) result.usage = chunk.usage;
		if (choice?.finish_reason) finish = choice.finish_reason;
		if (textOf(kind, choice)) {
			const now = performance.now();
			result.first ??= now;
			result.gap = Math.max(result.gap, now - (last ?? now));
			last = now;
			result.tokens++;
		}
	}
	if (!finish) throw new Error('the stream ended without a finish_reason');
}

async function whole(result, kind, call) {
	const { data, response } = await call.withResponse();
	result.first = performance.now();
	result.pod = response.headers.get('x-inference-pod');
	result.usage = data.usage;
	result.tokens = (textOf(kind, data.choices[0]) ?? '').split(' ').length;
}

// kind: chat or completions; options: model, prompt, tokens, stream, headers
export async function send(client, kind, options) {
	const result = record();
	const api = kind === 'chat' ? client.chat.completions : client.completions;
	const request = body(kind, options);
	if (options.stream) Object.assign(request, { stream: true, stream_options: { include_usage: true } });
	try {
		const call = api.create(request, { headers: options.headers });
		await (options.stream ? stream : whole)(result, kind, call);
		if (result.tokens !== options.tokens)
			throw new Error(`${result.tokens} tokens of ${options.tokens} came`);
		if (result.usage?.completion_tokens !== options.tokens)
			throw new Error(`usage says ${JSON.stringify(result.usage)}`);
		result.done = true;
	} catch (error) {
		result.error = `${error.status ?? ''} ${error.message ?? error}`.trim();
	}
	result.ended = performance.now();
	return result;
}
