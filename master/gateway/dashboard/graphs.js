// The charts of the page: requests, bytes, latency, lives of workers, memory.
// SPDX-License-Identifier: MIT
import { Chart, colour } from "./chart.js";
import { bytes, count, micros } from "./dom.js";
import { heat, heatAt, heatColumns, topOf } from "./heat.js";
import { store } from "./store.js";

function paintRequests(c) {
	const parts = [(p) => p.ok, (p) => p.c4, (p) => p.c5];
	c.scaleTo(0, c.most((p) => Math.max(p.requests, p.ok + p.c4 + p.c5)), count);
	c.drawStack(parts, ["--ok", "--warn", "--bad"]);
	c.drawLine((p) => p.aborted || null, "--lost");
}

const meta = (p) => Math.max(0, p.out - p.body - p.tls);
const delivered = (p) => Math.max(0, p.body - (p.lost ?? 0));
const NIC_MOST = 1.5; // of the server's own: what else the machine sends must not flatten it

// Above the line what was sent, below it what came; the thin lines are the network cards'.
function paintBytes(c) {
	const upTo = (own, nic) => Math.max(c.most(own), Math.min(c.most(nic), NIC_MOST * c.most(own)));
	c.scaleTo(-upTo((p) => p.in, (p) => p.nicIn), upTo((p) => p.out, (p) => p.nicOut), (v) => bytes(Math.abs(v)));
	c.drawStack([delivered, meta, (p) => p.tls, (p) => p.lost], ["--body", "--meta", "--tls", "--lost"]);
	c.drawStack([(p) => p.in], ["--in"], -1);
	c.drawLine((p) => p.nicOut, "--dim", 0.8);
	c.drawLine((p) => (p.nicIn === null || p.nicIn === undefined ? null : -p.nicIn), "--dim", 0.8);
	c.line(c.left, c.y(0), c.right, c.y(0), "--dim");
}

// The points know of whole requests only; the rest is in the columns of the heat map.
const quantile = (name) => (p) => (heat.name === "request" && p[name]) || heatAt(p.t)?.[name] || null;

// As many as it is dark, the few still seen: the scale of shades is logarithmic.
function paintHeat(c, columns) {
	const most = Math.log1p(Math.max(...columns.map((one) => one.most)));
	c.context.fillStyle = colour("--heat");
	for (const { t0, t1, rows } of columns) {
		const x = c.x(t0);
		for (const [row, n] of rows) {
			c.context.globalAlpha = 0.1 + (0.6 * Math.log1p(n)) / most;
			c.context.fillRect(x, c.y(topOf(row)), c.x(t1) - x, c.y(topOf(row - 1)) - c.y(topOf(row)));
		}
	}
	c.context.globalAlpha = 1;
}

function paintLatency(c) {
	const columns = heatColumns(c.from, c.to, store.step === 1).filter((one) => one.rows.size);
	const rows = columns.flatMap((one) => [...one.rows.keys()]);
	const get = quantile("p50");
	const low = Math.min(1e5, ...c.points.map((p) => get(p) ?? 1e5), ...rows.map((row) => topOf(row - 1)));
	const high = Math.max(low * 10, c.most(quantile("p999")), ...rows.map(topOf));
	c.scaleToLog(Math.max(1, low), high, micros);
	if (columns.length) paintHeat(c, columns);
	c.drawLine(quantile("p999"), "--lost", 1);
	c.drawLine(quantile("p99"), "--bad");
	c.drawLine(get, "--ok", 2);
}

function paintMemory(c) {
	c.scaleTo(0, c.most((p) => p.rss), bytes);
	c.drawLine((p) => p.rss, "--mem", 2);
	const most = c.most((p) => p.inFlight + p.queued);
	const scale = c.y;
	const top = Math.max(4, most) * 1.05;
	c.y = (v) => c.bottom - (v / top) * (c.bottom - c.top);
	c.drawLine((p) => p.inFlight, "--ok", 1);
	c.drawLine((p) => p.queued || null, "--warn", 1);
	c.y = scale;
}

// One lane per slot; who follows in it lies in the other half, so that both are seen.
function paintLanes(c) {
	const lives = [...store.lives.values()].filter((l) => (l.end ?? c.to) >= c.from && l.born <= c.to);
	const slots = Math.max(store.status?.workers.target ?? 0, ...lives.map((l) => l.slot + 1), 1);
	const top = c.top + 14;
	const lane = Math.min(26, (c.bottom - top) / slots);
	c.context.textAlign = "right";
	c.context.textBaseline = "middle";
	c.context.fillStyle = colour("--dim");
	for (let s = 0; s < slots; s += Math.ceil(11 / lane)) c.context.fillText(String(s), c.left - 5, top + lane * (s + 0.5));
	c.clip();
	for (const life of lives) paintLife(c, life, top + lane * life.slot, lane);
	let free = c.left; // labels begin right of the ones before
	for (const job of store.jobs.values()) free = paintJob(c, job, free);
}

function paintLife(c, life, top, lane) {
	const half = lane >= 5 ? (lane - 1) / 2 : lane;
	const y = top + (half < lane ? (life.epoch % 2) * half : 0);
	const end = Math.min(life.end ?? c.to, c.to);
	const ready = Math.min(life.ready ?? end, end);
	const drain = Math.max(ready, Math.min(life.drain ?? end, end));
	const bar = (from, to, name) => {
		c.context.fillStyle = colour(name);
		if (to > from) c.context.fillRect(c.x(from), y, Math.max(1, c.x(to) - c.x(from)), Math.max(1, half - 1));
	};
	bar(life.born, ready, "--boot-text");
	bar(ready, drain, life.generation % 2 ? "--ok" : "--body");
	bar(drain, end, "--warn");
	if (life.end !== undefined && life.expected === false) {
		c.context.fillStyle = colour("--bad");
		c.context.fillRect(c.x(end) - 1.5, y, 3, Math.max(2, half));
	}
}

function paintJob(c, job, free) {
	const end = Math.min(job.end ?? c.to, c.to);
	if (end < c.from || job.start > c.to) return free;
	const bad = job.state === "failed" || job.state === "rolled_back";
	const [x, width] = [c.x(job.start), Math.max(2, c.x(end) - c.x(job.start))];
	c.context.fillStyle = colour(bad ? "--bad" : job.end ? "--body" : "--warn");
	c.context.fillRect(x, c.top, width, 4);
	c.context.textAlign = "left";
	c.context.textBaseline = "top";
	const label = Math.max(c.left, Math.min(x, c.right - 70));
	if (label < free) return free;
	const words = `${job.id} ${job.state}`;
	c.context.fillText(words, label, c.top + 3);
	return label + c.context.measureText(words).width + 6;
}

export function makeCharts() {
	new Chart("requests", paintRequests, [
		{ name: "ok", colour: "--ok", value: (p) => count(p.ok) },
		{ name: "4xx", colour: "--warn", value: (p) => count(p.c4) },
		{ name: "5xx", colour: "--bad", value: (p) => count(p.c5) },
		{ name: "aborted", colour: "--lost", value: (p) => count(p.aborted) },
	]);
	new Chart("bytes", paintBytes, [
		{ name: "body", colour: "--body", value: (p) => bytes(p.body) },
		{ name: "head", colour: "--meta", value: (p) => bytes(meta(p)) },
		{ name: "TLS", colour: "--tls", value: (p) => bytes(p.tls) },
		{ name: "undelivered", colour: "--lost", value: (p) => bytes(p.lost) },
		{ name: "in", colour: "--in", value: (p) => bytes(p.in) },
		{ name: "network cards", colour: "--dim", value: (p) => `${bytes(p.nicOut)} / ${bytes(p.nicIn)}` },
	]);
	new Chart("latency", paintLatency, [
		{ name: "p50", colour: "--ok", value: (p) => micros(quantile("p50")(p)) },
		{ name: "p99", colour: "--bad", value: (p) => micros(quantile("p99")(p)) },
		{ name: "p99.9", colour: "--lost", value: (p) => micros(quantile("p999")(p)) },
	]);
	new Chart("lanes", paintLanes, [
		{ name: "starts", colour: "--boot-text" }, { name: "serves", colour: "--ok" },
		{ name: "next generation", colour: "--body" }, { name: "drains", colour: "--warn" },
		{ name: "died", colour: "--bad" },
	]);
	new Chart("memory", paintMemory, [
		{ name: "memory", colour: "--mem", value: (p) => bytes(p.rss) },
		{ name: "in flight", colour: "--ok", value: (p) => count(p.inFlight) },
		{ name: "queued", colour: "--warn", value: (p) => count(p.queued) },
	]);
}
