// The table of accounts: what each used since the page was opened, its quota, the ledger.
// SPDX-License-Identifier: MIT
import { $, age, bytes, count, el, keepRows, makeCells, percent, say } from "./dom.js";
import { store } from "./store.js";

const SHOWN = 100;

const sent = (a) => a.out_head + a.out_body + a.out_framing + a.out_tls;

export const accounts = {
	list: [], // {account, requests, rate, out, undelivered, failed}, the busiest first
	total: 0,
	denied: false,
	ledger: null, // accounting.status; NULL: there is none
	quotas: new Map(), // account -> {part, text} of the fullest one
	before: null, // {t, byName}
};

// An answer to accounts.list: sums since the master began, so rates are of two of them.
export function takeAccounts({ accounts: list, total }) {
	const t = performance.now() / 1000;
	const { before } = accounts;
	const byName = new Map(list.map((a) => [a.account, a]));
	accounts.list = list.map((a) => {
		const was = before?.byName.get(a.account);
		const fresh = was && a.requests >= was.requests;
		return {
			account: a.account, requests: a.requests, out: sent(a),
			rate: fresh ? (sent(a) - sent(was)) / (t - before.t) : null,
			undelivered: sent(a) ? a.out_undelivered / sent(a) : 0,
			failed: a.requests ? a.err5xx / a.requests : 0,
		};
	});
	accounts.list.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.out - a.out);
	Object.assign(accounts, { total, denied: false, before: { t, byName } });
}

export function takeQuotas({ quotas }) {
	accounts.quotas.clear();
	for (const q of quotas) {
		const part = q.used / q.limit_bytes;
		const known = accounts.quotas.get(q.account);
		if (!known || part > known.part) accounts.quotas.set(q.account, { part, text: `${part > 9.99 ? "> 999 %" : percent(part)} ${q.window}` });
	}
}

function ledgerWords() {
	const l = accounts.ledger;
	if (!l) return "no ledger";
	const failed = l.failed_flushes ? `, ${count(l.failed_flushes)} failed writes` : "";
	return `ledger ${l.ledger}, ${age(l.lag_s)} behind${failed}`;
}

function showQuota(cell, quota) {
	if (!cell.firstChild) cell.append(el("span", "meter"), el("span"));
	const [meter, text] = cell.children;
	meter.hidden = !quota;
	say(text, quota ? quota.text : "");
	if (!quota) return;
	if (!meter.firstChild) meter.append(el("span"));
	meter.firstChild.style.width = `${Math.min(100, quota.part * 100)}%`;
	meter.className = `meter ${quota.part >= 1 ? "full" : ""}`;
}

export function showAccounts() {
	const all = accounts.list.reduce((sum, a) => sum + (a.rate ?? 0), 0);
	say($("accounts-n"), accounts.denied ? ledgerWords() : `${count(accounts.total)}; ${ledgerWords()}`);
	$("accounts-note").hidden = !accounts.denied;
	$("accounts-table").hidden = accounts.denied;
	keepRows($("accounts"), accounts.list.slice(0, SHOWN), (a) => a.account, makeCells(7, 0), (row, a) => {
		const lost = row.cells[4];
		[a.account, count(a.requests), a.rate === null ? "–" : bytes(a.rate), all ? percent((a.rate ?? 0) / all) : "–", percent(a.undelivered), percent(a.failed)]
			.forEach((text, i) => say(row.cells[i], text));
		lost.className = a.undelivered > 0.05 ? "t-warn" : "";
		row.cells[5].className = a.failed > 0.01 ? "t-bad" : "";
		showQuota(row.cells[6], accounts.quotas.get(a.account));
	});
}

export function forgetAccounts() {
	Object.assign(accounts, { list: [], before: null });
	accounts.quotas.clear();
}
