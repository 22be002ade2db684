/* Room for workers' tables of accounts in the runtime directory, reserved before it is
 * needed. SPDX-License-Identifier: MIT */
#pragma once

struct accounts;

/* Once a second: keeps as many reserved files of so many rows as there are workers, within
 * ACCOUNTS_ROOM_BYTES but one at least. When tables found no room and all of these are
 * there again, tables fit again. */
#define ACCOUNTS_ROOM_BYTES (32u << 20)
void accounts_keep_room(struct accounts *a, unsigned rows, unsigned workers);
