// How long requests took, as columns of half octaves with their quantiles: those of the
// server's own history, and what stats.histogram counted between two answers since.
// SPDX-License-Identifier: MIT
const COLUMNS_MAX = 1800;
const MERGED = 8; // of sixteen buckets to an octave

export const NAMES = [["request", "to the last byte"], ["ttfb", "to the first byte"], ["app", "in the application"], ["delivery", "to the acknowledgement"]];

// columns, past: {t0, t1, rows: Map(row -> requests/s), most, p50, p99, p999}, the oldest first
export const heat = { name: "request", last: null, columns: [], past: [] };

// Upper boundary of a row, microseconds.
export const topOf = (row) => 1e6 * 2 ** ((row * MERGED) / 16);

export function chooseHeat(name) {
	Object.assign(heat, { name, last: null, columns: [], past: [] });
}

// The columns between two moments. fine: where the page looked itself, its own ones are
// taken, which are narrower; else they only follow the history's.
export function heatColumns(from, to, fine) {
	const within = (list) => list.filter((c) => c.t1 > from && c.t0 < to);
	const [past, own] = [within(heat.past), within(heat.columns)];
	if (!fine) return [...past, ...own.filter((c) => c.t0 >= (past.at(-1)?.t1 ?? 0) - 1)];
	const isSeen = (t) => own.some((c) => c.t0 <= t && t < c.t1);
	return [...past.filter((c) => !isSeen((c.t0 + c.t1) / 2)), ...own];
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
		p50: quantileOf(buckets, total, 0.5), p99: quantileOf(buckets, total, 0.99), p999: quantileOf(buckets, total, 0.999),
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

// An answer to stats.heatmap: its rows are ours.
export function takeHeatmap({ name, t0, step_s: step, columns }) {
	if (name !== heat.name) return;
	heat.past = columns.map((c, i) => {
		const rows = new Map((c?.counts ?? []).map((n, k) => [c.offset + k, n / step]).filter(([, n]) => n > 0));
		return {
			t0: t0 + i * step, t1: t0 + (i + 1) * step, rows, most: Math.max(0, ...rows.values()),
			p50: c?.p50_us ?? null, p99: c?.p99_us ?? null, p999: c?.p999_us ?? null,
		};
	});
}

// The column of a moment; those after the newest are of its time still.
export function heatAt(t) {
	const of = (list) => list.findLast((c) => c.t0 <= t);
	const past = of(heat.past);
	const column = past && t < past.t1 ? past : of(heat.columns) ?? past;
	return column && t < column.t1 + 5 ? column : undefined;
}
