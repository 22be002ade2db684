// Elements and words. What comes over the wire becomes text, never markup. SPDX-License-Identifier: MIT
export const $ = (id) => document.getElementById(id);

export function el(tag, className, text) {
	const node = document.createElement(tag);
	if (className) node.className = className;
	if (text !== undefined) node.textContent = text;
	return node;
}

export function say(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

// One child per item, kept by its key: what has the focus keeps it.
export function keepRows(parent, items, keyOf, make, update) {
	const old = new Map([...parent.children].map((row) => [row.dataset.key, row]));
	let at = parent.firstElementChild;
	for (const item of items) {
		const key = String(keyOf(item));
		let row = old.get(key);
		if (row) {
			old.delete(key);
		} else {
			row = make(item);
			row.dataset.key = key;
		}
		if (row === at) at = at.nextElementSibling;
		else parent.insertBefore(row, at);
		update(row, item);
	}
	for (const row of old.values()) row.remove();
}

export function makeCells(count, long) {
	return () => {
		const row = el("tr");
		for (let i = 0; i < count; i++) row.append(el("td", i === long ? "long" : ""));
		return row;
	};
}

const isNumber = (x) => typeof x === "number" && Number.isFinite(x);

function scaled(x, units, step) {
	let i = 0;
	let value = Math.abs(x);
	while (value >= step * 0.9995 && i < units.length - 1) {
		value /= step;
		i++;
	}
	const digits = value >= 100 || (value === Math.round(value) && i === 0) ? 0 : value >= 10 ? 1 : 2;
	return (x < 0 ? "-" : "") + value.toFixed(digits) + units[i];
}

export const count = (x) => (isNumber(x) ? scaled(x, ["", " k", " M", " G"], 1000) : "–");
export const bytes = (x) => (isNumber(x) ? scaled(x, [" B", " kB", " MB", " GB", " TB"], 1000) : "–");
export const micros = (us) => (isNumber(us) ? scaled(us, [" µs", " ms", " s"], 1000) : "–");
export const percent = (part) => (isNumber(part) ? `${(part * 100).toFixed(part < 0.1 ? 1 : 0)} %` : "–");

export function age(s) {
	if (!isNumber(s)) return "–";
	if (s < 1) return `${Math.round(s * 1000)} ms`;
	if (s < 120) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
	if (s < 7200) return `${Math.floor(s / 60)} min`;
	if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
	return `${Math.floor(s / 86400)} d`;
}

export function clock(t, seconds) {
	const d = new Date(t * 1000);
	const two = (n) => String(n).padStart(2, "0");
	return `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? ":" + two(d.getSeconds()) : ""}`;
}
