// How long requests took: what stats.histogram counted between two answers, as columns of
// half octaves with their quantiles. SPDX-License-Identifier: MIT
const COLUMNS_MAX = 1800;
const MERGED = 8; // of sixteen buckets to an octave

export const NAMES = [["request", "to the last byte"], ["ttfb", "to the first byte"], ["app", "in the application"]];

// columns: {t0, t1, rows: Map(row -> requests/s), most, p50, p90, p99}, the oldest first
export const heat = { name: "request", last: null, columns: [] };

// Upper boundary of a row, microseconds.
export const topOf = (row) => 1e6 * 2 ** ((row * MERGED) / 16);

export function chooseHeat(name) {
	Object.assign(heat, { name, last: null, columns: [] });
}

function grown(before, after) {
	const old = new Map(before.counts.map((n, i) => [before.offset + i, n]));
	return after.counts.map((n, i) => [after.offset + i, n - (old.get(after.offset + i) ?? 0)]).filter(([, n]) => n > 0);
}

// The upper boundary of the bucket in which the part q of all lies: off by 4 % at most.
function quantileOf(buckets, total, q) {
	let sum = 0;
	for (const [index, n] of buckets) {
		sum += n;
		if (sum >= q * total) return 1e6 * 2 ** (index / 16);
	}
	return null;
}

function makeColumn(t0, t1, buckets) {
	const total = buckets.reduce((sum, [, n]) => sum + n, 0);
	const rows = new Map();
	for (const [index, n] of buckets) {
		const row = Math.ceil(index / MERGED);
		rows.set(row, (rows.get(row) ?? 0) + n / (t1 - t0));
	}
	return {
		t0, t1, rows, most: Math.max(0, ...rows.values()),
		p50: quantileOf(buckets, total, 0.5), p90: quantileOf(buckets, total, 0.9), p99: quantileOf(buckets, total, 0.99),
	};
}

// An answer to stats.histogram; one after a pause or of a new instance only begins anew.
export function takeHistogram(answer) {
	if (answer.name !== heat.name) return;
	const { last } = heat;
	if (last && answer.t > last.t && answer.t - last.t < 10 && answer.count >= last.count) {
		heat.columns.push(makeColumn(last.t, answer.t, grown(last.native, answer.native)));
		if (heat.columns.length > COLUMNS_MAX) heat.columns.shift();
	}
	if (!last || answer.t > last.t) heat.last = answer;
}

// The column of a moment; those after the newest are of its time still.
export function heatAt(t) {
	const column = heat.columns.findLast((c) => c.t0 <= t);
	return column && t < column.t1 + 5 ? column : undefined;
}
