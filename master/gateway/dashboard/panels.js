// The parts of the page that are text: header, scoreboard, tables. SPDX-License-Identifier: MIT
import { $, age, bytes, clock, count, el, keepRows, makeCells, micros, percent, say } from "./dom.js";
import { idOf, store } from "./store.js";

const LETTERS = { booting: "B", ready: "R", idle: "I", busy: "W", stuck: "!", parked: "P", draining: "D", exiting: "X", dead: "-" };
const WORDS = { busy: "working" };
const letterOf = (state) => LETTERS[state] ?? "?";

function figures() {
	const p = store.last;
	const l = store.frame?.latency ?? {};
	const s = store.status;
	const worst = store.listeners.reduce((a, b) => ((b.accept_queue ?? 0) / (b.backlog || 1) > (a?.accept_queue ?? -1) / (a?.backlog || 1) ? b : a), null);
	const failed = p && p.requests > 0 ? p.c5 / p.requests : 0;
	return [
		["requests/s", p && count(p.requests)],
		["out/s", p && bytes(p.out)],
		["in/s", p && bytes(p.in)],
		["in flight", store.frame && count(store.frame.totals.in_flight)],
		["5xx", p && percent(failed), failed > 0.01],
		["p50", micros(l.p50)],
		["p99", micros(l.p99)],
		["accept queue", worst && worst.accept_queue !== null ? `${worst.accept_queue}/${worst.backlog}` : null, worst && worst.accept_queue > worst.backlog / 2],
		["workers", s && `${s.workers.ready}/${s.workers.target}`, s && s.workers.ready < s.workers.target],
	];
}

export function showHead() {
	const s = store.status;
	const ready = s?.ready === true;
	const lamp = $("lamp");
	lamp.className = `lamp ${s ? (ready ? "ok" : "no") : ""}`;
	lamp.setAttribute("aria-label", s ? (ready ? "ready" : "not ready") : "unknown");
	if (s) {
		say($("name"), s.instance);
		if (document.title !== `${s.instance} – shoal`) document.title = `${s.instance} – shoal`;
		const since = age(s.uptime_s);
		const reload = s.last_reload ? `, last reload ${s.last_reload.state ?? ""}` : "";
		say($("facts"), `${s.state}, generation ${s.generation}, up ${since}, version ${s.version}${reload}`);
	}
	const alerts = s?.alerts ?? [];
	$("alerts").hidden = alerts.length === 0;
	say($("alerts"), alerts.join("; "));
	keepRows($("figures"), figures(), ([name]) => name, ([name]) => {
		const box = el("div");
		box.append(el("dt", "", name), el("dd"));
		return box;
	}, (box, [, value, bad]) => {
		say(box.lastChild, value || "–");
		box.className = bad ? "bad" : "";
	});
}

/* ---- Scoreboard ---- */

let chosen = null;

const workers = () => store.frame?.workers ?? [];

function showDetail() {
	const w = workers().find((one) => idOf(one) === chosen);
	if (!w) {
		say($("detail"), workers().length ? "Point at a worker to see more of it." : "");
		return;
	}
	const d = store.details.get(chosen) ?? {};
	const oldest = store.flight.list.find((r) => r.worker === w.slot || r.slot === w.slot);
	const words = [
		`slot ${w.slot}`, `pid ${w.pid}`, `generation ${w.generation}`, WORDS[w.state] ?? w.state,
		`up ${age(d.age_s)}`, `${count(w.counts.requests)} requests`, `${w.counts.in_flight} in flight`,
		`${w.counts.connections} connections`, `memory ${bytes(d.rss_bytes)}`, `loop lag ${micros(w.counts.loop_lag_us)}`,
	];
	if (oldest) words.push(`oldest request ${age(oldest.age_s)}`);
	say($("detail"), words.join(" · "));
}

function makeCell(w) {
	const id = idOf(w);
	const cell = el("button", "cell");
	cell.type = "button";
	cell.tabIndex = -1;
	const choose = () => {
		chosen = id;
		showDetail();
	};
	cell.addEventListener("focus", choose);
	cell.addEventListener("pointerenter", choose);
	return cell;
}

function showCell(cell, w) {
	say(cell, letterOf(w.state));
	cell.className = `cell ${Object.hasOwn(LETTERS, w.state) ? w.state : ""}`;
	cell.setAttribute("aria-label", `worker ${w.slot}, generation ${w.generation}: ${WORDS[w.state] ?? w.state}`);
}

export function showBoard() {
	const all = [...workers()].sort((a, b) => a.slot - b.slot || a.epoch - b.epoch);
	const newest = Math.max(0, ...all.map((w) => w.generation));
	const serving = store.status?.generation ?? newest;
	const rows = [...new Set([newest, ...all.map((w) => w.generation)])].sort((a, b) => b - a);
	keepRows($("cells"), rows, (g) => g, () => {
		const row = el("div", "gen");
		row.append(el("span"), el("div"));
		return row;
	}, (row, g) => {
		const part = g === serving ? "" : g > serving ? ", coming" : ", leaving";
		const [label, cells] = row.children;
		const mine = all.filter((w) => w.generation === g);
		say(label, mine.length ? `generation ${g}${part}` : "no workers");
		keepRows(cells, mine, idOf, makeCell, showCell);
	});
	const cells = [...document.querySelectorAll(".cell")];
	if (cells.length && !cells.some((c) => c.tabIndex === 0)) cells[0].tabIndex = 0;
	const tally = {};
	for (const w of all) tally[w.state] = (tally[w.state] ?? 0) + 1;
	say($("letters"), Object.keys({ ...LETTERS, ...tally }).filter((state) => tally[state]).map((state) => `${letterOf(state)} ${WORDS[state] ?? state} ${tally[state]}`).join(" · "));
	showDetail();
}

export function moveInBoard(key) {
	const cells = [...document.querySelectorAll(".cell")];
	const at = cells.indexOf(document.activeElement);
	const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
	if (!step || at < 0) return false;
	const next = cells[(at + step + cells.length) % cells.length];
	cells[at].tabIndex = -1;
	next.tabIndex = 0;
	next.focus();
	return true;
}

/* ---- Tables ---- */

const cpuBefore = new Map(); // "slot:epoch" -> {t, s, share}

function cpuOf(id, d) {
	if (typeof d.cpu_s !== "number") return null;
	const before = cpuBefore.get(id);
	const t = d.age_s;
	if (before && before.t === t) return before.share;
	const share = before && t > before.t ? Math.max(0, (d.cpu_s - before.s) / (t - before.t)) : null;
	cpuBefore.set(id, { t, s: d.cpu_s, share });
	return share;
}

// The master, what forks workers, the gateway, the ledger: rows beneath the workers'.
function helpers() {
	const s = store.status?.master;
	const others = [...store.processes.values()].filter((p) => p.role !== "worker");
	return others.map((p) => {
		const lag = p.role === "master" && s ? { pid: s.pid, loop_lag_us: s.loop_lag_p99_s * 1e6 } : {};
		return { ...p, slot: "", epoch: p.role, state: p.role, age_s: p.t, ...lag };
	});
}

const memoryOf = (d) => d.pss_bytes ?? d.rss_bytes;

function showMemory(cell, d, most) {
	if (!cell.firstChild) cell.append(el("span", "bar"), el("span"));
	cell.firstChild.style.width = `${(((memoryOf(d) ?? 0) / most) * 1.5).toFixed(1)}em`;
	cell.title = `${bytes(d.pss_bytes)} with shared pages divided by their users, ${bytes(d.rss_bytes)} with all of them`;
	say(cell.lastChild, bytes(memoryOf(d)));
}

export function showWorkers() {
	const rows = [...store.details.values()].sort((a, b) => a.slot - b.slot || a.epoch - b.epoch).concat(helpers());
	const most = Math.max(1, ...rows.map((d) => memoryOf(d) ?? 0));
	const ids = new Set(rows.map(idOf));
	for (const id of cpuBefore.keys()) if (!ids.has(id)) cpuBefore.delete(id);
	keepRows($("workers"), rows, idOf, makeCells(11), (row, d) => {
		const id = idOf(d);
		const exit = d.last_exit ? `${d.last_exit.reason}${d.restarts ? ` (${d.restarts} restarts)` : ""}` : "";
		const fds = d.fds ?? store.processes.get(`worker/${d.slot}`)?.fds;
		const cells = [d.slot, d.pid ?? "", d.generation ?? "", WORDS[d.state] ?? d.state, count(store.rates.get(id) ?? null), d.in_flight ?? "–",
			micros(d.loop_lag_us), percent(cpuOf(id, d)), null, fds ?? "–", exit];
		cells.forEach((value, i) => value === null || say(row.cells[i], String(value)));
		showMemory(row.cells[8], d, most);
	});
}

async function copy(button, text) {
	try {
		await navigator.clipboard.writeText(text);
		button.textContent = "copied";
	} catch (error) {
		button.textContent = text; // a page that is not of this machine may not copy
	}
}

export function showFlight() {
	const f = store.flight;
	const shown = f.list.slice(0, 50);
	say($("flight-n"), f.denied ? "" : `${f.total}, oldest first`);
	$("flight-note").hidden = !f.denied;
	$("flight-table").hidden = f.denied;
	keepRows($("flight"), shown, (r) => r.id, () => {
		const row = makeCells(6, 3)();
		const button = el("button", "", "trace");
		button.type = "button";
		button.title = "Copy the command that shows the stacks of this worker";
		button.addEventListener("click", () => copy(button, `shoalctl trace ${Number(row.dataset.slot)}`));
		row.cells[5].append(button);
		return row;
	}, (row, r) => {
		row.dataset.slot = r.worker;
		[age(r.age_s), r.worker, r.phase, `${r.method} ${r.path}`, r.client].forEach((v, i) => say(row.cells[i], String(v ?? "–")));
	});
}

const HIDDEN = new Set(["by", "comm", "epoch", "generation_from", "generation_to", "kind", "outcome", "progress", "stacks", "traceback", "uid"]);

function wordsOf(value) {
	if (value === null || typeof value !== "object") return String(value);
	if (Array.isArray(value)) return value.map(wordsOf).join(", ");
	return Object.entries(value).map(([k, v]) => `${k} ${wordsOf(v)}`).join(", ");
}

function summary(event) {
	const d = event.data ?? {};
	const parts = Object.entries(d).filter(([k, v]) => !HIDDEN.has(k) && !(k === "expected" && v)).map(([k, v]) => `${k} ${wordsOf(v)}`);
	if (d.generation_to) parts.push(`generation ${d.generation_from} → ${d.generation_to}`);
	if (d.progress) parts.push(`${d.progress.done}/${d.progress.total}`);
	if (d.by) parts.push(`by uid ${d.by.uid} (${d.by.comm})`);
	if (d.comm) parts.push(`by uid ${d.uid} (${d.comm})`);
	if (d.outcome && d.outcome !== "ok") parts.push(wordsOf(d.outcome));
	const text = parts.join(" · ");
	return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

function toneOf(type) {
	if (/failed|oom|stuck|crash|exceeded|error|down|rolled_back|lost/.test(type)) return "t-bad";
	if (/overdue|limit|full|warning|drain|stopping/.test(type)) return "t-warn";
	return /done|ready|recovered|upgraded/.test(type) ? "t-good" : "";
}

export function showEvents() {
	keepRows($("events"), store.events.slice(0, 150), (e) => `${e.t}/${e.seq}`, makeCells(3, 2), (row, e) => {
		if (row.cells[1].textContent) return;
		const bad = e.type === "worker.exit" && e.data?.expected === false;
		say(row.cells[0], clock(e.t, true));
		say(row.cells[1], e.type);
		row.cells[1].className = bad ? "t-bad" : toneOf(e.type);
		say(row.cells[2], summary(e));
	});
}
