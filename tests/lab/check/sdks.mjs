// SPDX-License-Identifier: BSD-2-Clause
// What OpenAI's and Anthropic's own packages make of the gateway's answers.
//
//   node sdks.mjs VIP
//
// Reads which part is to be proved, a line each, for starting takes longer than proving.  served: a
// gateway as it is; limited: it answers all with its own 429; unserved: with its own 503.  Writes a
// line a sentence, "pass" or "fail", a tab, the sentence, a tab, why; then "end".
import 'openai/shims/web'; // see requests.mjs
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import assert from 'node:assert/strict';
import readline from 'node:readline';

const [vip] = process.argv.slice(2);
const MODEL = 'gemma-3-27b-it';
const common = { apiKey: 'unused', maxRetries: 0, timeout: 30000 };
const openai = new OpenAI({ ...common, baseURL: `http://${vip}/v1` });
const anthropic = new Anthropic({ ...common, baseURL: `http://${vip}` });
const messages = [{ role: 'user', content: 'hello' }];
const tokens = (count) => ({ model: MODEL, max_tokens: count, ignore_eos: true });

async function proves(sentence, prove) {
	try {
		await prove();
		console.log(`pass\t${sentence}\t`);
	} catch (error) {
		console.log(`fail\t${sentence}\t${String(error.stack ?? error).replaceAll(/\s+/g, ' ')}`);
	}
}

// The error that a call ends with.
async function refused(call) {
	try {
		await call;
	} catch (error) {
		return error;
	}
	throw new Error('it was answered');
}

// ---- openai ----

async function openaiStream() {
	const stream = await openai.chat.completions.create({ ...tokens(5), messages, stream: true, stream_options: { include_usage: true } });
	let text = '', finish, usage;
	for await (const chunk of stream) {
		text += chunk.choices[0]?.delta?.content ?? '';
		finish = chunk.choices[0]?.finish_reason ?? finish;
		usage = chunk.usage ?? usage;
	}
	assert.equal(text.split(' ').length, 5);
	assert.equal(finish, 'length');
	assert.equal(usage.completion_tokens, 5);
}

async function openaiWhole() {
	const answer = await openai.completions.create({ ...tokens(4), prompt: 'hello' });
	assert.equal(answer.object, 'text_completion');
	assert.equal(answer.choices[0].text.split(' ').length, 4);
	assert.equal(answer.usage.completion_tokens, 4);
}

// Leaves 2000 tokens of an answer, which takes its server more than 20 s, after five.
async function openaiAbort() {
	const stream = await openai.chat.completions.create({ ...tokens(2000), messages, stream: true });
	let count = 0;
	for await (const chunk of stream) {
		count += chunk.choices[0]?.delta?.content ? 1 : 0;
		if (count === 5) stream.controller.abort();
	}
	assert.ok(count >= 5 && count < 2000, `${count} tokens came`);
}

async function openaiError(name, status, code, message, request) {
	const error = await refused(openai.chat.completions.create({ ...tokens(2), messages, ...request }));
	assert.ok(error instanceof OpenAI[name], `it is a ${error.constructor.name}: ${error.message}`);
	assert.equal(error.status, status);
	assert.equal(error.code, code);
	assert.match(error.message, message);
	return error;
}

// ---- anthropic ----

async function anthropicWhole() {
	const answer = await anthropic.messages.create({ ...tokens(4), messages });
	assert.equal(answer.type, 'message');
	assert.equal(answer.content[0].text.split(' ').length, 4);
	assert.equal(answer.stop_reason, 'max_tokens');
	assert.equal(answer.usage.output_tokens, 4);
}

// The helper puts the events together and complains of what does not fit.
async function anthropicStream() {
	const stream = anthropic.messages.stream({ ...tokens(5), messages });
	let deltas = 0;
	stream.on('text', () => deltas++);
	const message = await stream.finalMessage();
	assert.equal(deltas, 5);
	assert.equal(message.content[0].text.split(' ').length, 5);
	assert.equal(message.stop_reason, 'max_tokens');
	assert.equal(message.usage.output_tokens, 5);
}

async function anthropicError(name, status, type, message, request) {
	const error = await refused(anthropic.messages.create({ ...tokens(2), messages, ...request }));
	assert.ok(error instanceof Anthropic[name], `it is a ${error.constructor.name}: ${error.message}`);
	assert.equal(error.status, status);
	assert.equal(error.error.type, 'error');
	assert.equal(error.error.error.type, type);
	assert.match(error.error.error.message, message);
	return error;
}

// ---- parts ----

const NOT_HERE = /the model 'nope' is not served here/;
const LIMIT = /this client may send 1 requests an hour, 1 at once; try again in \d+ s/;
const retryAfter = (error) => assert.ok(Number(error.headers.get?.('retry-after') ?? error.headers['retry-after']) > 3000);

const parts = {
	async served() {
		await proves('openai: a chat is streamed, with its usage', openaiStream);
		await proves('openai: a completion comes whole', openaiWhole);
		await proves('openai: a stream is left in the middle', openaiAbort);
		await proves('openai: a model that is not there is a NotFoundError', () =>
			openaiError('NotFoundError', 404, 'model_not_found', NOT_HERE, { model: 'nope' }));
		await proves('anthropic: a message comes whole', anthropicWhole);
		await proves('anthropic: a message is streamed, its events put together', anthropicStream);
		await proves('anthropic: a model that is not there is a NotFoundError', () =>
			anthropicError('NotFoundError', 404, 'not_found_error', NOT_HERE, { model: 'nope' }));
	},
	async limited() {
		await proves('openai: a limit is a RateLimitError with the time to come back', async () =>
			retryAfter(await openaiError('RateLimitError', 429, 'client_requests', LIMIT)));
		await proves('anthropic: a limit is a RateLimitError with the time to come back', async () =>
			retryAfter(await anthropicError('RateLimitError', 429, 'rate_limit_error', LIMIT)));
	},
	async unserved() {
		await proves('openai: no endpoint is an InternalServerError of 503', () =>
			openaiError('InternalServerError', 503, 'no_endpoint', /no model server is up/));
		await proves('anthropic: no endpoint is an InternalServerError of 503', () =>
			anthropicError('InternalServerError', 503, 'overloaded_error', /no model server is up/));
	},
};
for await (const part of readline.createInterface({ input: process.stdin })) {
	await parts[part]();
	console.log('end');
}
process.exit(0); // connections that are kept would hold it up
