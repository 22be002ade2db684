/* Tables that a killed master left: completed as soon as their worker is gone, so that the
 * ledger can take their last numbers. SPDX-License-Identifier: MIT */
#pragma once

struct accounts;

/* All in the directory of `a`. */
void orphans_find(struct accounts *a);
void orphans_forget(struct accounts *a);
