// Charts over time on a canvas: axes, areas, lines, lanes, one cursor for all of them.
// SPDX-License-Identifier: MIT
import { $, clock, el, say } from "./dom.js";
import { ends, markOf, store } from "./store.js";

const LEFT = 52;
const RIGHT = 6;
const TOP = 6;
const BOTTOM = 17;
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600];

let palette = null;
let cursor = null; // the moment under the pointer
const charts = [];

export function colour(name) {
	palette ??= getComputedStyle(document.documentElement);
	return palette.getPropertyValue(name).trim();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
	palette = null;
	drawSoon();
});

let pending = false;

export function drawSoon() {
	if (pending) return;
	pending = true;
	requestAnimationFrame(() => {
		pending = false;
		for (const chart of charts) chart.draw();
	});
}

// 1, 2 or 5 times a power of ten, at least x.
export function roundUp(x) {
	if (!(x > 0)) return 1;
	const power = 10 ** Math.floor(Math.log10(x));
	return [1, 2, 5, 10].find((m) => m * power >= x * 0.999) * power;
}

export class Chart {
	// paint(chart) draws; legend: [{name, colour, value(point)}]
	constructor(name, paint, legend) {
		this.canvas = $(`c-${name}`);
		this.context = this.canvas.getContext("2d");
		this.paint = paint;
		this.legend = legend;
		this.key = $(`k-${name}`);
		for (const one of legend) this.addKey(one);
		this.canvas.addEventListener("pointermove", (e) => this.point(e.offsetX));
		this.canvas.addEventListener("pointerleave", () => this.point(null));
		new ResizeObserver(drawSoon).observe(this.canvas);
		charts.push(this);
	}

	addKey(one) {
		const item = el("li");
		one.swatch = el("i");
		one.text = el("b");
		item.append(one.swatch, `${one.name} `, one.text);
		this.key.append(item);
	}

	point(x) {
		cursor = x === null ? null : this.timeAt(x);
		drawSoon();
	}

	// A change of the canvas' size empties it, so only when there is one.
	measure() {
		const box = this.canvas.getBoundingClientRect();
		const ratio = window.devicePixelRatio || 1;
		const [w, h] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
		if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
		this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
		this.context.clearRect(0, 0, box.width, box.height);
		Object.assign(this, { left: LEFT, right: box.width - RIGHT, top: TOP, bottom: box.height - BOTTOM });
		this.to = ends();
		this.from = this.to - store.range;
		this.points = store.points.filter((p) => p.t >= this.from - store.step && p.t <= this.to);
	}

	x(t) {
		return this.left + ((t - this.from) / (this.to - this.from)) * (this.right - this.left);
	}

	timeAt(x) {
		return this.from + ((x - this.left) / (this.right - this.left)) * (this.to - this.from);
	}

	draw() {
		this.measure();
		if (this.right - this.left < 20 || this.bottom - this.top < 10) return;
		const c = this.context;
		c.font = '10.5px system-ui, "Liberation Sans", "DejaVu Sans", sans-serif';
		this.drawTimes();
		c.save();
		this.paint(this);
		c.restore();
		this.drawMarks();
		this.fillKey();
	}

	drawTimes() {
		const c = this.context;
		const room = Math.max(2, (this.right - this.left) / 75);
		const step = STEPS.find((s) => store.range / s <= room) ?? 43200;
		const shift = new Date(this.to * 1000).getTimezoneOffset() * 60;
		c.textAlign = "center";
		c.textBaseline = "top";
		for (let t = Math.ceil((this.from - shift) / step) * step + shift; t <= this.to; t += step) {
			const x = Math.round(this.x(t)) + 0.5;
			this.line(x, this.top, x, this.bottom, "--grid");
			c.fillStyle = colour("--dim");
			if (x > this.left + 18 && x < this.right - 22) c.fillText(clock(t, step < 60), x, this.bottom + 3);
		}
	}

	// From here on nothing is drawn beside the axes.
	clip() {
		this.context.beginPath();
		this.context.rect(this.left, 0, this.right - this.left, this.bottom + 1);
		this.context.clip();
	}

	line(x0, y0, x1, y1, name) {
		const c = this.context;
		c.strokeStyle = colour(name);
		c.lineWidth = 1;
		c.beginPath();
		c.moveTo(x0, y0);
		c.lineTo(x1, y1);
		c.stroke();
	}

	// Lines across at these values; the scale is this.y().
	drawValues(values, format) {
		const c = this.context;
		c.textAlign = "right";
		c.textBaseline = "middle";
		for (const v of values) {
			const y = Math.round(this.y(v)) + 0.5;
			this.line(this.left, y, this.right, y, "--grid");
			c.fillStyle = colour("--dim");
			c.fillText(format(v).replace(/\.0+(?= |$)/, ""), this.left - 5, Math.max(y, this.top + 4));
		}
	}

	// From low (at most 0) to high, zero included.
	scaleTo(low, high, format) {
		const max = roundUp(high);
		const min = low < 0 ? -roundUp(-low) : 0;
		this.y = (v) => this.bottom - ((v - min) / (max - min)) * (this.bottom - this.top);
		const values = [0, max / 2, max];
		if (min < 0) values.push(min);
		this.drawValues(values.filter((v) => v === 0 || Math.abs(this.y(v) - this.y(0)) > 10), format);
		this.clip();
	}

	scaleToLog(low, high, format) {
		const [from, to] = [Math.floor(Math.log10(low)), Math.max(Math.floor(Math.log10(low)) + 1, Math.ceil(Math.log10(high) - 0.001))];
		this.y = (v) => this.bottom - ((Math.log10(v) - from) / (to - from)) * (this.bottom - this.top);
		const values = [];
		for (let p = from; p <= to; p++) values.push(10 ** p);
		this.drawValues(values, format);
		this.clip();
	}

	// Runs of points without a hole in time or value.
	*runs(get) {
		let run = [];
		for (const p of this.points) {
			const v = get(p);
			const hole = v === null || v === undefined;
			if (run.length && (hole || p.t - run.at(-1).t > store.step * 3)) {
				yield run;
				run = [];
			}
			if (!hole) run.push({ t: p.t, v });
		}
		if (run.length) yield run;
	}

	drawLine(get, name, width = 1.5) {
		const c = this.context;
		c.strokeStyle = colour(name);
		c.fillStyle = c.strokeStyle;
		c.lineWidth = width;
		c.lineJoin = "round";
		for (const run of this.runs(get)) {
			c.beginPath();
			for (const { t, v } of run) c.lineTo(this.x(t), this.y(v));
			c.stroke();
			if (run.length === 1) c.fillRect(this.x(run[0].t) - 1, this.y(run[0].v) - 1, 2.5, 2.5);
		}
	}

	// The areas one upon the other; sign -1: below the line.
	drawStack(gets, names, sign = 1) {
		const c = this.context;
		const upTo = (p, n) => gets.slice(0, n).reduce((sum, get) => sum + (get(p) ?? 0), 0);
		for (let n = gets.length; n > 0; n--) {
			c.fillStyle = colour(names[n - 1]);
			for (const run of this.runs((p) => (p.requests === null ? null : sign * upTo(p, n)))) {
				c.beginPath();
				c.moveTo(this.x(run[0].t), this.y(0));
				for (const { t, v } of run) c.lineTo(this.x(t), this.y(v));
				c.lineTo(this.x(run.at(-1).t), this.y(0));
				c.fill();
			}
		}
	}

	most(get) {
		return this.points.reduce((max, p) => Math.max(max, get(p) ?? 0), 0);
	}

	// Reloads and what else explains a step in the figures, on every chart.
	drawMarks() {
		const c = this.context;
		c.setLineDash([3, 3]);
		for (const event of store.events) {
			const name = markOf(event);
			if (name && event.t > this.from && event.t < this.to) this.line(this.x(event.t), this.top, this.x(event.t), this.bottom, name);
		}
		c.setLineDash([]);
		if (cursor !== null && cursor > this.from && cursor < this.to) this.line(this.x(cursor), this.top, this.x(cursor), this.bottom, "--dim");
	}

	// The values under the cursor, else the last ones.
	fillKey() {
		let at = this.points.at(-1);
		if (cursor !== null) for (const p of this.points) if (Math.abs(p.t - cursor) < Math.abs(at.t - cursor)) at = p;
		for (const one of this.legend) {
			one.swatch.style.backgroundColor = colour(one.colour);
			say(one.text, one.value && at ? one.value(at) : "");
		}
	}
}
