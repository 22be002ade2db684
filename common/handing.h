/* What master and ledger say to each other about tables of accounts that are in no
 * directory. SPDX-License-Identifier: MIT */
#pragma once

/* To the ledger, without an id, with the table's descriptor: {"name":".."}. */
#define LEDGER_TABLE "table"
/* From it, as an event: {"name":".."}; all of that table is in the database. */
#define LEDGER_TABLE_DONE "table.done"
