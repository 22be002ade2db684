/* The terminal as a screen. SPDX-License-Identifier: MIT */
#include "master/cli/term.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

/* Alternate buffer, no cursor, no wrapping; and the way back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"
#define ESCAPE_MS 30 /* the bytes of one key come together */

static struct termios saved;
static volatile sig_atomic_t entered;

/* The program is about to die: a shell whose terminal echoes nothing is no good. */
static void
on_fatal(int signo)
{
	term_leave();
	signal(signo, SIG_DFL);
	raise(signo);
}

int
term_enter(struct err *e)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
	struct termios raw;

	if (isatty(STDOUT_FILENO) != 1 || tcgetattr(STDIN_FILENO, &saved) != 0)
		return err_set(e, "standard input and output are no terminal");
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
		signal(fatal[i], on_fatal);
	raw = saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	entered = 1;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
		return err_errno(e, "the terminal");
	term_write(ENTER, sizeof(ENTER) - 1);
	return 0;
}

void
term_leave(void)
{
	if (!entered)
		return;
	entered = 0;
	/* Once, and without a look at errno: also in a signal handler. */
	(void)!write(STDOUT_FILENO, LEAVE, sizeof(LEAVE) - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
}

void
term_size(unsigned *width, unsigned *height)
{
	struct winsize w;
	bool known =
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0;

	*width = known ? w.ws_col : 80;
	*height = known ? w.ws_row : 24;
}

void
term_write(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, p, n);

		if (done < 0 && errno == EAGAIN) {
			struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

			poll(&out, 1, 1000);
		} else if (done < 0 && errno != EINTR) {
			return;
		} else if (done > 0) {
			p += done;
			n -= (size_t)done;
		}
	}
}

/* 1: a byte, 0: none yet, -1: there will be none. */
static int
next_byte(unsigned char *c, int wait_ms)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	if (poll(&in, 1, wait_ms) <= 0)
		return 0;
	return read(STDIN_FILENO, c, 1) == 1 ? 1 : -1;
}

/* Behind ESC: "[A" or "OA" is an arrow; whatever else is read to its end. */
static int
escape_key(void)
{
	unsigned char c;

	if (next_byte(&c, ESCAPE_MS) <= 0)
		return TERM_ESCAPE;
	if (c != '[' && c != 'O')
		return TERM_NONE;
	while (next_byte(&c, ESCAPE_MS) > 0)
		if (c >= 0x40)
			return c == 'A' ? TERM_UP : c == 'B' ? TERM_DOWN : TERM_NONE;
	return TERM_NONE;
}

int
term_key(void)
{
	unsigned char c;
	int got = next_byte(&c, 0);

	if (got <= 0)
		return got < 0 ? TERM_CLOSED : TERM_NONE;
	if (c == 0x1b)
		return escape_key();
	if (c == 0x03 || c == 0x04)
		return TERM_INTERRUPT;
	if (c == '\r' || c == '\n')
		return TERM_ENTER;
	if (c == 0x7f || c == '\b')
		return TERM_BACKSPACE;
	return c >= 0x20 && c < 0x7f ? c : TERM_NONE;
}
