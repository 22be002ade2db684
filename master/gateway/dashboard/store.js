// What the page knows: points over time, lives of workers, events. SPDX-License-Identifier: MIT
export const RANGES = [[60, "1m"], [300, "5m"], [900, "15m"], [3600, "1h"], [21600, "6h"], [86400, "24h"]];
const EVENTS_MAX = 300;
const LIVES_MAX = 2000;
const CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"];

export const store = {
	range: 300,
	until: null, // the moment the charts stand at; null: they follow the time
	// {t, ok, c4, c5, aborted, out, body, tls, lost, in, nicIn, nicOut, p50, p99, p999 (of the history alone), rss, inFlight, queued}
	points: [],
	step: 1, // seconds between points
	frame: null, // the last one of the stream
	last: null, // the point it made
	rates: new Map(), // "slot:epoch" -> requests/s
	status: null,
	details: new Map(), // "slot:epoch" -> a row of workers.list
	processes: new Map(), // "role/slot" -> a row of metrics.workers, with cpu_s and t
	listeners: [],
	flight: { list: [], total: 0, denied: false },
	events: [], // newest first
	seq: 0,
	lives: new Map(), // "slot:epoch" -> {slot, epoch, pid, generation, born, ready, drain, end, reason, expected}
	jobs: new Map(), // reloads: id -> {id, start, end, state}
	skew: 0, // the server's clock less ours, seconds
};

export const now = () => Date.now() / 1000 + store.skew;
export const ends = () => store.until ?? now();
export const idOf = (w) => `${w.slot}:${w.epoch}`;

function rate(before, after, names, seconds) {
	let sum = 0;
	for (const name of names) sum += (after[name] ?? 0) - (before[name] ?? 0);
	return seconds > 0 ? Math.max(0, sum / seconds) : 0;
}

const OUT = ["out_head", "out_body", "out_framing", "out_tls"];
const IN = ["in_head", "in_body", "in_framing", "in_tls"];

// The kernel's counters of all network cards; null: it does not tell.
function nicRate(before, after, way, seconds) {
	const [a, b] = [before.nic?.[way], after.nic?.[way]];
	return typeof a === "number" && typeof b === "number" && seconds > 0 ? Math.max(0, (b - a) / seconds) : null;
}

function makePoint(before, frame, at) {
	const a = before.totals;
	const b = frame.totals;
	const s = frame.mono - before.mono;
	const of = (...names) => rate(a, b, names, s);
	return {
		t: at,
		ok: of(...CLASSES.slice(0, 3).map((c) => `responses_${c}`)), c4: of("responses_4xx"), c5: of("responses_5xx"),
		aborted: of("aborted"), requests: of("requests"),
		out: of(...OUT), body: of("out_body"), tls: of("out_tls"), lost: of("out_undelivered"), in: of(...IN),
		nicIn: nicRate(before, frame, "in", s), nicOut: nicRate(before, frame, "out", s),
		rss: store.points.at(-1)?.rss ?? null, inFlight: b.in_flight, queued: b.queued,
	};
}

function addPoint(point) {
	store.points.push(point);
	while (store.points[0].t < point.t - store.range - 60) store.points.shift();
}

export function takeFrame(frame) {
	const before = store.frame;
	if (frame.t) store.skew = frame.t - Date.now() / 1000;
	const at = frame.t ?? now();
	// Another instance, or another one since: its counters began anew.
	const same = before && frame.mono > before.mono && frame.totals.requests >= before.totals.requests;
	if (same && frame.mono - before.mono < 10) {
		const old = new Map((before.workers ?? []).map((w) => [idOf(w), w]));
		store.rates.clear();
		for (const w of frame.workers ?? []) {
			const was = old.get(idOf(w));
			if (was) store.rates.set(idOf(w), rate(was.counts, w.counts, ["requests"], frame.mono - before.mono));
		}
		store.last = makePoint(before, frame, at);
		if (store.step === 1 && store.until === null) addPoint(store.last);
	}
	store.frame = frame;
	for (const w of frame.workers ?? []) seeWorker(w, at);
}

// The answer to stats.history, as points.
export function takeHistory(history) {
	const { t0, step_s: step, series: s } = history;
	store.step = step;
	store.points = s.rps.map((rps, i) => ({
		t: t0 + i * step,
		ok: rps === null ? null : Math.max(0, rps - s.errors_4xx[i] - s.errors_5xx[i] - s.aborted[i]),
		c4: s.errors_4xx[i], c5: s.errors_5xx[i], aborted: s.aborted[i], requests: rps,
		out: s.bytes_out[i], body: s.bytes_out_body[i], tls: s.bytes_out_tls[i], lost: s.bytes_undelivered[i], in: s.bytes_in[i],
		nicIn: s.nic_in[i], nicOut: s.nic_out[i],
		p50: s.p50_us[i], p99: s.p99_us[i], p999: s.p999_us[i],
		rss: s.rss_bytes[i], inFlight: s.in_flight[i], queued: s.queued[i],
	}));
	store.points = store.points.filter((p) => p.requests !== null);
}

function lifeOf(w, born) {
	let life = store.lives.get(idOf(w));
	if (!life) {
		life = { slot: w.slot, epoch: w.epoch, pid: w.pid, generation: w.generation, born };
		store.lives.set(idOf(w), life);
		if (store.lives.size > LIVES_MAX) store.lives.delete(store.lives.keys().next().value);
	}
	return life;
}

function seeWorker(w, at) {
	const life = lifeOf(w, at);
	if (w.state === "draining" || w.state === "exiting") life.drain ??= at;
	else if (w.state !== "booting" && w.state !== "parked") life.ready ??= at;
}

// The answer to workers.list: it knows ages, and who is gone.
export function takeWorkers(list) {
	const at = now();
	const there = new Set();
	store.details.clear();
	for (const w of list) {
		store.details.set(idOf(w), w);
		if (w.pid === null) continue;
		there.add(idOf(w));
		const life = lifeOf(w, at);
		if (typeof w.age_s === "number") {
			life.born = Math.min(life.born, at - w.age_s);
			if (w.booted && life.ready === undefined) life.ready = life.born;
		}
	}
	for (const [id, life] of store.lives) if (!there.has(id) && life.end === undefined && life.born < at - 5) life.end = at;
	const rss = list.reduce((sum, w) => sum + (w.rss_bytes ?? 0), 0);
	if (store.points.length && store.step === 1) store.points.at(-1).rss = rss;
}

// The answer to metrics.workers: of every process, the master's own and its helpers, too.
export function takeProcesses({ processes, cpu }) {
	const t = performance.now() / 1000;
	store.processes.clear();
	for (const p of processes) store.processes.set(`${p.role}/${p.worker}`, { ...p, cpu_s: 0, t });
	for (const { role, worker, seconds } of cpu) {
		const p = store.processes.get(`${role}/${worker}`);
		if (p) p.cpu_s += seconds;
	}
}

function takeJob(event) {
	const d = event.data;
	const job = store.jobs.get(d.job) ?? { id: d.job, start: event.t };
	job.state = d.state;
	if (["reload.done", "reload.failed", "reload.rolled_back"].includes(event.type)) job.end ??= event.t;
	store.jobs.set(d.job, job);
}

// false: it was known already.
export function takeEvent(event) {
	if (event.seq <= store.seq) return false;
	store.seq = event.seq;
	store.events.unshift(event);
	store.events.length = Math.min(store.events.length, EVENTS_MAX);
	const d = event.data ?? {};
	if (event.type.startsWith("reload.") && d.job) takeJob(event);
	if (event.type === "worker.ready") lifeOf(d, event.t).ready = event.t;
	if (event.type === "worker.exit") {
		const life = lifeOf(d, event.t);
		Object.assign(life, { end: event.t, reason: d.reason ?? d.cause, expected: d.expected });
	}
	return true;
}

// The instance is another one: nothing of what was known holds for it.
export function forget() {
	store.events = [];
	store.seq = 0;
	store.lives.clear();
	store.jobs.clear();
	store.rates.clear();
	store.frame = null;
}

const MARKED = [
	[/^reload\.(failed|rolled_back)$|^worker\.(oom|stuck|crash_loop)$|^quota\.exceeded$/, "--bad"],
	[/^reload\.done$|^config\.changed$|^server\.(ready|upgraded|undrained)$/, "--body"],
	[/^server\.(draining|stopping)$|^quota\.warning$|^worker\.memory_limit$/, "--warn"],
];

export function markOf(event) {
	for (const [pattern, colour] of MARKED) if (pattern.test(event.type)) return colour;
	return null;
}
