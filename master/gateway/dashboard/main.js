// Puts the page together: the feed, the questions asked now and then, keys, the address.
// SPDX-License-Identifier: MIT
import { $, el, say } from "./dom.js";
import { drawSoon } from "./chart.js";
import { ask, Feed } from "./feed.js";
import { makeCharts } from "./graphs.js";
import { chooseHeat, heat, NAMES, takeHeatmap, takeHistogram } from "./heat.js";
import { moveInBoard, showBoard, showEvents, showFlight, showHead, showWorkers } from "./panels.js";
import { ends, forget, now, RANGES, store, takeEvent, takeFrame, takeHistory, takeProcesses, takeWorkers } from "./store.js";
import { askLedger, askTable, forgetTables, makeTables, nextTable, showTable, tableSeen } from "./tables.js";

const LINK = { live: "live", asking: "live, slow", lost: "connection lost", asleep: "asleep" };

function showAll() {
	showHead();
	if (store.until !== null) return;
	showBoard();
	showWorkers();
	showFlight();
	showTable();
	showEvents();
	drawSoon();
}

/* ---- Questions ---- */

// How many seconds ago the charts begin.
const backTo = () => Math.min(86400, Math.max(2, Math.ceil(now() - ends()) + store.range));

async function askHistory() {
	const range = store.range;
	askHeatmap();
	const { ok, body } = await ask(`/v1/stats/history?since_s=${backTo()}`);
	if (!ok || range !== store.range) return;
	takeHistory(body);
	drawSoon();
}

async function askEvents() {
	const { ok, body } = await ask(`/v1/events/history?limit=${store.seq ? 1000 : 200}${store.seq ? `&since_seq=${store.seq}` : ""}`);
	if (!ok) return;
	for (const event of body.events) takeEvent(event);
	showAll();
}

async function askStatus() {
	const { ok, body } = await ask("/v1/status");
	if (!ok) return;
	const other = store.status && Math.abs(store.status.started - body.started) > 0.001;
	store.status = body;
	if (other) {
		forget();
		forgetTables();
		await askHistory();
		await askEvents();
	}
	showHead();
}

async function askWorkers() {
	const { ok, body } = await ask("/v1/workers");
	if (ok) takeWorkers(body.workers);
}

async function askProcesses() {
	const { ok, body } = await ask("/v1/processes");
	if (ok) takeProcesses(body);
}

async function askListeners() {
	const { ok, body } = await ask("/v1/listeners");
	if (ok) store.listeners = body.listeners;
}

async function askFlight() {
	const { ok, status, body } = await ask("/v1/requests?limit=50");
	const denied = status === 401 || status === 403;
	if (ok) store.flight = { list: body.requests, total: body.total, denied: false };
	else if (denied) store.flight = { list: [], total: 0, denied };
	showFlight();
}

async function askHistogram() {
	const { ok, body } = await ask(`/v1/stats/histogram?name=${heat.name}`);
	if (ok) takeHistogram(body);
}

async function askHeatmap() {
	const { ok, body } = await ask(`/v1/stats/heatmap?name=${heat.name}&since_s=${backTo()}`);
	if (ok) takeHeatmap(body);
}

// Again and again while somebody looks; the next one when this one is answered.
function every(ms, question, unless = () => false) {
	const turn = async () => {
		if (!document.hidden && !unless()) await question();
		setTimeout(turn, ms);
	};
	turn();
}

/* ---- What a person does ---- */

function writeAddress() {
	const until = store.until === null ? "" : `&until=${Math.round(store.until)}`;
	history.replaceState(null, "", `#range=${store.range}${until}`);
}

function readAddress() {
	const said = new URLSearchParams(location.hash.slice(1));
	const range = Number(said.get("range"));
	const until = Number(said.get("until"));
	if (RANGES.some(([s]) => s === range)) store.range = range;
	store.until = until > 0 ? until : null;
}

function showChoice() {
	for (const button of $("ranges").children) button.setAttribute("aria-pressed", String(Number(button.dataset.range) === store.range));
	$("pause").setAttribute("aria-pressed", String(store.until !== null));
	say($("pause"), store.until === null ? "pause" : "paused");
}

function choose(range, until) {
	Object.assign(store, { range, until });
	writeAddress();
	showChoice();
	askHistory();
	showAll();
}

function pause() {
	choose(store.range, store.until === null ? now() : null);
}

function nextHeat() {
	const at = NAMES.findIndex(([name]) => name === heat.name);
	const [name, words] = NAMES[(at + 1) % NAMES.length];
	chooseHeat(name);
	say($("heat"), words);
	askHeatmap();
	askHistogram();
	drawSoon();
}

function onKey(e) {
	if (e.ctrlKey || e.metaKey || e.altKey || $("help").open) return;
	const range = RANGES[Number(e.key) - 1];
	if (range) choose(range[0], store.until);
	else if (e.key === "p") pause();
	else if (e.key === "?") $("help").showModal();
	else if (e.key === "l") nextHeat();
	else if (e.key === "a") nextTable();
	else if (e.key === "w") document.querySelector('.cell[tabindex="0"]')?.focus();
	else if (moveInBoard(e.key)) e.preventDefault();
}

function begin() {
	readAddress();
	for (const [s, name] of RANGES) {
		const button = el("button", "", name);
		button.type = "button";
		button.dataset.range = s;
		button.addEventListener("click", () => choose(s, store.until));
		$("ranges").append(button);
	}
	$("pause").addEventListener("click", pause);
	$("heat").addEventListener("click", nextHeat);
	$("keys").addEventListener("click", () => $("help").showModal());
	document.addEventListener("keydown", onKey);
	window.addEventListener("hashchange", () => {
		readAddress();
		showChoice();
		askHistory();
		showAll();
	});
	say($("name"), location.host);
	document.title = `${location.host} – shoal`;
	makeCharts();
	makeTables();
	showChoice();
	new Feed({
		stats: (frame) => {
			takeFrame(frame);
			showAll();
		},
		event: (event) => takeEvent(event) && showAll(),
		missed: askEvents,
		// The stream was away: the figures of that time are in the history.
		opened: () => Promise.all([askStatus(), askHistory(), askEvents(), askFlight(), askTable()]),
		link: (state) => {
			say($("link"), LINK[state]);
			$("link").className = `link ${state === "asking" ? "live" : state}`;
		},
	});
	every(2000, askStatus);
	every(2000, askWorkers);
	every(2000, askHistogram, () => store.until !== null);
	every(5000, askListeners);
	every(5000, askProcesses);
	every(5000, askLedger);
	every(5000, askTable, () => store.until !== null || tableSeen.denied);
	every(2000, askFlight, () => store.until !== null || store.flight.denied);
	every(10000, () => (store.step === 1 ? askHeatmap() : askHistory()), () => store.until !== null);
}

begin();
