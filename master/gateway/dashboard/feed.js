// What comes from the gateway: one stream of events while the page is seen, and questions.
// SPDX-License-Identifier: MIT
const SILENT_MS = 4000; // frames come every second: something is wrong
const CHECK_MS = 2000;
const AGAIN_MS = 3000;
const PARTS = "/v1/stats?select=totals,workers,latency,status";

// {ok, status, body}; status 0: no answer.
export async function ask(path) {
	try {
		const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000) });
		return { ok: answer.ok, status: answer.status, body: await answer.json() };
	} catch (error) {
		return { ok: false, status: 0, body: null };
	}
}

export class Feed {
	// on: {stats(frame), event(event), missed(n), opened(), link(state)}
	constructor(on) {
		this.on = on;
		this.source = null;
		this.heard = 0; // when the last frame came, of performance.now()
		this.opened = 0;
		this.state = "";
		document.addEventListener("visibilitychange", () => this.attend());
		setInterval(() => this.check(), CHECK_MS);
		this.attend();
	}

	// Nobody looks: no stream, which would be one of the browser's six connections.
	attend() {
		if (document.hidden) {
			this.close();
			this.tell("asleep");
		} else if (!this.source) {
			this.open();
		}
	}

	open() {
		const source = new EventSource("/v1/stats/stream");
		this.source = source;
		this.opened = performance.now();
		source.onopen = () => this.on.opened();
		source.onerror = () => this.tell("lost");
		source.addEventListener("stats", (m) => {
			this.heard = performance.now();
			this.tell("live");
			this.on.stats(JSON.parse(m.data));
		});
		source.addEventListener("event", (m) => this.on.event(JSON.parse(m.data)));
		source.addEventListener("lost", (m) => this.on.missed(JSON.parse(m.data).lost));
	}

	close() {
		if (this.source) this.source.close();
		this.source = null;
	}

	tell(state) {
		if (state === this.state) return;
		this.state = state;
		this.on.link(state);
	}

	// A tunnel that hangs ends no connection, and a browser does not try again after a
	// status that is not 200. A proxy may hold the stream back: then questions do.
	async check() {
		const now = performance.now();
		if (document.hidden || now - this.heard < SILENT_MS) return;
		if (now - this.opened > AGAIN_MS + SILENT_MS || (this.source && this.source.readyState === 2 && now - this.opened > AGAIN_MS)) {
			this.close();
			this.open();
		}
		if (this.state === "live") this.tell("lost");
		const { ok, body } = await ask(PARTS);
		if (performance.now() - this.heard < SILENT_MS) return;
		this.tell(ok ? "asking" : "lost");
		if (ok) this.on.stats(body);
	}
}
