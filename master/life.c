/* The table of a worker's life. SPDX-License-Identifier: MIT */
#include "master/life.h"

#define STEP(to, ...)                                                                      \
	{                                                                                  \
		.next = (to), .actions = (0 __VA_ARGS__), .known = true                    \
	}

#define ORDERED_OUT STEP(LIFE_EXITING, | LIFE_EXPECTED | LIFE_TELL_QUIT | LIFE_TIMER_EXIT)
#define ORDERED_DRAIN                                                                      \
	STEP(LIFE_DRAINING, | LIFE_EXPECTED | LIFE_TELL_DRAIN | LIFE_TIMER_DRAIN)
#define LOST STEP(LIFE_EXITING, | LIFE_TIMER_EXIT)
#define HUNG STEP(LIFE_EXITING, | LIFE_UNEXPECTED | LIFE_SIGNAL_ABORT | LIFE_TIMER_EXIT)
#define REAPED STEP(LIFE_DEAD, | LIFE_TIMER_OFF | LIFE_GONE)
/* What every state that accepts has in common. */
#define SERVING                                                                            \
	[LIFE_EV_BUSY] = STEP(LIFE_BUSY, ), [LIFE_EV_IDLE] = STEP(LIFE_IDLE, ),            \
	[LIFE_EV_STUCK] = STEP(LIFE_STUCK, | LIFE_REPLACE),                                \
	[LIFE_EV_PARK] = STEP(LIFE_PARKED, | LIFE_TELL_PARK),                              \
	[LIFE_EV_DRAIN] = ORDERED_DRAIN, [LIFE_EV_QUIT] = ORDERED_OUT,                     \
	[LIFE_EV_CHANNEL_LOST] = LOST, [LIFE_EV_HUNG] = HUNG, [LIFE_EV_EXITED] = REAPED

static const struct {
	uint8_t next;
	uint32_t actions;
	bool known; /* false: the event changes nothing in this state */
} table[LIFE_STATES][LIFE_EVENTS] = {
    [LIFE_BOOTING] =
	{
	    [LIFE_EV_READY] = STEP(LIFE_READY, | LIFE_NOTIFY_READY | LIFE_TIMER_OFF),
	    [LIFE_EV_READY_PARKED] =
		STEP(LIFE_PARKED, | LIFE_NOTIFY_READY | LIFE_TIMER_OFF),
	    [LIFE_EV_FAILED] = STEP(LIFE_EXITING, | LIFE_NOTIFY_FAILED | LIFE_TIMER_EXIT),
	    /* It has nothing in hand, and may be in the middle of an import. */
	    [LIFE_EV_DRAIN] = STEP(LIFE_EXITING,
		| LIFE_EXPECTED | LIFE_TELL_QUIT | LIFE_SIGNAL_TERM | LIFE_TIMER_EXIT),
	    [LIFE_EV_QUIT] = STEP(LIFE_EXITING,
		| LIFE_EXPECTED | LIFE_TELL_QUIT | LIFE_SIGNAL_TERM | LIFE_TIMER_EXIT),
	    [LIFE_EV_CHANNEL_LOST] = LOST,
	    [LIFE_EV_TIMEOUT] = STEP(
		LIFE_EXITING, | LIFE_NOTIFY_FAILED | LIFE_SIGNAL_KILL | LIFE_TIMER_EXIT),
	    [LIFE_EV_EXITED] = REAPED,
	},
    [LIFE_READY] = {SERVING},
    [LIFE_IDLE] = {SERVING},
    [LIFE_BUSY] = {SERVING},
    [LIFE_STUCK] =
	{
	    [LIFE_EV_PARK] = STEP(LIFE_PARKED, | LIFE_TELL_PARK),
	    [LIFE_EV_DRAIN] = ORDERED_DRAIN,
	    [LIFE_EV_QUIT] = ORDERED_OUT,
	    [LIFE_EV_CHANNEL_LOST] = LOST,
	    [LIFE_EV_HUNG] = HUNG,
	    [LIFE_EV_EXITED] = REAPED,
	},
    [LIFE_PARKED] =
	{
	    [LIFE_EV_RESUME] = STEP(LIFE_READY, | LIFE_TELL_RESUME),
	    [LIFE_EV_DRAIN] = ORDERED_DRAIN,
	    [LIFE_EV_QUIT] = ORDERED_OUT,
	    [LIFE_EV_CHANNEL_LOST] = LOST,
	    [LIFE_EV_HUNG] = HUNG,
	    [LIFE_EV_EXITED] = REAPED,
	},
    [LIFE_DRAINING] =
	{
	    [LIFE_EV_QUIT] = ORDERED_OUT,
	    [LIFE_EV_HUNG] = HUNG,
	    [LIFE_EV_TIMEOUT] =
		STEP(LIFE_EXITING, | LIFE_UNEXPECTED | LIFE_SIGNAL_KILL | LIFE_TIMER_EXIT),
	    [LIFE_EV_EXITED] = REAPED,
	},
    [LIFE_EXITING] =
	{
	    [LIFE_EV_TIMEOUT] = STEP(LIFE_EXITING, | LIFE_SIGNAL_KILL | LIFE_TIMER_EXIT),
	    [LIFE_EV_EXITED] = REAPED,
	},
};

struct life_step
life_step(enum life_state state, enum life_event event)
{
	if (!table[state][event].known)
		return (struct life_step){(uint8_t)state, 0};
	return (struct life_step){table[state][event].next, table[state][event].actions};
}

static const struct {
	const char *name;
	bool accepts;
} states[LIFE_STATES] = {
    [LIFE_BOOTING] = {"booting", false},
    [LIFE_READY] = {"ready", true},
    [LIFE_IDLE] = {"idle", true},
    [LIFE_BUSY] = {"busy", true},
    [LIFE_STUCK] = {"stuck", true},
    [LIFE_PARKED] = {"parked", false},
    [LIFE_DRAINING] = {"draining", false},
    [LIFE_EXITING] = {"exiting", false},
    [LIFE_DEAD] = {"dead", false},
};

const char *
life_name(enum life_state state)
{
	return states[state].name;
}

bool
life_accepts(enum life_state state)
{
	return states[state].accepts;
}
