/* What this binary was built from; the same sources give the same words.
 * SPDX-License-Identifier: MIT */
#pragma once

extern const char build_commit[]; /* "1a2b3c4d5e6f"; "unknown": not from a repository */
extern const char build_date[];   /* of that commit, 2026-11-21; or "unknown" */
/* Versions of libraries whose headers other parts of shoal were compiled with. */
extern const char build_openssl[], build_sqlite[];
