// SPDX-License-Identifier: BSD-2-Clause
import assert from 'node:assert/strict';
import test from 'node:test';
import { sharesFault, sharesOfPairs } from './shares.mjs';

const CUT = 1000;
const regionOf = (result) => result.region;

// "aab" is three requests of which two were answered by region a
const answers = (text, first = 1) => [...text].map((region) => ({ region, first }));
const compare = (before, after) => sharesOfPairs(answers(before), answers(after), 'a', regionOf, CUT);
const fault = (before, after, pairsMin = 1) => sharesFault(compare(before, after), 'a', pairsMin);

test('shares are of the requests that both times were answered, and had begun before the cut', () => {
	const first = [...answers('ab'), ...answers('b', CUT + 1), ...answers('b', null), { region: null, first: 1 }, ...answers('a')];
	const again = [...answers('aabbb'), { region: null, first: null }];
	const got = sharesOfPairs(first, again, 'a', regionOf, CUT);
	assert.deepEqual([got.pairs, got.before, got.after, got.points], [2, 50, 100, 50]);
});

test('a region that comes back to its share has no fault', () => {
	assert.equal(fault('a'.repeat(90) + 'b'.repeat(10), 'a'.repeat(95) + 'b'.repeat(5)), null);
	assert.equal(fault('a'.repeat(100), 'a'.repeat(90) + 'b'.repeat(10)), null);
});

test('one that stays away has, and so has one that comes back to too little or too much', () => {
	assert.match(fault('a'.repeat(100), 'b'.repeat(100)), /0\.0 % of the requests, it was 100\.0 %/);
	assert.match(fault('a'.repeat(100), 'a'.repeat(89) + 'b'.repeat(11)), /more than 10 points/);
	assert.match(fault('a'.repeat(80) + 'b'.repeat(20), 'a'.repeat(91) + 'b'.repeat(9)), /more than 10 points/);
});

test('too few pairs, or none, prove nothing and are a fault', () => {
	assert.match(fault('', ''), /only 0 requests/);
	assert.match(fault('aaa', 'aaa', 4), /only 3 requests/);
	assert.equal(fault('aaa', 'aaa', 3), null);
});

test('a region that was not home before the outage cannot be seen to return', () => {
	assert.match(fault('abbb', 'abbb'), /is not home/);
});

test('the standard error is of the pairs that went to different regions', () => {
	const got = compare('aabb' + 'a'.repeat(96), 'bbaa' + 'a'.repeat(96));
	assert.equal(got.points, 0);
	assert.equal(got.error, 2);
	assert.equal(compare('ab', 'ab').error, 0);
	assert.equal(compare('aa', 'bb').error, 0);
	assert.equal(compare('', '').error, null);
});
