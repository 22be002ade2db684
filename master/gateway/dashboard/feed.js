// What comes from the gateway: one stream of events for all tabs that are seen, and
// questions. SPDX-License-Identifier: MIT
const SILENT_MS = 4000; // frames come every second: something is wrong
const CHECK_MS = 2000;
const AGAIN_MS = 3000;
const CLAIM_MS = 120; // so long a tab that has the stream may take to say so
const PARTS = "/v1/stats?select=totals,workers,latency,status,nic";

// {ok, status, body}; status 0: no answer.
export async function ask(path) {
	try {
		const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000) });
		return { ok: answer.ok, status: answer.status, body: await answer.json() };
	} catch (error) {
		return { ok: false, status: 0, body: null };
	}
}

// A browser has six connections to an origin, and a stream takes one: so one tab has it and
// tells the others. Who wants it asks, and takes it when nobody says that he has it. Were
// there two, the one with the lower number stays.
class Tabs {
	// on: {lead(), follow(), heard(name, data)}
	constructor(on) {
		this.on = on;
		this.id = Math.random();
		this.leads = false;
		this.claim = 0; // a timer
		this.heard = 0; // when the one that has the stream last said so, of performance.now()
		this.channel = new BroadcastChannel("shoal");
		this.channel.onmessage = (m) => this.take(m.data);
		window.addEventListener("pagehide", () => this.leave());
	}

	say(what, name, data) {
		this.channel.postMessage({ id: this.id, what, name, data });
	}

	join() {
		if (this.leads || this.claim) return;
		this.say("who");
		this.claim = setTimeout(() => {
			this.claim = 0;
			this.leads = true;
			this.say("mine");
			this.on.lead();
		}, CLAIM_MS * (1 + Math.random()));
	}

	leave() {
		clearTimeout(this.claim);
		this.claim = 0;
		if (this.leads) this.say("left");
		this.leads = false;
	}

	take({ id, what, name, data }) {
		if (document.hidden) return;
		if (what === "who" && this.leads) this.say("mine");
		else if (what === "left") this.join();
		else if (what === "mine") this.yieldTo(id);
		else if (what === "frame" && !this.leads) this.on.heard(name, data);
	}

	yieldTo(id) {
		if (this.leads && this.id < id) {
			this.say("mine");
			return;
		}
		const first = this.leads || this.claim || !this.heard;
		clearTimeout(this.claim);
		Object.assign(this, { claim: 0, leads: false, heard: performance.now() });
		if (first) this.on.follow();
	}

	// Now and then: the one that has the stream says so, and is missed when it does not.
	check() {
		if (this.leads) this.say("mine");
		else if (performance.now() - this.heard > SILENT_MS) this.join();
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
		this.tabs = new Tabs({
			lead: () => this.open(),
			follow: () => {
				this.close();
				this.on.opened();
			},
			heard: (name, data) => this.take(name, data),
		});
		document.addEventListener("visibilitychange", () => this.attend());
		setInterval(() => this.check(), CHECK_MS);
		this.attend();
	}

	// Nobody looks: no stream.
	attend() {
		if (document.hidden) {
			this.close();
			this.tabs.leave();
			this.tell("asleep");
		} else {
			this.tabs.join();
		}
	}

	take(name, data) {
		if (name === "stats") {
			this.heard = performance.now();
			this.tell("live");
			this.on.stats(data);
		} else if (name === "event") {
			this.on.event(data);
		} else {
			this.on.missed(data.lost);
		}
	}

	open() {
		this.close();
		const source = new EventSource("/v1/stats/stream");
		this.source = source;
		this.opened = performance.now();
		source.onopen = () => this.on.opened();
		source.onerror = () => this.tell("lost");
		for (const name of ["stats", "event", "lost"])
			source.addEventListener(name, (m) => {
				const data = JSON.parse(m.data);
				this.take(name, data);
				this.tabs.say("frame", name, data);
			});
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
		if (document.hidden) return;
		this.tabs.check();
		if (now - this.heard < SILENT_MS) return;
		const since = now - this.opened;
		if (this.source && (since > AGAIN_MS + SILENT_MS || (this.source.readyState === 2 && since > AGAIN_MS))) this.open();
		if (this.state === "live") this.tell("lost");
		const { ok, body } = await ask(PARTS);
		if (performance.now() - this.heard < SILENT_MS || document.hidden) return;
		this.tell(ok ? "asking" : "lost");
		if (ok) this.on.stats(body);
	}
}
