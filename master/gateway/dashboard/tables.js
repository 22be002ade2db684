// The tables of who and what uses most: accounts, routes, clients. One is seen at a time;
// what each column says is data. SPDX-License-Identifier: MIT
import { $, age, bytes, count, el, keepRows, makeCells, micros, percent, say } from "./dom.js";
import { ask } from "./feed.js";

const SHOWN = 100;
const LIMIT = 200;

const sent = (a) => a.out_head + a.out_body + a.out_framing + a.out_tls;
const part = (a, b) => (b ? a / b : 0);

// A column: {title, hint, text(row, table), tone(row), meter(row)}
const requests = { title: "requests", text: (r) => count(r.requests) };
const failed = (get) => ({ title: "5xx", hint: "of the requests", text: (r) => percent(part(get(r), r.requests)), tone: (r) => (part(get(r), r.requests) > 0.01 ? "t-bad" : "") });
const rateOf = (title, show) => ({ title, text: (r) => (r.rate === null ? "–" : show(r.rate)) });
const share = { title: "share", hint: "of what all of them use now", text: (r, t) => (t.rates ? percent((r.rate ?? 0) / t.rates) : "–") };

const ACCOUNTS = [
	{ title: "account", text: (r) => r.account },
	requests,
	rateOf("out/s", bytes),
	share,
	{ title: "undelivered", hint: "of what was sent", text: (r) => percent(part(r.out_undelivered, sent(r))), tone: (r) => (part(r.out_undelivered, sent(r)) > 0.05 ? "t-warn" : "") },
	failed((r) => r.err5xx),
	{ title: "quota", text: (r, t) => t.quotas.get(r.account)?.text ?? "", meter: (r, t) => t.quotas.get(r.account)?.part },
];
const ROUTES = [
	{ title: "route", text: (r) => r.route },
	requests,
	rateOf("req/s", count),
	share,
	failed((r) => r.errors),
	{ title: "p50", text: (r) => micros(r.p50_us) },
	{ title: "p99", text: (r) => micros(r.p99_us) },
	{ title: "time", hint: "in all its requests together", text: (r) => age(r.sum_s) },
];

// Counted in tables of limited size: a number may be too high by `error`.
const BUSIEST = (title) => [
	{ title, text: (r) => r.key },
	{ title: "requests", hint: "≤: at most so many", text: (r) => `${r.error ? "≤ " : ""}${count(r.requests)}` },
	rateOf("req/s", count),
	share,
	{ title: "sent", text: (r) => bytes(r.sent_bytes) },
	failed((r) => r.errors),
];

// grows: what a rate is made from. list: rows with `rate`, the busiest first.
const table = (name, path, rows, key, grows, columns, empty) => ({
	name, path, rows, key, grows, columns, empty,
	list: [], total: 0, rates: 0, denied: false, before: null, quotas: new Map(),
});

export const tables = [
	table("accounts", `/v1/accounts?limit=${LIMIT}`, "accounts", "account", sent, ACCOUNTS, "no account yet"),
	table("routes", "/v1/routes", "routes", "route", (r) => r.requests, ROUTES, 'the application names none in environ["shoal.route"]'),
	...["client", "host", "agent"].map((by) => table(`${by}s`, `/v1/top?by=${by}&limit=${LIMIT}`, "entries", "key", (r) => r.requests, BUSIEST(by), "nobody yet")),
];

export let tableSeen = tables[0];
let ledger = null; // accounting.status; null: there is none

// An answer: sums since the server began, so rates are of two of them.
function takeRows(t, body) {
	const at = performance.now() / 1000;
	const old = t.before && new Map(t.before.list.map((r) => [r[t.key], r]));
	t.list = body[t.rows].map((r) => {
		const was = old?.get(r[t.key]);
		const grown = was ? t.grows(r) - t.grows(was) : -1;
		return { ...r, rate: grown >= 0 ? grown / (at - t.before.at) : null };
	});
	t.before = { at, list: body[t.rows] };
	t.rates = t.list.reduce((sum, r) => sum + (r.rate ?? 0), 0);
	t.list.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || t.grows(b) - t.grows(a));
	Object.assign(t, { total: body.total ?? t.list.length, denied: false });
}

// The fullest one of each account.
function takeQuotas(t, { quotas }) {
	t.quotas.clear();
	for (const q of quotas) {
		const used = q.used / q.limit_bytes;
		const known = t.quotas.get(q.account);
		if (!known || used > known.part) t.quotas.set(q.account, { part: used, text: `${used > 9.99 ? "> 999 %" : percent(used)} ${q.window}` });
	}
}

export async function askTable() {
	const t = tableSeen;
	if (t.denied) return;
	const { ok, status, body } = await ask(t.path);
	if (ok) takeRows(t, body);
	else if (status === 401 || status === 403) t.denied = true;
	if (ok && t === tables[0]) {
		const quotas = await ask("/v1/quotas");
		if (quotas.ok) takeQuotas(t, quotas.body);
	}
	showTable();
}

export async function askLedger() {
	const { ok, body } = await ask("/v1/accounting/status");
	ledger = ok ? body : null;
}

function ledgerWords() {
	if (!ledger) return "no ledger";
	const failures = ledger.failed_flushes ? `, ${count(ledger.failed_flushes)} failed writes` : "";
	return `ledger ${ledger.ledger}, ${age(ledger.lag_s)} behind${failures}`;
}

function showMeter(cell, value, text) {
	if (!cell.firstChild) {
		cell.append(el("span", "meter"), el("span"));
		cell.firstChild.append(el("span"));
	}
	const [meter, words] = cell.children;
	meter.hidden = value === undefined;
	say(words, text);
	meter.firstChild.style.width = `${Math.min(100, (value ?? 0) * 100)}%`;
	meter.className = `meter ${value >= 1 ? "full" : ""}`;
}

function showRow(row, r) {
	tableSeen.columns.forEach((c, i) => {
		const cell = row.cells[i];
		const text = String(c.text(r, tableSeen) ?? "–");
		if (c.meter) showMeter(cell, c.meter(r, tableSeen), text);
		else say(cell, text);
		if (c.tone) cell.className = c.tone(r);
	});
}

export function showTable() {
	const t = tableSeen;
	const words = t === tables[0] ? ledgerWords() : "";
	say($("table-n"), [t.denied || !t.total ? "" : count(t.total), words].filter(Boolean).join("; "));
	say($("table-note"), t.denied ? `For operators: open this page through the control socket (ssh -L) to see ${t.name}.` : t.empty);
	$("table-note").hidden = t.list.length > 0 && !t.denied;
	$("table").hidden = t.denied || t.list.length === 0;
	keepRows($("table-rows"), t.denied ? [] : t.list.slice(0, SHOWN), (r) => r[t.key], makeCells(t.columns.length, 0), showRow);
}

export function chooseTable(t) {
	tableSeen = t;
	$("table-head").replaceChildren(...t.columns.map((c, i) => {
		const cell = el("th", i ? "" : "grow", c.title);
		if (c.hint) cell.title = c.hint;
		return cell;
	}));
	$("table-rows").replaceChildren();
	for (const tab of $("tabs").children) tab.setAttribute("aria-selected", String(tab.dataset.name === t.name));
	showTable();
	askTable();
}

export function nextTable() {
	chooseTable(tables[(tables.indexOf(tableSeen) + 1) % tables.length]);
}

export function makeTables() {
	for (const t of tables) {
		const tab = el("button", "", t.name);
		tab.type = "button";
		tab.dataset.name = t.name;
		tab.setAttribute("role", "tab");
		tab.setAttribute("aria-controls", "table-panel");
		tab.addEventListener("click", () => chooseTable(t));
		$("tabs").append(tab);
	}
	chooseTable(tables[0]);
}

// The instance is another one.
export function forgetTables() {
	for (const t of tables) Object.assign(t, { list: [], before: null, quotas: new Map() });
}
