// SPDX-License-Identifier: BSD-2-Clause
// A region's share before an outage and after it, of equal work, and whether it has come back.
//
// The requests of the time before are sent again in the time after, so results come in pairs: the
// same lengths and model at the same moment of their window.  A pair counts when the first one's
// answer had begun as the links went; one that still waited was moved, which says nothing of where
// the gateway sends requests in quiet times.  Both must have been answered: what failed is judged
// elsewhere.
//
// Pairs also say how far chance moves a difference: its standard error comes from those whose two
// requests went to different regions, as they alone make one.

export const POINTS_MAX = 10;

// first, again: results in the same order; regionOf(result): its region, null: not answered;
// cutAt: ms, as in result.first.
// Gives { pairs, before, after, points, error }: shares in percent; points is their difference and
// error its standard error; all null without a pair.
export function sharesOfPairs(first, again, region, regionOf, cutAt) {
	const at = (result) => regionOf(result) === region;
	const pairs = first
		.map((result, i) => [result, again[i]])
		.filter(([a, b]) => a.first !== null && a.first < cutAt && regionOf(a) && b && regionOf(b));
	const percent = (count) => (pairs.length ? (100 * count) / pairs.length : null);
	const before = percent(pairs.filter(([a]) => at(a)).length);
	const after = percent(pairs.filter(([, b]) => at(b)).length);
	const left = pairs.filter(([a, b]) => at(a) && !at(b)).length;
	const came = pairs.filter(([a, b]) => !at(a) && at(b)).length;
	return {
		pairs: pairs.length,
		before,
		after,
		points: pairs.length ? after - before : null,
		error: percent(Math.sqrt(left + came - (left - came) ** 2 / pairs.length)),
	};
}

// Why the region has not come back, or null.  pairsMin: fewer would prove nothing.
export function sharesFault(shares, region, pairsMin) {
	if (shares.pairs < pairsMin)
		return `only ${shares.pairs} requests can be compared with the same ones sent again, wants ${pairsMin}`;
	if (shares.before < 50)
		return `${region} had ${shares.before.toFixed(1)} % before the outage: it is not home, and its return cannot be seen`;
	if (Math.abs(shares.points) > POINTS_MAX)
		return (
			`${region} is at ${shares.after.toFixed(1)} % of the requests, it was ${shares.before.toFixed(1)} % before:` +
			` more than ${POINTS_MAX} points away (standard error ${shares.error.toFixed(1)})`
		);
	return null;
}
